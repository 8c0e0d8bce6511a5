"""Plots as inline SVG: exact, small, readable in light and dark, by people and by machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape

from eval.report.axes import COLOURS, HEIGHT, LEFT, RIGHT, WIDTH, Axes, legend, svg, ticks
from eval.report.counts import histogram, matrix, reliability
from eval.report.document import Plot

__all__ = ["draw", "ticks"]

DOTTED = 25  # points; longer lines show none


def draw(plot: Plot) -> str:
    """The figure as one `<svg>` element. Raises ValueError for a kind there is none of."""
    makers: Mapping[str, Callable[[Plot], str]] = {
        "lines": _lines,
        "steps": _lines,
        "curves": _lines,
        "roc": _lines,
        "bars": _bars,
        "matrix": matrix,
        "reliability": reliability,
        "histogram": histogram,
        "pareto": _pareto,
    }
    if plot.kind not in makers:
        raise ValueError(f"kind must be one of {', '.join(makers)}, got {plot.kind!r}")
    return makers[plot.kind](plot)


def _points(plot: Plot) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [(float(p[0]), float(p[1])) for p in points if p[0] is not None and p[1] is not None]
        for name, points in plot.series.items()
    }


def _lines(plot: Plot) -> str:
    series, unit = _points(plot), plot.kind in ("curves", "roc")
    every = [point for points in series.values() for point in points] or [(0.0, 0.0)]
    across_all = [0.0, 1.0] if unit else [*(x for x, _ in every), *plot.marks.values()]
    axes = Axes(across_all, [0.0, 1.0, *(y for _, y in every)])
    parts = axes.frame(plot)
    if plot.kind == "roc":
        (x0, y0), (x1, y1) = axes.at(0, 0), axes.at(1, 1)
        parts.append(f'<path class="diagonal" d="M{x0} {y0}L{x1} {y1}"/>')
    for number, (name, points) in enumerate(series.items()):
        colour, path = COLOURS[number % len(COLOURS)], ""
        for i, (x, y) in enumerate(points):
            across, down = axes.at(x, y)
            step = f"H{across}V{down}" if plot.kind == "steps" else f"L{across} {down}"
            path += f"M{across} {down}" if i == 0 else step
            if plot.kind == "lines" and len(points) <= DOTTED:
                parts.append(f'<circle class="{colour}" cx="{across}" cy="{down}" r="3"/>')
        parts.append(f'<path class="line {colour}" d="{path or "M0 0"}"/>')
        parts += legend(number, name)
    return svg(plot, parts, height=HEIGHT + 8 + 16 * math.ceil(len(series) / 3))


def _bars(plot: Plot) -> str:
    ((_, values),) = plot.series.items()
    axes = Axes([0, max(1, len(values))], [0.0, 1.0])
    parts = axes.frame(plot, x_labels=False)
    room = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    turned = max(map(len, plot.labels), default=0) * 7 > room
    for i, (label, (value, low, high)) in enumerate(zip(plot.labels, values, strict=True)):
        middle = round(LEFT + room * (i + 0.5), 2)
        foot = axes.at(0, 0)[1]
        if value is not None:
            head = axes.at(0, value)[1]
            wide = round(min(room * 0.64, 64), 2)
            parts.append(
                f'<rect class="c0" x="{middle - wide / 2:g}" y="{head}" width="{wide}" '
                f'height="{foot - head:g}"><title>{escape(label)}: {value:.4f}</title></rect>'
            )
        if low is not None and high is not None:
            parts.append(f'<path class="whisker" d="M{middle} {axes.at(0, low)[1]}V{axes.at(0, high)[1]}"/>')
        where = (
            f'transform="translate({middle} {foot + 12}) rotate(30)"'
            if turned
            else f'x="{middle}" y="{foot + 16}"'
        )
        parts.append(f'<text class="tick {"" if turned else "mid"}" {where}>{escape(label)}</text>')
    return svg(plot, parts)


def _pareto(plot: Plot) -> str:
    """One numbered point a series, more is better on both axes; the line joins those that none beats."""
    points = [(name, *own[0]) for name, own in _points(plot).items() if own]
    xs, ys = [x for _, x, _ in points] or [0.0], [y for *_, y in points] or [0.0]
    axes = Axes([min(xs), max(xs)], [min(ys), max(ys)])
    path, height, front, marks = "", -math.inf, set(), []
    for name, x, y in sorted(points, key=lambda p: (-p[1], -p[2])):
        if y > height:
            across, down = axes.at(x, y)
            path, height = path + (f"H{across}V{down}" if path else f"M{across} {down}"), y
            front.add(name)
    for number, (name, x, y) in enumerate(points):
        (across, down), colour = axes.at(x, y), "c0" if name in front else "c1"
        told = f"<title>{escape(name)}: {x:.2f}, {y:.4f}</title>"
        marks.append(f'<circle class="{colour}" cx="{across}" cy="{down}" r="8">{told}</circle>')
        marks.append(f'<text class="tick mid on" x="{across}" y="{down + 4:g}">{number + 1}</text>')
        left, low = LEFT + 152 * (number % 3), HEIGHT + 10 + 16 * (number // 3)
        marks.append(f'<text class="tick" x="{left}" y="{low}">{number + 1} {escape(name)}</text>')
    line = f'<path class="line c0" d="{path or "M0 0"}"/>'
    return svg(plot, [*axes.frame(plot), line, *marks], height=HEIGHT + 8 + 16 * math.ceil(len(points) / 3))

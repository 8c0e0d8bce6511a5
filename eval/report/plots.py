"""Plots as inline SVG: exact, small, readable in light and dark, by people and by machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from eval.report.document import Plot

__all__ = ["draw", "ticks"]

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 44
COLOURS = ("c0", "c1", "c2", "c3", "c4", "c5")  # classes of the style sheet; safe for colour-blind readers


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that cover [low, high]; steps of 1, 2 or 5 times a power of ten."""
    if not low < high:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def draw(plot: Plot) -> str:
    """The figure as one `<svg>` element."""
    makers: Mapping[str, Callable[[Plot], str]] = {
        "lines": _lines,
        "steps": _lines,
        "bars": _bars,
        "matrix": _matrix,
        "reliability": _reliability,
        "pareto": _pareto,
    }
    if plot.kind not in makers:
        raise ValueError(f"kind must be one of {', '.join(makers)}, got {plot.kind!r}")
    return makers[plot.kind](plot)


def _svg(plot: Plot, body: Sequence[str], *, width: float = WIDTH, height: float = HEIGHT) -> str:
    title = escape(plot.title)
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{title}</title><desc>{title}: {escape(plot.y)} against {escape(plot.x)}</desc>"
        + "".join(body)
        + "</svg>"
    )


class _Axes:
    """Maps data to the drawing and draws the frame."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        self.x_ticks, self.y_ticks = ticks(min(x), max(x)), ticks(min(y), max(y))
        self.x0, self.x1 = self.x_ticks[0], self.x_ticks[-1]
        self.y0, self.y1 = self.y_ticks[0], self.y_ticks[-1]

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)
        return round(across, 2), round(down, 2)

    def frame(self, plot: Plot, *, x_labels: bool = True) -> list[str]:
        parts = []
        for value in self.y_ticks:
            (left, down), (right, _) = self.at(self.x0, value), self.at(self.x1, value)
            parts.append(f'<path class="grid" d="M{left} {down}H{right}"/>')
            parts.append(f'<text class="tick end" x="{left - 6}" y="{down + 4}">{value:g}</text>')
        for value in self.x_ticks if x_labels else ():
            across, down = self.at(value, self.y0)
            parts.append(f'<text class="tick mid" x="{across}" y="{down + 16}">{value:g}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text class="axis mid" x="{middle}" y="{HEIGHT - 6}">{escape(plot.x)}</text>')
        parts.append(
            f'<text class="axis mid" transform="translate(13 {HEIGHT / 2 - 16}) rotate(-90)">'
            f"{escape(plot.y)}</text>"
        )
        return parts


def _points(plot: Plot) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [(float(p[0]), float(p[1])) for p in points if p[0] is not None and p[1] is not None]
        for name, points in plot.series.items()
    }


def _lines(plot: Plot) -> str:
    series = _points(plot)
    every = [point for points in series.values() for point in points] or [(0.0, 0.0)]
    axes = _Axes([x for x, _ in every], [0.0, 1.0, *(y for _, y in every)])
    parts = axes.frame(plot)
    for number, (name, points) in enumerate(series.items()):
        colour, path = COLOURS[number % len(COLOURS)], ""
        for i, (x, y) in enumerate(points):
            across, down = axes.at(x, y)
            step = f"H{across}V{down}" if plot.kind == "steps" else f"L{across} {down}"
            path += f"M{across} {down}" if i == 0 else step
            if plot.kind == "lines":
                parts.append(f'<circle class="{colour}" cx="{across}" cy="{down}" r="3"/>')
        parts.append(f'<path class="line {colour}" d="{path or "M0 0"}"/>')
        parts += _legend(number, name)
    return _svg(plot, parts, height=HEIGHT + 8 + 16 * math.ceil(len(series) / 3))


def _legend(number: int, name: str) -> list[str]:
    """One entry, three to a row below the axis, where no line can be."""
    x, y = LEFT + 152 * (number % 3), HEIGHT + 10 + 16 * (number // 3)
    colour = COLOURS[number % len(COLOURS)]
    return [
        f'<rect class="{colour}" x="{x}" y="{y - 8}" width="12" height="8"/>',
        f'<text class="tick" x="{x + 18}" y="{y}">{escape(name)}</text>',
    ]


def _bars(plot: Plot) -> str:
    ((_, values),) = plot.series.items()
    axes = _Axes([0, max(1, len(values))], [0.0, 1.0])
    parts = axes.frame(plot, x_labels=False)
    room = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    turned = max(map(len, plot.labels), default=0) * 7 > room
    for i, (label, (value, low, high)) in enumerate(zip(plot.labels, values, strict=True)):
        middle = round(LEFT + room * (i + 0.5), 2)
        foot = axes.at(0, 0)[1]
        if value is not None:
            head = axes.at(0, value)[1]
            wide = round(room * 0.64, 2)
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
    return _svg(plot, parts)


def _matrix(plot: Plot) -> str:
    ((_, rows),) = plot.series.items()
    count = len(plot.labels)
    side = max(16.0, min(40.0, 420 / max(1, count)))
    gutter = 40 + 6.5 * min(14, max(map(len, plot.labels), default=0))
    size = gutter + side * count + 8
    parts = []
    for i, (label, row) in enumerate(zip(plot.labels, rows, strict=True)):
        total = sum(v or 0 for v in row) or 1
        middle = round(gutter + side * (i + 0.5), 1)
        parts.append(
            f'<text class="tick end" x="{gutter - 6:g}" y="{middle + 4}">{escape(label[:14])}</text>'
        )
        parts.append(
            f'<text class="tick end" transform="translate({middle + 4} {gutter - 6:g}) rotate(90)">'
            f"{escape(label[:14])}</text>"
        )
        for j, value in enumerate(row):
            share = (value or 0) / total
            x, y = round(gutter + side * j, 1), round(gutter + side * i, 1)
            told = f"true {escape(label)}, predicted {escape(plot.labels[j])}: {value:g}"
            shade = f'class="cell {"c0" if i == j else "c1"}" fill-opacity="{0.04 + 0.96 * share**0.5:.3f}"'
            where = f'x="{x}" y="{y}" width="{side:g}" height="{side:g}"'
            parts.append(f"<rect {shade} {where}><title>{told}</title></rect>")
            if value and side >= 22:
                ink = "tick mid on" if share > 0.3 else "tick mid"
                parts.append(
                    f'<text class="{ink}" x="{x + side / 2:g}" y="{y + side / 2 + 4:g}">{value:g}</text>'
                )
    parts.append(
        f'<text class="axis" x="4" y="14">{escape(plot.y)} (rows) against {escape(plot.x)} (columns)</text>'
    )
    return _svg(plot, parts, width=max(size, 300), height=size)


def _reliability(plot: Plot) -> str:
    """Accuracy against confidence; the diagonal is perfect calibration."""
    ((_, points),) = _points(plot).items()
    axes = _Axes([0, 1], [0, 1])
    (x0, y0), (x1, y1) = axes.at(0, 0), axes.at(1, 1)
    parts = [*axes.frame(plot), f'<path class="diagonal" d="M{x0} {y0}L{x1} {y1}"/>']
    path = ""
    for confidence, accuracy in points:
        across, down = axes.at(confidence, accuracy)
        path += f"{'L' if path else 'M'}{across} {down}"
        parts.append(f'<circle class="c0" cx="{across}" cy="{down}" r="4"/>')
    return _svg(plot, [*parts, f'<path class="line c0" d="{path or "M0 0"}"/>'])


def _pareto(plot: Plot) -> str:
    """One numbered point a series, more is better on both axes; the line joins those that none beats."""
    points = [(name, *own[0]) for name, own in _points(plot).items() if own]
    xs, ys = [x for _, x, _ in points] or [0.0], [y for *_, y in points] or [0.0]
    axes = _Axes([min(xs), max(xs)], [min(ys), max(ys)])
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
    return _svg(plot, [*axes.frame(plot), line, *marks], height=HEIGHT + 8 + 16 * math.ceil(len(points) / 3))

"""Figures of counts: the confusion matrix, the reliability diagram, the histogram."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from eval.report.axes import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Axes, svg
from eval.report.document import Plot

__all__ = ["histogram", "matrix", "reliability"]

NUMBERED = 20  # rows; larger matrices are shaded only
LONG = 16  # characters of a label
LARGE = 10_000  # counts from here on are told as shares
STRIP = 56  # height of the counts below a reliability diagram


def matrix(plot: Plot) -> str:
    """Rows of counts, shaded by the root of their share of the row; the diagonal in a colour of its own."""
    ((_, rows),) = plot.series.items()
    count = len(plot.labels)
    dense = count > NUMBERED
    side = max(11.0, min(20.0, 880 / count)) if dense else max(24.0, min(44.0, 420 / max(1, count)))
    gutter = 40 + 6.5 * min(LONG, max(map(len, plot.labels), default=0))
    tick = "tick end dense" if dense else "tick end"
    size = gutter + side * count + 8
    shares = max((v or 0 for row in rows for v in row), default=0) >= LARGE
    corner, whole = f'x="{gutter:g}" y="{gutter:g}"', side * count
    parts = [
        f'<text class="axis" x="4" y="14">{escape(plot.y)} (rows) against {escape(plot.x)} (columns)</text>',
        f'<rect class="board" {corner} width="{whole:g}" height="{whole:g}"/>',
    ]
    for i, (label, row) in enumerate(zip(plot.labels, rows, strict=True)):
        name, middle = escape(label[:LONG]), round(gutter + side * (i + 0.5), 1)
        name += f"<title>{escape(label)}</title>"
        parts.append(f'<text class="{tick}" x="{gutter - 6:g}" y="{middle + 4:g}">{name}</text>')
        turned = f'transform="translate({middle - 4:g} {gutter - 6:g}) rotate(90)"'
        parts.append(f'<text class="{tick}" {turned}>{name}</text>')
        parts += _row(plot, i, row, gutter, side, shares=shares)
    return svg(plot, parts, width=max(size, 300), height=size)


def _row(
    plot: Plot, i: int, row: Sequence[float | None], gutter: float, side: float, *, shares: bool
) -> list[str]:
    """The cells that hold something, with their text where there is room."""
    total, texts = sum(v or 0 for v in row), len(plot.labels) <= NUMBERED
    most = 0.5 if texts else 0.94  # text must stay readable on its cell
    parts = []
    for j, value in enumerate(row):
        if not value:
            continue
        x, y = round(gutter + side * j, 1), round(gutter + side * i, 1)
        share = value / total
        told = f"{plot.y} {plot.labels[i]}, {plot.x} {plot.labels[j]}: {value:g} ({share:.3f} of row)"
        shade = f'class="cell {"c0" if i == j else "c1"}" fill-opacity="{0.06 + most * share**0.5:.3f}"'
        where = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}"'
        parts.append(f"<rect {shade} {where}><title>{escape(told)}</title></rect>")
        text = f"{share:.2f}".removeprefix("0") if shares else f"{value:g}"
        if texts and len(text) * 6.6 <= side:
            at = f'x="{x + side / 2:g}" y="{y + side / 2 + 4:g}"'
            parts.append(f'<text class="tick mid ink" {at}>{text}</text>')
    return parts


def reliability(plot: Plot) -> str:
    """Accuracy against confidence with intervals; below, how many images each point rests on."""
    ((_, points),) = plot.series.items()
    axes = Axes([0, 1], [0, 1])
    (x0, y0), (x1, y1) = axes.at(0, 0), axes.at(1, 1)
    parts = [*axes.frame(plot), f'<path class="diagonal" d="M{x0} {y0}L{x1} {y1}"/>']
    path = ""
    for confidence, accuracy, *more in points:
        if confidence is None or accuracy is None:
            continue
        across, down = axes.at(confidence, accuracy)
        path += f"{'L' if path else 'M'}{across} {down}"
        low, high, count = more[:3] if len(more) >= 3 else (None, None, None)
        told = f"confidence {confidence:.3f}, accuracy {accuracy:.3f}" + (f", n = {count:g}" if count else "")
        if low is not None and high is not None:
            parts.append(f'<path class="whisker" d="M{across} {axes.at(0, low)[1]}V{axes.at(0, high)[1]}"/>')
        parts.append(f'<circle class="c0" cx="{across}" cy="{down}" r="4"><title>{told}</title></circle>')
    strip = _strip(points, axes)
    line = f'<path class="line c0" d="{path or "M0 0"}"/>'
    return svg(plot, [*parts, line, *strip], height=HEIGHT + (STRIP + 8 if strip else 0))


def _strip(points: Sequence[Sequence[float | None]], axes: Axes) -> list[str]:
    """Bars of the counts, from edge to edge of each bin; nothing where they were not told."""
    told = [(float(p[4] or 0), float(p[5] or 0), float(p[6] or 0)) for p in points if len(p) >= 7]
    most, foot = max((count for count, *_ in told), default=0), HEIGHT + STRIP
    parts = []
    for count, left, right in told:
        x, end = axes.at(left, 0)[0], axes.at(right, 0)[0]
        high = round(count / most * (STRIP - 14), 2) if most else 0
        box = f'x="{x + 0.5:g}" y="{foot - high:g}" width="{end - x - 1:g}" height="{high:g}"'
        parts.append(f'<rect class="c0" fill-opacity="0.55" {box}><title>n = {count:g}</title></rect>')
    told_most = f"{most:g}" if most < 1000 else f"{most / 1000:.1f}k"
    if parts:
        parts.append(f'<path class="grid" d="M{LEFT} {foot}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{foot}">≤ {told_most}</text>')
    return parts


def histogram(plot: Plot) -> str:
    """Counts between edges."""
    ((name, bars),) = plot.series.items()
    told = [(float(b[0] or 0), float(b[1] or 0), float(b[2] or 0)) for b in bars] or [(0.0, 1.0, 0.0)]
    edges = [*(left for left, *_ in told), *(right for _, right, _ in told)]
    axes = Axes([*edges, *plot.marks.values()], [0.0, max(count for *_, count in told) or 1.0])
    foot, parts = HEIGHT - BOTTOM, []
    for left, right, count in told:
        (x, head), (end, _) = axes.at(left, count), axes.at(right, count)
        told_here = f"{escape(name)} {left:.4g} to {right:.4g}: {count:g}"
        box = f'x="{x}" y="{head}" width="{max(0.5, end - x - 0.5):.2f}" height="{foot - head:g}"'
        parts.append(f'<rect class="c0" {box}><title>{told_here}</title></rect>')
    return svg(plot, [*parts, *axes.frame(plot)])

"""The frame every figure is drawn in: round ticks, scales, legend, one `<svg>` with its description."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from eval.report.document import Plot

__all__ = ["BOTTOM", "COLOURS", "HEIGHT", "LEFT", "RIGHT", "TOP", "WIDTH", "Axes", "legend", "svg", "ticks"]

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 44
COLOURS = ("c0", "c1", "c2", "c3", "c4", "c5")  # classes of the style sheet; safe for colour-blind readers
NAME = 21  # characters of a legend's entry; the rest is in its tooltip


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that cover [low, high]; steps of 1, 2 or 5 times a power of ten."""
    if not low < high:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def svg(plot: Plot, body: Sequence[str], *, width: float = WIDTH, height: float = HEIGHT) -> str:
    """The figure with its title and what it shows in words."""
    title = escape(plot.title)
    axes = f": {escape(plot.y)} against {escape(plot.x)}" if plot.x else ""
    return (
        f'<svg class="plot" role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{title}</title><desc>{title}{axes}</desc>'
        + "".join(body)
        + "</svg>"
    )


def legend(number: int, name: str, *, top: float = HEIGHT) -> list[str]:
    """One entry, three to a row below the axis, where no line can be."""
    x, y = LEFT + 152 * (number % 3), top + 10 + 16 * (number // 3)
    colour = COLOURS[number % len(COLOURS)]
    told = name if len(name) <= NAME else name[: NAME - 1] + "…"
    return [
        f'<rect class="{colour}" x="{x}" y="{y - 8}" width="12" height="8"/>',
        f'<text class="tick" x="{x + 18}" y="{y}">{escape(told)}<title>{escape(name)}</title></text>',
    ]


class Axes:
    """Maps data to the drawing and draws the frame."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        self.x_ticks, self.y_ticks = ticks(min(x), max(x)), ticks(min(y), max(y))
        self.x0, self.x1 = self.x_ticks[0], self.x_ticks[-1]
        self.y0, self.y1 = self.y_ticks[0], self.y_ticks[-1]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the data is drawn."""
        across = LEFT + (x - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)
        return round(across, 2), round(down, 2)

    def frame(self, plot: Plot, *, x_labels: bool = True) -> list[str]:
        """Grid, ticks, the names of the axes, and the upright lines of `plot.marks`."""
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
        for number, (name, x) in enumerate(plot.marks.items()):
            (across, foot), (_, head) = self.at(x, self.y0), self.at(x, self.y1)
            parts.append(f'<path class="diagonal" d="M{across} {foot}V{head}"/>')
            parts.append(
                f'<text class="tick" x="{across + 4}" y="{head + 10 + 13 * number}">{escape(name)}</text>'
            )
        return parts

"""A search as a picture: how the best grew, and the figure by each field that was changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_search"]

DOT, BEST, GREY = "#0072b2", "#d55e00", "#777777"  # safe for colour-blind readers
COLUMNS = 3


def draw_search(
    trials: Sequence[tuple[int, Mapping[str, Any], float | None]],
    path: Path,
    *,
    figure: str,
    larger: bool,
    logs: Collection[str],
) -> None:
    """Write a PNG of trials given as (number, values, figure); those without a figure are left out.

    Args:
        logs: fields that are shown on a logarithmic axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = sorted((t for t in trials if t[2] is not None), key=lambda t: t[0])
    if not known:
        return
    fields = list(known[0][1])
    rows = -(-(1 + len(fields)) // COLUMNS)
    canvas = Figure(figsize=(3.4 * min(COLUMNS, 1 + len(fields)), 2.8 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(canvas)
    wide = min(COLUMNS, 1 + len(fields))
    panels = canvas.subplots(rows, wide, sharey=True, squeeze=False).ravel()
    figures = np.array([t[2] for t in known], np.float64)
    best = int(figures.argmax() if larger else figures.argmin())
    growing = np.maximum.accumulate(figures) if larger else np.minimum.accumulate(figures)
    numbers = [t[0] for t in known]
    panels[0].step(numbers, growing, where="post", color=GREY, label="best so far")
    _dots(panels[0], numbers, figures, best)
    panels[0].set_xlabel("trial")
    panels[0].legend(frameon=False, fontsize="small")
    for panel, field in zip(panels[1:], fields, strict=False):
        _by_field(panel, [t[1][field] for t in known], figures, best, log=field in logs)
        panel.set_xlabel(field)
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[1 + len(fields) :]:
        panel.set_visible(False)
    for panel in panels[::wide]:
        panel.set_ylabel(figure.replace("_", " "))
    canvas.suptitle(
        f"{len(known)} trials; best {figures[best]:.4f} in trial {numbers[best]}", fontsize="medium"
    )
    canvas.savefig(path, dpi=110, metadata={"Software": None})


def _by_field(panel: Axes, values: Sequence[Any], figures: Any, best: int, *, log: bool) -> None:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        _dots(panel, values, figures, best)
        if log:
            panel.set_xscale("log")
        return
    names = list(dict.fromkeys(map(str, values)))
    _dots(panel, [names.index(str(v)) for v in values], figures, best)
    panel.set_xticks(range(len(names)), names)


def _dots(panel: Axes, x: Sequence[Any], y: Any, best: int) -> None:
    panel.scatter(x, y, s=18, color=DOT, zorder=3)
    panel.scatter([x[best]], [y[best]], s=60, facecolors="none", edgecolors=BEST, linewidths=1.8, zorder=4)

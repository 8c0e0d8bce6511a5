"""Learning curves: what each epoch came to, as a picture, and whether too much or too little was learnt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIT", "Curve", "draw", "read", "verdict"]

Curve: TypeAlias = Sequence[dict[str, float]]
LEAST = 8  # epochs; fewer tell nothing
RISE, FALL = 0.05, 0.05
FIT = (
    "Over-fitting: the held-out loss of the last quarter lies over 5 % above its least before that, while "
    "the training loss went on falling. Under-fitting: both still fell by over 5 % within the last quarter."
)
LEARNT, HELD, GREY = "#0072b2", "#d55e00", "#777777"  # safe for colour-blind readers


def read(folder: Path) -> Curve:
    """The rows of `curve.json`, one an epoch. Raises ValueError when there are none."""
    path = folder / "curve.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} must be the curve of a training: {error}") from error
    if (
        not isinstance(rows, list)
        or not all(isinstance(row, dict) and "loss" in row for row in rows)
        or not rows
    ):
        raise ValueError(f"{path} must hold a row with a loss for each epoch")
    return rows


def verdict(curve: Curve) -> str:
    """`over-fitting since epoch N`, `under-fitting`, `settled`, or that nothing can be said; see `FIT`."""
    losses = np.array([row["loss"] for row in curve])
    held = np.array([row.get("held_loss", np.nan) for row in curve])
    if len(curve) < LEAST or not np.isfinite([losses, held]).all():
        return f"needs {LEAST} epochs and a held-out loss to be judged"
    last = slice(len(curve) - len(curve) // 4, None)
    best = int(held[: last.start].argmin())
    if held[last].mean() > held[best] * (1 + RISE) and losses[last].mean() < losses[best]:
        return f"over-fitting since epoch {best + 1}"
    if all(_fallen(values[last]) > FALL for values in (losses, held)):
        return "under-fitting: both losses still fall"
    return "settled"


def _fallen(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The fall along a straight line through the values, as a share of where it begins."""
    slope, begin = np.polyfit(np.arange(len(values)), values, 1)
    return float(-slope * (len(values) - 1) / begin) if begin > 0 else 0.0


def draw(curve: Curve, path: Path, *, title: str) -> None:
    """Write a PNG: losses, held-out figures and learning rate by epoch, with the verdict."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = sorted({name for row in curve for name in row if "held_" in name and not name.endswith("loss")})
    parts = [2, *([1.4] if names else []), 0.8]
    figure = Figure(figsize=(7.2, 1.6 + 1.5 * sum(parts)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(parts), 1, sharex=True, height_ratios=parts, squeeze=False)[:, 0]
    epochs = np.arange(1, len(curve) + 1)
    _losses(panels[0], curve, epochs)
    for name, colour in zip(names, (HELD, "#009e73", "#cc79a7"), strict=False):
        values = [row.get(name, np.nan) for row in curve]
        label = f"{name.replace('_', ' ')}, at the end {values[-1]:.4f}"
        panels[1].plot(epochs, values, color=colour, label=label, **_marked(epochs))
    panels[-1].plot(epochs, [row["rate"] for row in curve], color=GREY, **_marked(epochs))
    panels[-1].set_ylabel("rate")
    panels[-1].set_xlabel("epoch")
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False, loc="best", fontsize="small")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    seconds = sum(row.get("seconds", 0.0) for row in curve)
    figure.suptitle(f"{title}: {verdict(curve)}\n{len(curve)} epochs, {seconds:.0f} s", fontsize="medium")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _losses(panel: Axes, curve: Curve, epochs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """Training and held-out loss; what lies between them is shaded, the least held-out loss marked."""
    losses = np.array([row["loss"] for row in curve])
    held = np.array([row.get("held_loss", np.nan) for row in curve])
    panel.plot(epochs, losses, color=LEARNT, label="training loss", **_marked(epochs))
    if np.isfinite(held).any():
        best = int(np.nanargmin(held))
        panel.plot(epochs, held, color=HELD, label="held-out loss", **_marked(epochs))
        panel.fill_between(epochs, losses, held, color=HELD, alpha=0.1, linewidth=0)
        panel.axvline(epochs[best], color=GREY, linestyle=":", label=f"least held-out loss: epoch {best + 1}")
    known = np.concatenate([losses, held])
    known = known[np.isfinite(known)]
    if (known > 0).all():
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}" if known.max() / known.min() < 10 else "")
    panel.set_ylabel("loss")


def _marked(epochs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, Any]:
    """Short curves have a dot at each epoch: one epoch alone would not be seen."""
    return {"marker": "." if len(epochs) <= 30 else "", "linewidth": 1.6}

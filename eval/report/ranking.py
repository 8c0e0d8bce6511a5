"""Each class against the rest: precision over recall, and the ROC curve, from the scores of all images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from eval.report.axes import COLOURS
from eval.report.document import Plot
from models.results import Array

__all__ = ["Ranked", "ranking_plots", "steps"]

POINTS = 150  # of a drawn curve
Curve = list[tuple[float, float]]


@runtime_checkable
class Ranked(Protocol):
    """A metric that kept every score."""

    def ranked(self) -> Iterator[tuple[int, Array, Array]]:
        """For each class: its index, float `(N,)` its scores, bool `(N,)` the images that are of it."""


def steps(scores: Array, positive: Array) -> tuple[Array, Array]:
    """How many positives and how many images score at least each distinct score, the highest first.

    Returns:
        int64 `(K,)` each, K the number of distinct scores.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
    return np.cumsum(positive[order])[last], np.flatnonzero(last) + 1


def ranking_plots(metric: Ranked, labels: Sequence[str]) -> list[Plot]:
    """Both figures; of more classes than can be told apart those of lowest average precision.

    Classes that no image, or every image, is of have no curve.
    """
    found: list[tuple[float, str, float, Curve, Curve]] = []
    for label, scores, positive in metric.ranked():
        wanted, others = int(positive.sum()), int((~positive).sum())
        if not wanted or not others:
            continue
        hits, count = steps(scores, positive)
        precision, recall, false = hits / count, hits / wanted, (count - hits) / others
        average = float((np.diff(recall, prepend=0) * precision).sum())
        over = np.concatenate([[[0, 0]], np.column_stack([false, recall])])
        area = float((np.diff(over[:, 0]) * (over[1:, 1] + over[:-1, 1]) / 2).sum())
        curve = np.concatenate([[[0, precision[0]]], np.column_stack([recall, precision])])
        found.append((average, labels[label], area, _thinned(curve), _thinned(over)))
    if not found:
        return []
    found.sort(key=lambda told: told[0])
    kept = found[: len(COLOURS)]
    some = "" if len(kept) == len(found) else f": the {len(kept)} worst of {len(found)} classes"
    by_recall = {f"{name} {average:.3f}": curve for average, name, _, curve, _ in kept}
    by_false = {f"{name} {area:.3f}": curve for _, name, area, _, curve in kept}
    return [
        Plot(
            "curves", f"Precision over recall, with average precision{some}", by_recall, "recall", "precision"
        ),
        Plot("roc", f"ROC, with its area{some}", by_false, "false positive rate", "true positive rate"),
    ]


def _thinned(points: Array) -> Curve:
    """Points spread over the length of the curve, both ends among them."""
    along = np.append(0.0, np.cumsum(np.abs(np.diff(points, axis=0)).sum(axis=1)))
    chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS)))
    return [(float(x), float(y)) for x, y in points[np.unique([0, *chosen, len(points) - 1])]]

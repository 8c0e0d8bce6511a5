"""How much came of it: paired differences of scores, of classes and of slices, each with how sure it is.

All are after minus before, on the images that both answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.comparison.columns import Columns
from eval.comparison.judged import MARGIN
from eval.comparison.states import comparable
from eval.metrics.base import Resampled
from eval.metrics.intervals import bootstrap, bootstrap_sums, mcnemar_exact, widened
from eval.metrics.labels import distinct
from eval.metrics.multiple import holm
from eval.metrics.paired import SCORES, Difference, tango
from eval.metrics.ratios import defined, ratio
from models.card import TaskName
from models.results import Array

__all__ = [
    "KEY",
    "ClassChange",
    "Paired",
    "SliceChange",
    "better_and_worse",
    "by_class",
    "by_slice",
    "key_scores",
    "scores_of",
]

KEY: Mapping[TaskName, tuple[str, ...]] = {
    "classification": (
        "accuracy", "top5_accuracy", "balanced_accuracy", "precision.macro", "recall.macro", "f1.macro",
        "mcc", "ece_error", "brier_loss", "nll_loss",
    ),
    "detection": ("ap", "ap50", "ap75", "ar100", "precision.micro", "recall.micro", "f1.micro", "fppi_error"),
    "segmentation": ("miou", "pixel_accuracy", "mean_accuracy", "dice.macro"),
}  # fmt: skip
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Paired:
    """One score of both, and the difference."""

    name: str
    before: float | None
    after: float | None
    difference: Difference


@dataclass(frozen=True, slots=True)
class ClassChange:
    """Recall of one class: the share of its images, objects or pixels that were right.

    Attributes:
        images: that have the class; `better` and `worse` of them.
        p: adjusted for all classes.
    """

    label: str
    before: float
    after: float
    difference: Difference
    better: int
    worse: int
    p: float


@dataclass(frozen=True, slots=True)
class SliceChange:
    """The task's score on the images of one slice. `p` is adjusted for all slices."""

    name: str
    value: str
    score: Paired
    better: int
    worse: int
    p: float


def key_scores(columns: Columns, **how: Any) -> list[Paired]:
    """The scores of `KEY` that there are for so many classes."""
    there = comparable(columns.task, columns.labels)
    return scores_of(columns, [name for name in KEY[columns.task] if name in there], **how)


def scores_of(
    columns: Columns,
    names: Sequence[str],
    *,
    where: Array | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Paired]:
    """Scores of both with their paired intervals.

    Shares of images have Tango's; all others the percentile bootstrap over images, every resample the same
    images for both.

    Differences: where no resample differs from any other, the interval reaches to both sides as far as
    `reach` says.

    Args:
        where: int64, only these images; by default all.
    """
    images = np.arange(columns.paired) if where is None else where
    found: dict[str, Paired] = {}
    for one, other in columns.resampled():
        for name in names:
            if name in one.hits and name not in found:
                found[name] = _share(name, one.hits[name][images], other.hits[name][images], confidence)
        drawn = [name for name in names if name in one.names and name not in found]
        if drawn:
            told = _drawn(drawn, (one, other), images, columns.paired, confidence, resamples, seed)
            found.update((paired.name, paired) for paired in told)
    return [found[name] for name in names]


def _lower(name: str) -> bool:
    return name.endswith(("_loss", "_error"))


def _share(name: str, before: Array, after: Array, confidence: float) -> Paired:
    n, gained, lost = len(before), int((after & ~before).sum()), int((before & ~after).sum())
    apart = (gained - lost) / n if n else None
    difference = Difference(apart, *tango(gained, lost, n, confidence), n, _lower(name))
    shares = [int(side.sum()) / n if n else None for side in (before, after)]
    return Paired(name, shares[0], shares[1], difference)


def _drawn(
    names: Sequence[str],
    sides: tuple[Resampled, Resampled],
    images: Array,
    size: int,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[Paired]:
    places = [[side.names.index(name) for name in names] for side in sides]

    def values(times: Array) -> list[Array]:
        whole = np.zeros((len(times), size), times.dtype)
        whole[:, images] = times
        return [side.values(whole)[:, at] for side, at in zip(sides, places, strict=True)]

    def apart(times: Array) -> Array:
        before, after = values(times)
        gap: Array = after - before
        return gap

    n = len(images)
    before, after = (v[0].tolist() for v in values(np.ones((1, n), np.int64)))
    intervals = bootstrap(apart, n, resamples=resamples, seed=seed, confidence=confidence)
    told = []
    for name, one, other, interval in zip(names, before, after, intervals, strict=True):
        value = defined(other - one)
        difference = Difference(value, *widened(interval, n, confidence), n, _lower(name))
        told.append(Paired(name, defined(one), defined(other), difference))
    return told


def better_and_worse(columns: Columns, where: Array | None = None) -> tuple[int, int]:
    """Images that became better and worse by more than the task's margin (`MARGIN`)."""
    mistakes = np.array(columns.mistakes).reshape(-1, 2)
    more = (mistakes[:, 1] - mistakes[:, 0])[slice(None) if where is None else where]
    margin = MARGIN[columns.task]
    return int((more < -margin).sum()), int((more > margin).sum())


def by_slice(columns: Columns, **how: Any) -> list[SliceChange]:
    """The task's score on every slice; exact McNemar of better against worse images, Holm over all slices."""
    found = []
    for name, values in sorted(columns.slices.items()):
        for value, members in sorted(values.items()):
            where = np.array(members)
            (score,) = scores_of(columns, [SCORES[columns.task]], where=where, **how)
            found.append((name, value, score, *better_and_worse(columns, where)))
    adjusted = holm([mcnemar_exact(better, worse) for *_, better, worse in found])
    return [SliceChange(*told, p) for told, p in zip(found, adjusted, strict=True)]


def by_class(
    columns: Columns, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> list[ClassChange]:
    """Recall of every class that the data has.

    Classification: Tango's interval. Detection and segmentation: the bootstrap over the images that have the
    class. The test is McNemar's, exact, of images with more of the class right against those with less; Holm
    over all classes.
    """
    rows = np.concatenate([np.zeros((0, 5), np.int64), *columns.classes])
    rows = rows[np.argsort(rows[:, 1], kind="stable")]
    names = distinct(columns.labels)
    numbers, starts = np.unique(rows[:, 1], return_index=True)
    found = []
    for number, own in zip(numbers.tolist(), np.split(rows[:, 2:], starts[1:]), strict=False):
        better, worse = int((own[:, 1] > own[:, 0]).sum()), int((own[:, 1] < own[:, 0]).sum())
        n, (one, other) = len(own), (float(own[:, side].sum() / own[:, 2].sum()) for side in (0, 1))
        if columns.task == "classification":
            interval = tango(better, worse, n, confidence)
        else:
            (drawn,) = bootstrap_sums(own, _apart, resamples=resamples, seed=seed, confidence=confidence)
            interval = widened(drawn, n, confidence)
        found.append((names[number], one, other, Difference(other - one, *interval, n), better, worse))
    adjusted = holm([mcnemar_exact(better, worse) for *_, better, worse in found])
    return [ClassChange(*told, p) for told, p in zip(found, adjusted, strict=True)]


def _apart(sums: Array) -> Array:
    """`(R, 3)` right before, right after, all -> `(R, 1)`."""
    return ratio(sums[:, 1] - sums[:, 0], sums[:, 2])[:, None]

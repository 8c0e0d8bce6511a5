"""COCO's twelve numbers, and how sure the first two are, from matched images.

Equal to `pycocotools.cocoeval.COCOeval` digit for digit: 101 recall levels, precision made monotone
from the right, unreachable recall counted as 0, at most 100 detections per image and class, classes
without objects left out, and average recall as the last recall, not an integral. COCO's -1 is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.metrics.base import Score
from eval.metrics.intervals import Interval, bootstrap
from eval.metrics.matching import AREAS, HIT, IGNORED, MISS, Matches
from eval.metrics.ratios import defined
from models.results import Array

__all__ = ["IOUS", "MOST", "Table", "average_precision", "average_precision_intervals", "coco_scores"]

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = (1, 10, 100)
SIZES = ("small", "medium", "large")


class Table:
    """Matched images as columns; detections by class, then best score first, then image.

    Attributes:
        images: how many.
        starts: int64 `(C + 1,)`; class k has detections `starts[k]` to `starts[k + 1]`.
        image, rank, scores: `(D,)` of the detections.
        outcome: int8 `(areas, thresholds, D)`.
        truth, truth_image: int64 `(G,)`, class and image of the objects.
        ignored: bool `(areas, G)`.
    """

    def __init__(self, matches: Iterable[Matches], classes: int, thresholds: int) -> None:
        ordered = sorted(matches, key=Matches.key)
        self.images, self.classes = len(ordered), classes
        empty = np.zeros(0, np.int64)
        found = np.array([len(m.labels) for m in ordered], np.int64)
        wanted = np.array([len(m.truth) for m in ordered], np.int64)
        labels = np.concatenate([empty, *(m.labels for m in ordered)])
        scores = np.concatenate([np.zeros(0), *(m.scores for m in ordered)])
        order = np.lexsort((-scores, labels))
        self.starts = np.searchsorted(labels[order], np.arange(classes + 1))
        self.image = np.repeat(np.arange(self.images), found)[order]
        self.rank = np.concatenate([empty, *(m.rank for m in ordered)])[order]
        self.scores = scores[order]
        none = np.zeros((len(AREAS), thresholds, 0), np.int8)
        self.outcome = np.concatenate([none, *(m.outcome for m in ordered)], axis=2)[:, :, order]
        self.truth = np.concatenate([empty, *(m.truth for m in ordered)])
        self.truth_image = np.repeat(np.arange(self.images), wanted)
        self.ignored = np.concatenate([none[:, 0].astype(bool), *(m.ignored for m in ordered)], axis=1)

    def rows(self, label: int) -> slice:
        """The detections of one class."""
        return slice(int(self.starts[label]), int(self.starts[label + 1]))

    def positives(self, area: int = 0, times: Array | None = None) -> Array:
        """int64 `(C,)`: objects of each class that count, images weighted by `times`."""
        real = ~self.ignored[area]
        weights = None if times is None else times[self.truth_image[real]]
        return np.bincount(self.truth[real], weights, self.classes).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One class's detections, ready to be counted again and again under other image weights.

    Precision is highest at hits, so only detections that are a hit or ignored at some threshold are
    kept apart; the others are false at every threshold and only their running number matters.

    Attributes:
        image: int64 `(D,)`.
        false: bool `(D,)`, false at every threshold.
        kept: int64 `(K,)`, places of the rest.
        hits, misses: bool `(T, K)`.
    """

    image: Array
    false: Array
    kept: Array
    hits: Array
    misses: Array

    @staticmethod
    def of(table: Table, label: int, area: int) -> Curve:
        rows = table.rows(label)
        counted = table.rank[rows] < MOST[-1]
        outcome = table.outcome[area, : len(IOUS), rows][:, counted]
        false = (outcome == MISS).all(axis=0)
        kept = np.flatnonzero(~false & (outcome != IGNORED).any(axis=0))
        return Curve(
            table.image[rows][counted], false, kept, outcome[:, kept] == HIT, outcome[:, kept] == MISS
        )

    def precision(self, times: Array, positives: int) -> Array:
        """float64 `(T, 101)`: interpolated precision at each recall; image i counts `times[i]`-fold."""
        weight = times[self.image]
        before = np.cumsum(weight * self.false)[self.kept]
        hits = np.cumsum(self.hits * weight[self.kept], axis=1).astype(np.float64)
        misses = (before + np.cumsum(self.misses * weight[self.kept], axis=1)).astype(np.float64)
        recall = hits / positives
        precision = hits / (misses + hits + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        levels = np.zeros((len(hits), len(RECALLS)))
        for level, reached, best in zip(levels, recall, precision, strict=True):
            first = np.searchsorted(reached, RECALLS, side="left")
            first = first[first < len(best)]
            level[: len(first)] = best[first]
        return levels


def coco_scores(
    table: Table, labels: Sequence[str], intervals: Sequence[Interval], kind: str = ""
) -> list[Score]:
    """The twelve numbers, then `ap.class.<label>`.

    Args:
        labels: distinct class names.
        intervals: of `ap` and `ap50`.
        kind: put into the definition ids, e.g. `segm/`.
    """
    precision, recall = _accumulate(table)
    objects = [int(table.positives(area).sum()) for area in range(len(AREAS))]
    ap, ap50 = intervals
    id_ap, id_ar = f"coco/{kind}AP@[.50:.95]", f"coco/{kind}AR@[.50:.95]"
    whole = precision[..., 0]
    scores = [
        Score("ap", _mean(whole), objects[0], id_ap, *ap),
        Score("ap50", _mean(whole[0]), objects[0], f"coco/{kind}AP@.50", *ap50),
        Score("ap75", _mean(whole[5]), objects[0], f"coco/{kind}AP@.75"),
    ]
    sized = list(enumerate(SIZES, start=1))
    scores += [Score(f"ap.{s}", _mean(precision[..., a]), objects[a], f"{id_ap},area={s}") for a, s in sized]
    for place, most in enumerate(MOST):
        scores.append(Score(f"ar{most}", _mean(recall[..., 0, place]), objects[0], f"{id_ar},max={most}"))
    scores += [
        Score(f"ar.{s}", _mean(recall[..., a, -1]), objects[a], f"{id_ar},max=100,area={s}") for a, s in sized
    ]
    positives = table.positives().tolist()
    return scores + [
        Score(f"ap.class.{name}", _mean(whole[:, :, k]), positives[k], id_ap) for k, name in enumerate(labels)
    ]


def average_precision(table: Table) -> Callable[[Array], Array]:
    """`ap` and `ap50` of resampled images, in the form `bootstrap` takes; nothing is matched again.

    Images are numbered by their ids, so that two versions' answers to the same images can be resampled
    alike.

    Differences: on resampled images equal scores keep the order of the images, as if a copy stood
    beside its original detection by detection.
    """
    curves = [Curve.of(table, label, 0) for label in range(table.classes)]

    def statistic(all_times: Array) -> Array:
        values = []
        for times in all_times:
            there = zip(curves, table.positives(0, times).tolist(), strict=True)
            levels = np.array([curve.precision(times, objects) for curve, objects in there if objects])
            values.append([levels.mean(), levels[:, 0].mean()] if len(levels) else [np.nan, np.nan])
        return np.array(values)

    return statistic


def average_precision_intervals(table: Table, resamples: int, seed: int) -> tuple[Interval, Interval]:
    """95 % percentile bootstrap intervals over images of `ap` and `ap50`."""
    ap, ap50 = bootstrap(average_precision(table), table.images, resamples=resamples, seed=seed)
    return ap, ap50


def _accumulate(table: Table) -> tuple[Array, Array]:
    """Precision `(T, 101, C, areas)` and recall `(T, C, areas, most)`; NaN for classes without objects."""
    precision = np.full((len(IOUS), len(RECALLS), table.classes, len(AREAS)), np.nan)
    recall = np.full((len(IOUS), table.classes, len(AREAS), len(MOST)), np.nan)
    once = np.ones(table.images, np.int64)
    for area in range(len(AREAS)):
        for label, positives in enumerate(table.positives(area).tolist()):
            if not positives:
                continue
            precision[:, :, label, area] = Curve.of(table, label, area).precision(once, positives)
            rows = table.rows(label)
            hits = table.outcome[area, : len(IOUS), rows] == HIT
            for place, most in enumerate(MOST):
                recall[:, label, area, place] = (hits & (table.rank[rows] < most)).sum(axis=1) / positives
    return precision, recall


def _mean(values: Array) -> float | None:
    """Mean of what is defined, summed in pycocotools' order."""
    there = values[~np.isnan(values)]
    return defined(float(np.mean(there))) if there.size else None

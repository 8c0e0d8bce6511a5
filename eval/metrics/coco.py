"""COCO's twelve numbers, and how sure they are, from matched images.

Equal to `pycocotools.cocoeval.COCOeval` digit for digit: 101 recall levels, precision made monotone
from the right, unreachable recall counted as 0, at most 100 detections per image and class, classes
without objects left out, and average recall as the last recall, not an integral. COCO's -1 is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from eval.metrics.base import Score
from eval.metrics.curves import IOUS, RECALLS, Curve, Table
from eval.metrics.matching import AREAS, MOST
from eval.metrics.ratios import defined, ratio
from models.results import Array

__all__ = ["TWELVE", "average_precision", "coco_scores", "precision_recall"]

SIZES: Final = ("small", "medium", "large")
AP, AR = "AP@[.50:.95]", "AR@[.50:.95]"
TWELVE: Final = {  # name: area and definition
    "ap": (0, AP),
    "ap50": (0, "AP@.50"),
    "ap75": (0, "AP@.75"),
    **{f"ap.{size}": (area, f"{AP},area={size}") for area, size in enumerate(SIZES, start=1)},
    **{f"ar{most}": (0, f"{AR},max={most}") for most in MOST},
    **{f"ar.{size}": (area, f"{AR},max=100,area={size}") for area, size in enumerate(SIZES, start=1)},
}


def coco_scores(table: Table, labels: Sequence[str], kind: str = "") -> list[Score]:
    """The twelve numbers, then `ap.class.<label>`.

    Args:
        labels: distinct class names.
        kind: put into the definition ids, e.g. `segm/`.
    """
    precision, recall = _accumulate(table)
    whole = precision[..., 0]
    values = [whole, whole[0], whole[5], *(precision[..., a] for a in (1, 2, 3))]
    values += [*(recall[..., 0, m] for m in range(len(MOST))), *(recall[..., a, -1] for a in (1, 2, 3))]
    values += [whole[:, :, k] for k in range(table.classes)]
    positives = table.positives().tolist()
    objects = [int(table.positives(area).sum()) for area in range(len(AREAS))]
    told = [(name, objects[area], definition) for name, (area, definition) in TWELVE.items()]
    told += [(f"ap.class.{name}", positives[k], AP) for k, name in enumerate(labels)]
    read = zip(told, values, strict=True)
    return [Score(name, _mean(v), support, f"coco/{kind}{rule}") for (name, support, rule), v in read]


def average_precision(table: Table) -> Callable[[Array], Array]:
    """The twelve numbers and AP of each class under other weights of the images, as `bootstrap` takes it.

    Nothing is matched again: int `(R, images)`, how often each image counts, in the order of the table,
    gives float64 `(R, 12 + C)`; NaN where a number is undefined.

    Differences: on resampled images equal scores keep the order of the images, as if a copy stood
    beside its original detection by detection.
    """
    classes = range(table.classes)
    curves = [[Curve.of(table, label, area) for label in classes] for area in range(len(AREAS))]
    recalled = [_Recall(table, 0, most) for most in MOST]
    recalled += [_Recall(table, area, MOST[-1]) for area in range(1, len(AREAS))]

    def statistic(times: Array) -> Array:
        times = times.astype(np.int32)
        whole = [_summary(curve.average(times)) for curve in curves[0]]
        columns = [*np.array(whole).transpose(1, 0, 2)]
        columns += [np.array([_summary(curve.average(times))[0] for curve in row]) for row in curves[1:]]
        columns += [recall(times) for recall in recalled]
        return np.concatenate([[_mean_over(column) for column in columns], columns[0]]).T

    return statistic


def precision_recall(table: Table, label: int, iou: float = 0.5) -> Array:
    """float64 `(101,)`: interpolated precision of one class at recall 0, 0.01 ... 1; NaN without objects.

    Args:
        iou: one of COCO's thresholds.

    Raises:
        ValueError: it is not.
    """
    place = np.flatnonzero(np.isclose(IOUS, iou))
    if not len(place):
        raise ValueError(f"iou must be one of {IOUS.round(2).tolist()}, got {iou}")
    curve = Curve.of(table, label, 0)
    level: Array = curve.precision()[place[0]] if len(curve.truth) else np.full(len(RECALLS), np.nan)
    return level


class _Recall:
    """Average recall of every class under other weights of the images; a sum over hits."""

    def __init__(self, table: Table, area: int, most: int) -> None:
        found = table.found
        thresholds = np.bitwise_count(found["hit"][:, area] & ((1 << len(IOUS)) - 1))
        kept = (thresholds > 0) & (found["rank"] < most)
        self._image, self._hits = found["image"][kept], thresholds[kept].astype(np.int64)
        self._starts = np.searchsorted(found["label"][kept], np.arange(table.classes))
        real = table.wanted[~table.wanted["ignored"][:, area]]
        self._truth = np.ascontiguousarray(real["image"])
        self._truths = np.searchsorted(real["label"], np.arange(table.classes))

    def __call__(self, times: Array) -> Array:
        """float64 `(C, R)`; NaN without objects."""
        rows = []
        for row in times:
            hits = _sums(row[self._image] * self._hits, self._starts)
            rows.append(ratio(hits, len(IOUS) * _sums(row[self._truth], self._truths)))
        return np.array(rows).reshape(-1, len(self._starts)).T


def _sums(values: Array, starts: Array) -> Array:
    """Sum of each group; groups may be empty."""
    running = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.diff(running[np.append(starts, len(values))])


def _summary(values: Array) -> Array:
    """`(R, T)` -> `(3, R)`: over all thresholds, at 0.5, at 0.75."""
    return np.stack([values.mean(axis=1), values[:, 0], values[:, 5]])


def _mean_over(values: Array) -> Array:
    """Mean over the classes of `(C, R)`, of those that are defined."""
    return ratio(np.nansum(values, axis=0), np.isfinite(values).sum(axis=0))


def _accumulate(table: Table) -> tuple[Array, Array]:
    """Precision `(T, 101, C, areas)` and recall `(T, C, areas, most)`; NaN for classes without objects."""
    precision = np.full((len(IOUS), len(RECALLS), table.classes, len(AREAS)), np.nan)
    recall = np.full((len(IOUS), table.classes, len(AREAS), len(MOST)), np.nan)
    bits = 1 << np.arange(len(IOUS))[:, None]
    for area in range(len(AREAS)):
        for label, positives in enumerate(table.positives(area).tolist()):
            if not positives:
                continue
            precision[:, :, label, area] = Curve.of(table, label, area).precision()
            rows = table.rows(label)
            hits = (rows["hit"][:, area] & bits) != 0
            for place, most in enumerate(MOST):
                recall[:, label, area, place] = (hits & (rows["rank"] < most)).sum(axis=1) / positives
    return precision, recall


def _mean(values: Array) -> float | None:
    """Mean of what is defined, summed in pycocotools' order."""
    there = values[~np.isnan(values)]
    return defined(float(np.mean(there))) if there.size else None

"""How much better one version is than another on the same images, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from eval.metrics.coco import average_precision
from eval.metrics.detection import DetectionMetric
from eval.metrics.intervals import NORMAL, Interval, bootstrap
from eval.metrics.pairs import require_pairs, scores_and_truth
from eval.metrics.ratios import ratio
from eval.metrics.segmentation import SegmentationMetric
from models.card import TaskName
from models.results import Array, Classification

__all__ = ["SCORES", "Difference", "paired_difference", "tango"]

SCORES: Mapping[TaskName, str] = {"classification": "accuracy", "detection": "ap", "segmentation": "miou"}
RESAMPLES = 1000
STEPS = 60  # of the bisection: below the last bit


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one score, first version minus second, on the same images.

    Attributes:
        value: None where the score is undefined for either.
        low, high: the 95 % interval.
        support: images.
    """

    value: float | None
    low: float | None
    high: float | None
    support: int


def tango(gained: int, lost: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of the difference of two paired proportions (Tango, 1998, Statistics in Medicine 17).

    It asks for evidence even where both versions answer alike: without one discordant pair among n it
    still reaches to z^2 / (n + z^2) on both sides, where a bootstrap would be of no width.

    Args:
        gained: images only the first version got right.
        lost: images only the second got right.
        n: images; none for 0.

    Raises:
        ValueError: counts that no n images have, or confidence not in (0, 1).
    """
    if min(gained, lost) < 0 or gained + lost > n:
        raise ValueError(f"gained and lost must be counts within n={n}, got {gained} and {lost}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if n == 0:
        return None, None
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    point = (gained - lost) / n
    low = _bisected(lambda delta: _score(gained, lost, n, delta) > z, -1.0, point)
    high = _bisected(lambda delta: _score(gained, lost, n, delta) >= -z, point, 1.0)
    return low, high


def _score(gained: int, lost: int, n: int, delta: float) -> float:
    """Tango's statistic: how far the counts lie from a true difference of `delta`; falls with it."""
    a, b = 2.0 * n, -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)  # of images lost, most likely under delta
    variance = n * (2 * share + delta * (1 - delta))
    apart = gained - lost - n * delta
    if variance <= 0:
        return math.copysign(math.inf, apart) if apart else 0.0
    return apart / math.sqrt(variance)


def _bisected(beyond: Callable[[float], bool], low: float, high: float) -> float:
    """Where `beyond` turns from true to false."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return (low + high) / 2


def paired_difference(
    task: TaskName,
    labels: Sequence[str],
    first: Sequence[Any],
    second: Sequence[Any],
    expected: Sequence[Any],
) -> Difference:
    """The difference of the task's score (`SCORES`) between two versions' answers to the same images.

    Accuracy has Tango's interval; AP and mIoU the percentile bootstrap over images, 1,000 resamples,
    every resample the same images for both.

    Raises:
        ValueError: answers and truths do not pair up.
    """
    require_pairs(first, expected)
    require_pairs(second, expected)
    n = len(expected)
    if task == "classification":
        mine, other = (_right(answers, expected, len(labels)) for answers in (first, second))
        gained, lost = int((mine & ~other).sum()), int((other & ~mine).sum())
        return Difference((gained - lost) / n if n else None, *tango(gained, lost, n), n)
    makers = {"detection": _average_precision, "segmentation": _mean_iou}
    mine_of, other_of = (makers[task](labels, answers, expected) for answers in (first, second))

    def apart(times: Array) -> Array:
        return cast("Array", mine_of(times) - other_of(times))

    value = float(apart(np.ones((1, n), np.int64))[0, 0])
    ((low, high),) = bootstrap(apart, n, resamples=RESAMPLES)
    return Difference(None if math.isnan(value) else value, low, high, n)


def _right(answers: Sequence[Classification], expected: Sequence[int], classes: int) -> Array:
    scores, truth = scores_and_truth(answers, expected, classes)
    right: Array = scores.argmax(axis=1) == truth
    return right


def _average_precision(
    labels: Sequence[str], answers: Sequence[Any], expected: Sequence[Any]
) -> Callable[[Array], Array]:
    metric = DetectionMetric(labels, resamples=0)
    metric.update(answers, expected)
    statistic = average_precision(metric.table())
    return lambda times: statistic(times)[:, :1]


def _mean_iou(
    labels: Sequence[str], answers: Sequence[Any], expected: Sequence[Any]
) -> Callable[[Array], Array]:
    classes, rows = len(labels), []
    for answer, truth in zip(answers, expected, strict=True):
        metric = SegmentationMetric(labels, resamples=0)
        metric.update([answer], [truth])
        rows.append(metric.confusion.ravel())
    counts = np.array(rows, np.float64).reshape(-1, classes * classes)

    def statistic(times: Array) -> Array:
        confusion = (times @ counts).reshape(-1, classes, classes)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        iou = ratio(hits, confusion.sum(axis=1) + confusion.sum(axis=2) - hits)
        return ratio(np.nansum(iou, axis=1), np.isfinite(iou).sum(axis=1))[:, None]

    return statistic

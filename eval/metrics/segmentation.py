"""mIoU and its relatives, from pixel counts over the whole data set as Cityscapes and MMSegmentation do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.intervals import RESAMPLES, bootstrap_sums
from eval.metrics.labels import distinct
from eval.metrics.pairs import label_maps, require_pairs
from eval.metrics.ratios import defined, f_measure, ratio
from models.results import Array, Segmentation

__all__ = ["SegmentationMetric"]

AVERAGES = (
    ("miou", "cityscapes/mIoU"),
    ("pixel_accuracy", "mmseg/aAcc"),
    ("mean_accuracy", "mmseg/mAcc"),
    ("fwiou", "fcn/frequency_weighted_IoU"),
    ("dice.macro", "mmseg/mDice"),
)


class SegmentationMetric(Metric[Segmentation, Array]):
    """Pixel counts of (true class, predicted class) over pixels whose true class is not `ignore_index`.

    `miou` is the mean over classes of TP / (TP + FP + FN) with counts over all images, not the mean
    over images. Classes in neither truth nor predictions are left out of the means; a class that is
    only predicted counts with IoU 0. Intervals are 95 % percentile bootstrap over images.

    Differences: MMSegmentation drops predictions that are no class; here they are an error.

    Args:
        labels: class names, index = class.
        ignore_index: value of expected pixels that do not count.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(
        self, labels: Sequence[str], *, ignore_index: int = 255, resamples: int = RESAMPLES, seed: int = 0
    ) -> None:
        self._labels = distinct(labels)
        self._ignore = ignore_index
        self._resamples, self._seed = resamples, seed
        self._confusion = np.zeros((len(labels), len(labels)), np.int64)
        self._images: list[Array] = []  # int64 (3 C,): hits, true and predicted pixels of each class

    @property
    def confusion(self) -> Array:
        """int64 `(C, C)` pixels, `[true, predicted]`; a copy."""
        return self._confusion.copy()

    def update(self, predicted: Sequence[Segmentation], expected: Sequence[Array]) -> None:
        """Add one batch; every truth is an integer `(H, W)` label map of the shape of its answer.

        Raises:
            ValueError: unequal lengths or shapes, a truth that is not integers, or a pixel that is
                no class.
        """
        require_pairs(predicted, expected)
        counted = [self._count(p.labels, e) for p, e in zip(predicted, expected, strict=True)]
        for counts in counted:
            self._confusion += counts
            self._images.append(np.concatenate([np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)]))

    def _count(self, predicted: Array, expected: Array) -> Array:
        classes = len(self._labels)
        guess, truth = label_maps(predicted, expected, classes, self._ignore)
        # What is void is one more class, and dropped.
        pairs = truth.ravel().astype(np.int64) * (classes + 1) + guess.ravel()
        return np.bincount(pairs, minlength=(classes + 1) ** 2).reshape(classes + 1, -1)[:-1, :-1]

    def merge(self, other: Self) -> None:
        if (self._labels, self._ignore) != (other._labels, other._ignore):
            mine, theirs = (self._labels, self._ignore), (other._labels, other._ignore)
            raise ValueError(f"labels and ignore_index must be the same, got {mine} and {theirs}")
        self._confusion += other._confusion
        self._images += other._images

    def _rows(self) -> Array:
        return np.array(self._images, np.int64).reshape(-1, 3 * len(self._labels))

    def resampled(self) -> Resampled:
        rows = self._rows().astype(np.float64)
        names = [name for name, _ in AVERAGES]
        names += [f"{kind}.class.{label}" for kind in ("iou", "dice") for label in self._labels]
        return Resampled(tuple(names), lambda times: _numbers(times @ rows))

    def compute(self) -> list[Score]:
        rows = self._rows()
        rows = rows[np.lexsort(rows.T)]
        hits, actual, predicted = np.split(rows.sum(axis=0), 3)
        union = (actual + predicted - hits).tolist()
        values = _numbers(rows.sum(axis=0, keepdims=True).astype(np.float64))[0]
        named = [(name, definition, int(actual.sum())) for name, definition in AVERAGES]
        for kind, definition in (("iou", "cityscapes/IoU"), ("dice", "mmseg/Dice")):
            named += [
                (f"{kind}.class.{name}", definition, pixels)
                for name, pixels in zip(self._labels, union, strict=True)
            ]
        intervals = bootstrap_sums(rows, _numbers, resamples=self._resamples, seed=self._seed, shares=True)
        read = zip(named, values, intervals, strict=True)
        return [Score(n, defined(v), support, d, *i) for (n, d, support), v, i in read]


def _numbers(sums: Array) -> Array:
    """`(R, 3 C)` sums -> `(R, averages + 2 C)`: `AVERAGES` in order, IoU and Dice of each class."""
    hits, actual, predicted = np.split(sums, 3, axis=1)
    total = actual.sum(axis=1)
    iou = ratio(hits, actual + predicted - hits)
    dice = f_measure(hits, predicted, actual)
    averages = (
        _mean(iou),
        ratio(hits.sum(axis=1), total),
        _mean(ratio(hits, actual)),
        ratio((np.nan_to_num(iou, nan=0.0) * actual).sum(axis=1), total),
        _mean(dice),
    )
    return np.concatenate([np.stack(averages, axis=1), iou, dice], axis=1)


def _mean(values: Array) -> Array:
    """Mean over the classes that have a value."""
    return ratio(np.nansum(values, axis=1), np.isfinite(values).sum(axis=1))

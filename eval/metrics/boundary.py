"""Boundary IoU: do the outlines agree? Plain IoU hardly sees them in large objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.intervals import RESAMPLES, bootstrap_sums
from eval.metrics.labels import distinct
from eval.metrics.pairs import label_maps, require_pairs
from eval.metrics.ratios import defined, ratio
from models.results import Array, Segmentation

__all__ = ["BoundaryMetric", "boundaries", "thickness"]


def thickness(height: int, width: int, share: float = 0.02) -> int:
    """How many pixels thick a boundary is: a share of the image diagonal, rounded, at least 1."""
    return max(1, round(share * math.hypot(height, width)))


def boundaries(labels: Array, thick: int) -> Array:
    """Which pixels have another label, or the outside, within `thick` steps of a king; all labels at once.

    For each label these are its mask minus the mask eroded `thick` times by 3 x 3, the image padded
    with zeros: a pixel stays after erosion if the whole square around it has its label.

    Args:
        labels: int `(H, W)`.
        thick: pixels, at least 1.

    Returns:
        bool `(H, W)`.
    """
    across, down = _changes_near(labels, thick), _changes_near(labels.T, thick).T
    # The square is of one label if its middle column is, and each of its rows is.
    rows = np.pad(across, ((thick, thick), (0, 0)))
    return down | _any_of_next(rows.T, 2 * thick + 1).T


def _changes_near(labels: Array, thick: int) -> Array:
    """bool `(H, W)`: whether the label changes, or the row ends, within `thick` pixels left or right."""
    height, width = labels.shape
    changes = np.zeros((height, width + 2 * thick - 1), bool)  # before and after each pixel, and beyond
    changes[:, [thick - 1, thick - 1 + width]] = True
    changes[:, thick : thick - 1 + width] = labels[:, 1:] != labels[:, :-1]
    return _any_of_next(changes, 2 * thick)


def _any_of_next(flags: Array, many: int) -> Array:
    """bool `(H, W - many + 1)`: whether any of `many` flags is set, from here to the right; by doubling."""
    told, reach = flags, 1
    while 2 * reach <= many:
        told, reach = told[:, :-reach] | told[:, reach:], 2 * reach
    rest = many - reach
    return told[:, : told.shape[1] - rest] | told[:, rest:]


class BoundaryMetric(Metric[Segmentation, Array]):
    """Boundary IoU of each class over the data set, and its mean (Cheng et al., 2021, arXiv 2103.16562).

    Of each class's predicted and true mask only pixels near its own outline count; the share that both
    have, of what either has, with counts over all images as in mIoU. Outlines are 2 % of the diagonal
    thick. Intervals are 95 % percentile bootstrap over images.

    Differences: the paper measures instance by instance; here all of a class in an image is one mask.
    What the truth ignores is taken out of both masks first, so that a perfect answer has 1.

    Args:
        labels: class names, index = class.
        ignore_index: value of expected pixels that do not count.
        share: thickness, of the image diagonal.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        ignore_index: int = 255,
        share: float = 0.02,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        self._labels = distinct(labels)
        self._rule = (ignore_index, share)
        self._resamples, self._seed = resamples, seed
        self._images: list[Array] = []  # int64 (2 C,): pixels of each class in both outlines, and in either

    def update(self, predicted: Sequence[Segmentation], expected: Sequence[Array]) -> None:
        """Add one batch; every truth is an integer `(H, W)` label map of the shape of its answer.

        Raises:
            ValueError: unequal lengths or shapes, a truth that is not integers, or a pixel that is
                no class.
        """
        require_pairs(predicted, expected)
        self._images += [self._count(p.labels, e) for p, e in zip(predicted, expected, strict=True)]

    def _count(self, predicted: Array, expected: Array) -> Array:
        classes = len(self._labels)
        ignore, share = self._rule
        guess, truth = label_maps(predicted, expected, classes, ignore)
        void = truth.dtype.type(classes)
        height, width = truth.shape
        thick = thickness(height, width, share)
        near_guess, near_truth = boundaries(guess, thick), boundaries(truth, thick)
        both = near_guess & near_truth & (guess == truth)
        shared, said, wanted = (
            np.bincount(np.where(there, labels, void).ravel(), minlength=classes + 1)[:classes]
            for labels, there in ((truth, both), (guess, near_guess), (truth, near_truth))
        )
        return np.concatenate([shared, said + wanted - shared])

    def merge(self, other: Self) -> None:
        if (self._labels, self._rule) != (other._labels, other._rule):
            mine, theirs = (self._labels, self._rule), (other._labels, other._rule)
            raise ValueError(f"labels, ignore_index, share must be the same, got {mine} and {theirs}")
        self._images += other._images

    def resampled(self) -> Resampled:
        rows = self._rows().astype(np.float64)
        names = ("boundary_iou", *(f"boundary_iou.class.{label}" for label in self._labels))
        return Resampled(names, lambda times: _numbers(times @ rows))

    def compute(self) -> list[Score]:
        rows = self._rows()
        rows = rows[np.lexsort(rows.T)]
        sums = rows.sum(axis=0, keepdims=True)
        pixels = sums[0, len(self._labels) :].tolist()
        values = _numbers(sums.astype(np.float64))[0].tolist()
        intervals = bootstrap_sums(rows, _numbers, resamples=self._resamples, seed=self._seed, shares=True)
        rule = f"cheng2021/boundary_IoU,share={self._rule[1]:g}"
        read = zip(self.resampled().names, values, [sum(pixels), *pixels], intervals, strict=True)
        return [Score(name, defined(value), n, rule, *interval) for name, value, n, interval in read]

    def _rows(self) -> Array:
        return np.array(self._images, np.int64).reshape(-1, 2 * len(self._labels))


def _numbers(sums: Array) -> Array:
    """`(R, 2 C)` sums -> `(R, 1 + C)`: the mean over classes that are there, then each class."""
    iou = ratio(*np.split(sums, 2, axis=1))
    return np.column_stack([ratio(np.nansum(iou, axis=1), np.isfinite(iou).sum(axis=1)), iou])

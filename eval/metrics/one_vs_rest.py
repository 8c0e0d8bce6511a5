"""What the scores of each class say by themselves: ROC-AUC, average precision, classwise calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Self

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.intervals import NONE, RESAMPLES, bootstrap
from eval.metrics.labels import distinct
from eval.metrics.pairs import scores_and_truth
from eval.metrics.ratios import defined, ratio
from eval.metrics.spool import Spool
from models.results import Array, Classification

__all__ = ["OneVsRestMetric"]

BINS = 15
KINDS = (("roc_auc", "sklearn/roc_auc_score"), ("average_precision", "sklearn/average_precision_score"))
MOST_WORK = 2_000_000_000  # images x classes x resamples; beyond, a bootstrap is not worth its minutes


class OneVsRestMetric(Metric[Classification, int]):
    """Each class against all others, read from all of its scores: threshold-free numbers.

    `roc_auc` is the area under the ROC curve by trapezoids, `average_precision` the sum of precision
    times the gain in recall, not interpolated; equal scores are one point of either curve. `macro` is
    the mean over the classes that have one, `weighted` by their images. `classwise_ece_error` is the
    mean over classes of the calibration error of that class's score (Kull et al., 2019, arXiv
    1910.12656), in 15 bins of equal width, `(a, b]`.

    Scores are kept as the float32 that models answer, beyond 16 MB in a temporary file, and read class
    by class. Intervals are 95 % percentile bootstrap over images, up to 2 x 10^9 images x classes x
    resamples (10,000 images of 1,000 classes at 200); beyond, and for the classwise error, there is none.
    Those of a class with a dozen images are too narrow: they hold the truth four times in five.

    Differences: a class without images has no value and is left out, where scikit-learn says NaN or 0.

    Args:
        labels: class names, index = class.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(self, labels: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self._labels = distinct(labels)
        self._resamples, self._seed = resamples, seed
        self._scores = Spool(len(labels))
        self._truth: list[int] = []
        self._keys: list[bytes] = []  # digests: they bring the images into an order of their own

    def update(self, predicted: Sequence[Classification], expected: Sequence[int]) -> None:
        """Add one batch.

        Raises:
            ValueError: unequal lengths, another number of classes, or a class that does not exist.
        """
        answered, truth = scores_and_truth(predicted, expected, len(self._labels))
        scores = answered.astype(np.float32)
        self._scores.append(scores)
        self._truth += truth.tolist()
        self._keys += [
            blake2b(row.tobytes() + label.tobytes(), digest_size=16).digest()
            for row, label in zip(scores, truth, strict=True)
        ]

    def merge(self, other: Self) -> None:
        if self._labels != other._labels:
            raise ValueError(f"labels must be the same to merge, got {self._labels} and {other._labels}")
        self._scores.extend(other._scores)
        self._truth += other._truth
        self._keys += other._keys

    def resampled(self) -> Resampled:
        names = [f"{kind}.{average}" for kind, _ in KINDS for average in ("macro", "weighted")]
        names += [f"{kind}.class.{label}" for kind, _ in KINDS for label in self._labels]
        return Resampled(tuple(names), self._values)

    def ranked(self) -> Iterator[tuple[int, Array, Array]]:
        """For each class: its index, float32 `(N,)` its scores, bool `(N,)` the images that are of it."""
        truth = np.array(self._truth, np.int64)
        for label, scores in self._scores.columns():
            yield label, scores, truth == label

    def compute(self) -> list[Score]:
        n, classes = len(self._truth), len(self._labels)
        values = self._values(np.ones((1, n), np.int64))[0]
        intervals = [NONE] * len(values)
        if n * classes * self._resamples <= MOST_WORK:
            place = np.argsort(np.argsort(np.array(self._keys, "S16"), kind="stable"))
            intervals = bootstrap(
                lambda times: self._values(times[:, place]),
                n,
                resamples=self._resamples,
                seed=self._seed,
                shares=True,
            )
        images = np.bincount(np.array(self._truth, np.int64), minlength=classes).tolist()
        rules = [f"{rule},multi_class=ovr,average={a}" for _, rule in KINDS for a in ("macro", "weighted")]
        rules += [rule for _, rule in KINDS for _ in self._labels]
        supports = [n] * (2 * len(KINDS)) + images * len(KINDS)
        read = zip(self.resampled().names, values.tolist(), supports, rules, intervals, strict=True)
        scores = [Score(name, defined(v), support, rule, *i) for name, v, support, rule, i in read]
        rule = f"kull2019/classwise_ECE,bins={BINS},edges=guo"
        return [*scores, Score("classwise_ece_error", self._classwise(), n, rule)]

    def _values(self, times: Array) -> Array:
        """int64 `(R, N)` -> `(R, 4 + 2 C)`: macro and weighted of both kinds, then both of each class."""
        truth, weights = np.array(self._truth, np.int64), np.ascontiguousarray(times.T, np.int32)
        totals = times.sum(axis=1)
        areas, images = np.full((2, len(self._labels), len(times)), np.nan), []
        for label, scores in self._scores.columns():
            positive = np.flatnonzero(truth == label)
            images.append(weights[positive].sum(axis=0))
            if len(positive):
                areas[:, label] = _areas(scores, positive, weights, totals)
        shares = np.array(images, np.float64)
        averages = []
        for area in areas:
            there = np.isfinite(area)
            filled, weight = np.where(there, area, 0), shares * there
            averages.append(ratio(filled.sum(axis=0), there.sum(axis=0)))
            averages.append(ratio((filled * weight).sum(axis=0), weight.sum(axis=0)))
        return np.concatenate([np.array(averages), *areas]).T

    def _classwise(self) -> float | None:
        truth, n = np.array(self._truth, np.int64), len(self._truth)
        if not n:
            return None
        limits = np.linspace(0, 1, BINS + 1).astype(np.float32)[1:-1]
        errors = []
        for label, scores in self._scores.columns():
            order = np.argsort(scores)
            cuts = np.concatenate([[0], np.searchsorted(scores[order], limits, side="right"), [n]])
            expected = np.append(0.0, np.cumsum(scores[order], dtype=np.float64))[cuts]
            seen = np.append(0, np.cumsum(truth[order] == label))[cuts]
            errors.append(float(np.abs(np.diff(seen) - np.diff(expected)).sum()) / n)
        return sum(errors) / len(errors)


def _areas(scores: Array, positive: Array, weights: Array, totals: Array) -> tuple[Array, Array]:
    """ROC-AUC and average precision `(R,)` of one class; NaN where they are undefined.

    Only tied groups of scores that hold a positive matter: what is counted is what lies before and
    within them.

    Args:
        scores: float32 `(N,)`.
        positive: indices of the images of the class, at least one.
        weights: int32 `(N, R)`, how often each image counts; `totals` `(R,)` is its sum.
    """
    order = np.argsort(-scores)
    ranked = -scores[order]
    marks = np.unique(-scores[positive])
    starts, ends = (np.searchsorted(ranked, marks, side=side) for side in ("left", "right"))
    cuts = np.unique(np.concatenate([[0], starts, ends[:-1]]))
    parts = np.add.reduceat(weights[order[: ends[-1]]], cuts, axis=0, dtype=np.int64)
    before = np.concatenate([np.zeros((1, weights.shape[1]), np.int64), np.cumsum(parts, axis=0)])
    above, upto = (before[np.searchsorted(cuts, places)] for places in (starts, ends))
    by_score = positive[np.argsort(-scores[positive])]
    firsts = np.searchsorted(-scores[by_score], marks)
    own = np.add.reduceat(weights[by_score], firsts, axis=0, dtype=np.int64)
    hits = np.cumsum(own, axis=0)
    positives, negatives = hits[-1], totals - hits[-1]
    false_above, false_upto = above - (hits - own), upto - hits
    roc = ratio((own * (2 * negatives - false_above - false_upto)).sum(axis=0), 2 * positives * negatives)
    precision = np.nan_to_num(ratio(hits, upto), nan=0.0)
    return roc, ratio((own * precision).sum(axis=0), positives)

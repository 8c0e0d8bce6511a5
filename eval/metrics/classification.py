"""Accuracy, precision, recall, F1, kappa and MCC of classification, from one confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self, TypeAlias, get_args

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.intervals import RESAMPLES, Interval, bootstrap, wilson
from eval.metrics.labels import distinct
from eval.metrics.pairs import scores_and_truth
from eval.metrics.ratios import defined, f_measure, ratio
from models.results import Array, Classification

__all__ = ["ClassificationMetric", "Ties"]

AVERAGES = (
    ("precision.macro", "sklearn/precision_macro,zero_division=0"),
    ("precision.micro", "sklearn/precision_micro"),
    ("precision.weighted", "sklearn/precision_weighted,zero_division=0"),
    ("recall.macro", "sklearn/recall_macro,zero_division=0"),
    ("recall.micro", "sklearn/recall_micro"),
    ("recall.weighted", "sklearn/recall_weighted,zero_division=0"),
    ("f1.macro", "sklearn/f1_macro,zero_division=0"),
    ("f1.micro", "sklearn/f1_micro"),
    ("f1.weighted", "sklearn/f1_weighted,zero_division=0"),
    ("balanced_accuracy", "sklearn/balanced_accuracy_score"),
    ("kappa", "sklearn/cohen_kappa_score"),
    ("mcc", "sklearn/matthews_corrcoef"),
)
PER_CLASS = ("f1", "precision", "recall")
SHARES = ("accuracy", "precision.micro", "recall.micro", "f1.micro")
Ties: TypeAlias = Literal["lower_index", "sklearn"]


class ClassificationMetric(Metric[Classification, int]):
    """Counts of (true class, predicted class) pairs, and everything scikit-learn reads from them.

    The predicted class is the most probable one, the lowest index on ties; `top<k>_accuracy` (only
    with more than k classes) breaks ties the same way, unless told otherwise. Macro averages run over
    the classes seen in the truth or in the predictions, where a class without predictions has precision
    0, as in scikit-learn. Intervals are 95 %: Wilson for proportions, else the bootstrap over images.

    Differences: a class's own 0/0 is None, not 0; so are kappa and MCC where they divide by zero
    (scikit-learn says NaN and 0). `top_k_accuracy_score` gives ties to the higher index, as
    `ties="sklearn"` does here.

    Args:
        labels: class names, index = class; names that occur twice get `#<index>` in score names.
        k: a hit is a true class among the k best.
        ties: of equal scores at the k-th place the `lower_index` is the better, or with `sklearn` the higher.
        resamples: of the bootstrap; 0 for no bootstrap intervals.

    Raises:
        ValueError: no such rule for ties, or k below 1.

    Example:
        >>> metric = ClassificationMetric(["cat", "dog"])
        >>> sure, unsure = Classification(np.array([0.9, 0.1])), Classification(np.array([0.6, 0.4]))
        >>> metric.update([sure, unsure], [0, 1])
        >>> metric.compute()[0].value
        0.5
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        k: int = 5,
        ties: Ties = "lower_index",
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        if ties not in get_args(Ties) or k < 1:
            raise ValueError(f"ties must be one of {get_args(Ties)} and k at least 1, got {ties!r} and {k}")
        self._labels = distinct(labels)
        self._k, self._ties = k, ties
        self._resamples, self._seed = resamples, seed
        self._images: list[Array] = []  # int64 (n, 3): true class, predicted class, place of the true class

    @property
    def confusion(self) -> Array:
        """int64 `(C, C)`, `[true, predicted]`."""
        true, guess, _ = self._columns()
        classes = len(self._labels)
        return np.bincount(true * classes + guess, minlength=classes**2).reshape(classes, classes)

    def update(self, predicted: Sequence[Classification], expected: Sequence[int]) -> None:
        """Add one batch.

        Raises:
            ValueError: unequal lengths, another number of classes, or a class that does not exist.
        """
        classes = len(self._labels)
        scores, truth = scores_and_truth(predicted, expected, classes)
        own = np.take_along_axis(scores, truth[:, None], axis=1)
        lower = np.arange(classes) < truth[:, None]
        ahead = lower if self._ties == "lower_index" else ~lower
        tied = (scores == own) & ahead
        tied[np.arange(len(truth)), truth] = False
        place = (scores > own).sum(axis=1) + tied.sum(axis=1)
        self._images.append(np.column_stack([truth, scores.argmax(axis=1), place]))

    def merge(self, other: Self) -> None:
        mine, theirs = ((m._labels, m._k, m._ties) for m in (self, other))
        if mine != theirs:
            raise ValueError(f"labels, k and ties must be the same to merge, got {mine} and {theirs}")
        self._images += other._images

    def _columns(self) -> tuple[Array, Array, Array]:
        """True class, predicted class, place of the true class; in the order the images came."""
        true, guess, place = np.concatenate([np.zeros((0, 3), np.int64), *self._images]).T
        return true, guess, place

    def resampled(self) -> Resampled:
        true, guess, place = self._columns()
        names = [name for name, _ in AVERAGES]
        names += [f"{kind}.class.{label}" for kind in PER_CLASS for label in self._labels]
        right = true == guess
        hits = dict.fromkeys(SHARES, right) | {f"top{self._k}_accuracy": place < self._k}
        return Resampled(tuple(names), _statistic(true, guess, len(self._labels)), hits)

    def compute(self) -> list[Score]:
        true, guess, place = self._columns()
        order = np.lexsort((guess, true))
        true, guess, total = true[order], guess[order], len(true)
        scores = [_share("accuracy", int((true == guess).sum()), total, "sklearn/accuracy_score")]
        if len(self._labels) > self._k:
            called, hits = f"top{self._k}_accuracy", int((place < self._k).sum())
            sklearns = f"sklearn/top_k_accuracy_score,k={self._k}"
            rule = sklearns if self._ties == "sklearn" else f"assay/{called},ties={self._ties}"
            scores.append(_share(called, hits, total, rule))
        numbers = _statistic(true, guess, len(self._labels))
        wanted = len(AVERAGES) + len(self._labels)  # precision and recall of a class have Wilson's interval

        def statistic(times: Array) -> Array:
            return numbers(times)[:, :wanted]

        values = statistic(np.ones((1, total), np.int64))[0]
        intervals = bootstrap(statistic, total, resamples=self._resamples, seed=self._seed, shares=True)
        named = zip(AVERAGES, values, intervals, strict=False)
        scores += [Score(n, defined(v), total, d, *i) for (n, d), v, i in named]
        counts = _counts(true, guess, np.ones((1, total), np.int64), len(self._labels))
        return scores + self._per_class(counts, values[len(AVERAGES) :], intervals[len(AVERAGES) :])

    def _per_class(self, counts: Sequence[Array], f1s: Array, intervals: list[Interval]) -> list[Score]:
        scores = []
        columns = zip(*(column[0].tolist() for column in counts), f1s.tolist(), intervals, strict=True)
        for name, (hit, wanted, found, f1, interval) in zip(self._labels, columns, strict=True):
            scores += [
                _share(f"precision.class.{name}", hit, found, "sklearn/precision"),
                _share(f"recall.class.{name}", hit, wanted, "sklearn/recall"),
                Score(f"f1.class.{name}", defined(f1), found + wanted - hit, "sklearn/f1", *interval),
            ]
        return scores


def _share(name: str, successes: int, n: int, definition: str) -> Score:
    return Score(name, successes / n if n else None, n, definition, *wilson(successes, n))


def _counts(true: Array, guess: Array, times: Array, classes: int) -> tuple[Array, Array, Array]:
    """Hits, true and predicted images of each class, int64 `(R, C)`; image i counts `times[r, i]`-fold."""
    hits, actual, predicted = (
        np.stack([np.bincount(column, row, classes + 1)[:classes].astype(np.int64) for row in times])
        for column in (np.where(true == guess, true, classes), true, guess)
    )
    return hits, actual, predicted


def _statistic(true: Array, guess: Array, classes: int) -> Callable[[Array], Array]:
    """`_numbers` of resampled images."""
    return lambda times: _numbers(*(c.astype(np.float64) for c in _counts(true, guess, times, classes)))


def _numbers(hits: Array, actual: Array, predicted: Array) -> Array:
    """`(R, C)` counts -> `(R, averages + 3 C)`: `AVERAGES`, then each of `PER_CLASS`, in order."""
    total, right = actual.sum(axis=1), hits.sum(axis=1)
    f1, precision, recall = f_measure(hits, predicted, actual), ratio(hits, predicted), ratio(hits, actual)
    seen = (actual + predicted > 0).sum(axis=1)
    columns = []
    for values in (precision, recall, f1):
        filled = np.nan_to_num(values, nan=0.0)
        columns += [
            ratio(filled.sum(axis=1), seen),
            ratio(right, total),
            ratio((filled * actual).sum(axis=1), total),
        ]
    columns.append(ratio(np.nansum(recall, axis=1), (actual > 0).sum(axis=1)))
    chance = (actual * predicted).sum(axis=1)
    columns.append(1 - ratio(total - right, total - ratio(chance, total)))
    spread = (total**2 - (actual**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    columns.append(ratio(right * total - chance, np.sqrt(spread)))
    return np.concatenate([np.stack(columns, axis=1), f1, precision, recall], axis=1)

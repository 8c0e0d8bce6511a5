"""Accuracy, precision, recall, F1, kappa and MCC of classification, from one confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from eval.metrics.base import Metric, Score
from eval.metrics.intervals import NONE, RESAMPLES, Interval, bootstrap, wilson
from eval.metrics.labels import distinct
from eval.metrics.pairs import scores_and_truth
from eval.metrics.ratios import defined, f_measure, ratio
from models.results import Array, Classification

__all__ = ["ClassificationMetric"]

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
TOP = 5


class ClassificationMetric(Metric[Classification, int]):
    """Counts of (true class, predicted class) pairs, and everything scikit-learn reads from them.

    The predicted class is the most probable one, the lowest index on ties; `top5_accuracy` (only
    with more than five classes) breaks ties the same way. Macro averages run over the classes seen
    in the truth or in the predictions, where a class without predictions has precision 0, as in
    scikit-learn. Intervals are 95 %: Wilson for proportions, else the bootstrap over images.

    Differences: a class's own 0/0 is None, not 0; so are kappa and MCC where they divide by zero
    (scikit-learn says NaN and 0). `top_k_accuracy_score` gives ties to the higher index.

    Args:
        labels: class names, index = class; names that occur twice get `#<index>` in score names.
        resamples: of the bootstrap; 0 for no bootstrap intervals.

    Example:
        >>> metric = ClassificationMetric(["cat", "dog"])
        >>> sure, unsure = Classification(np.array([0.9, 0.1])), Classification(np.array([0.6, 0.4]))
        >>> metric.update([sure, unsure], [0, 1])
        >>> metric.compute()[0].value
        0.5
    """

    def __init__(self, labels: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self._labels = distinct(labels)
        self._resamples, self._seed = resamples, seed
        self._confusion = np.zeros((len(labels), len(labels)), np.int64)
        self._top_hits = 0

    @property
    def confusion(self) -> Array:
        """int64 `(C, C)`, `[true, predicted]`; a copy."""
        return self._confusion.copy()

    def update(self, predicted: Sequence[Classification], expected: Sequence[int]) -> None:
        """Add one batch.

        Raises:
            ValueError: unequal lengths, another number of classes, or a class that does not exist.
        """
        classes = len(self._labels)
        scores, truth = scores_and_truth(predicted, expected, classes)
        own = np.take_along_axis(scores, truth[:, None], axis=1)
        tied_before = (scores == own) & (np.arange(classes) < truth[:, None])
        place = (scores > own).sum(axis=1) + tied_before.sum(axis=1)
        np.add.at(self._confusion, (truth, scores.argmax(axis=1)), 1)
        self._top_hits += int((place < TOP).sum())

    def merge(self, other: Self) -> None:
        if self._labels != other._labels:
            raise ValueError(f"labels must be the same to merge, got {self._labels} and {other._labels}")
        self._confusion += other._confusion
        self._top_hits += other._top_hits

    def compute(self) -> list[Score]:
        total, right = int(self._confusion.sum()), int(np.trace(self._confusion))
        scores = [_share("accuracy", right, total, "sklearn/accuracy_score")]
        if len(self._labels) > TOP:
            rule = "assay/top5_accuracy,ties=lower_index"
            scores.append(_share("top5_accuracy", self._top_hits, total, rule))
        values = _numbers(*_marginals(self._confusion))[0]
        intervals = self._intervals(len(values))
        named = zip(AVERAGES, values, intervals, strict=False)
        scores += [Score(n, defined(v), total, d, *i) for (n, d), v, i in named]
        return scores + self._per_class(values[len(AVERAGES) :], intervals[len(AVERAGES) :])

    def _per_class(self, f1s: Array, intervals: list[Interval]) -> list[Score]:
        scores = []
        for i, name in enumerate(self._labels):
            hit, wanted = int(self._confusion[i, i]), int(self._confusion[i].sum())
            found = int(self._confusion[:, i].sum())
            scores += [
                _share(f"precision.class.{name}", hit, found, "sklearn/precision"),
                _share(f"recall.class.{name}", hit, wanted, "sklearn/recall"),
            ]
            f1 = defined(f1s[i])
            scores.append(Score(f"f1.class.{name}", f1, found + wanted - hit, "sklearn/f1", *intervals[i]))
        return scores

    def _intervals(self, count: int) -> list[Interval]:
        """Bootstrap over images; only the counts matter, so any order of the images will do."""
        total = int(self._confusion.sum())
        if total < 2:
            return [NONE] * count
        classes = len(self._labels)
        cells = np.flatnonzero(self._confusion)
        true, guess = np.divmod(np.repeat(cells, self._confusion.ravel()[cells]), classes)

        def statistic(times: Array) -> Array:
            hits, actual, predicted = (
                np.stack([np.bincount(column, row, minlength=classes + 1)[:classes] for row in times])
                for column in (np.where(true == guess, true, classes), true, guess)
            )
            return _numbers(hits, actual, predicted)

        return bootstrap(statistic, total, resamples=self._resamples, seed=self._seed)


def _share(name: str, successes: int, n: int, definition: str) -> Score:
    value = defined(ratio(successes, n).item())
    return Score(name, value, n, definition, *wilson(successes, n))


def _marginals(confusion: Array) -> tuple[Array, Array, Array]:
    """Hits, true and predicted images of each class, float64 `(1, C)`."""
    parts = (np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    hits, actual, predicted = (part.astype(np.float64)[None] for part in parts)
    return hits, actual, predicted


def _numbers(hits: Array, actual: Array, predicted: Array) -> Array:
    """`(R, C)` counts -> `(R, averages + C)`: `AVERAGES` in order, then F1 of each class."""
    total, right = actual.sum(axis=1), hits.sum(axis=1)
    f1 = f_measure(hits, predicted, actual)
    seen = (actual + predicted > 0).sum(axis=1)
    columns = []
    for values in (ratio(hits, predicted), ratio(hits, actual), f1):
        filled = np.nan_to_num(values, nan=0.0)
        columns += [
            ratio(filled.sum(axis=1), seen),
            ratio(right, total),
            ratio((filled * actual).sum(axis=1), total),
        ]
    recalls = np.nan_to_num(ratio(hits, actual), nan=0.0)
    columns.append(ratio(recalls.sum(axis=1), (actual > 0).sum(axis=1)))
    chance = (actual * predicted).sum(axis=1)
    columns.append(1 - ratio(total - right, total - ratio(chance, total)))
    spread = (total**2 - (actual**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    columns.append(ratio(right * total - chance, np.sqrt(spread)))
    return np.concatenate([np.stack(columns, axis=1), f1], axis=1)

"""Does a service that says 0.9 get nine in ten right? ECE, MCE, Brier score and log loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, get_args

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.intervals import RESAMPLES, bootstrap_sums, wilson
from eval.metrics.pairs import scores_and_truth
from eval.metrics.ratios import defined, ratio
from models.results import Array, Classification

__all__ = ["Bin", "CalibrationMetric", "Edges", "bin_of"]

Edges: TypeAlias = Literal["guo", "netcal", "torchmetrics", "mass"]
BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram.

    Attributes:
        left, right: the edges; what belongs to them is the rule's business (`bin_of`). Of `mass` the
            least and the greatest confidence.
        count: images in it.
        confidence: their mean top score, None for an empty bin.
        accuracy: the share of them that is right, with its 95 % Wilson interval `low`, `high`.
    """

    left: float
    right: float
    count: int
    confidence: float | None
    accuracy: float | None
    low: float | None
    high: float | None


def bin_of(confidence: Array, bins: int = BINS, edges: Edges = "guo") -> Array:
    """Which of `bins` bins each confidence falls in: of equal width, or with `mass` of equally many images.

    Edges of equal width are rounded to the type of the confidences: a float32 0.2 lies on the edge 0.2.

    Args:
        confidence: float `(N,)` in [0, 1].
        edges: `guo`: (a, b], 0 in the first; `netcal`: [a, b), 1 in the last; `torchmetrics`: [a, b),
            and 1 in a bin of its own behind the last; `mass`: by rank, as many in each bin as equal
            confidences allow, which stay together in the lowest they reach (Nguyen and O'Connor, 2015,
            arXiv 1508.05154).

    Returns:
        int64 `(N,)` in [0, bins), or [0, bins] for `torchmetrics`.

    Raises:
        ValueError: no such rule, no bins, or a confidence outside [0, 1].
    """
    if edges not in get_args(Edges) or bins < 1:
        rules = get_args(Edges)
        raise ValueError(f"edges must be one of {rules} and bins at least 1, got {edges!r} and {bins}")
    if confidence.size and not 0 <= confidence.min() <= confidence.max() <= 1:
        raise ValueError(f"confidence must be in [0, 1], got {confidence.min()} to {confidence.max()}")
    if edges == "mass":
        return np.searchsorted(np.sort(confidence), confidence) * bins // max(len(confidence), 1)
    limits = np.linspace(0, 1, bins + 1).astype(confidence.dtype)
    if edges == "guo":
        return np.maximum(np.searchsorted(limits, confidence, side="left") - 1, 0)
    found = np.searchsorted(limits, confidence, side="right") - 1
    return found if edges == "torchmetrics" else np.minimum(found, bins - 1)


class CalibrationMetric(Metric[Classification, int]):
    """Top-label calibration (Guo et al., 2017, arXiv 1706.04599), multi-class Brier score and log loss.

    The Brier score is that of all classes, in [0, 2]. Intervals are 95 % BCa over images; MCE, a maximum,
    has none. The top label is the lowest index of the highest score.

    Args:
        labels: class names, index = class.
        bins, edges: see `bin_of`; part of the definition id, because the edge rules disagree on
            services that answer exactly 1.0.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        bins: int = BINS,
        edges: Edges = "guo",
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        self._shape = (len(labels), bins, edges)
        self._resamples, self._seed = resamples, seed
        self._parts: list[Array] = []  # float64 (n, 4): confidence, right, Brier, log loss
        bin_of(np.zeros(0), bins, edges)

    def update(self, predicted: Sequence[Classification], expected: Sequence[int]) -> None:
        """Add one batch.

        Raises:
            ValueError: unequal lengths, another number of classes, a class that does not exist, or
                scores outside [0, 1].
        """
        classes = self._shape[0]
        answered, truth = scores_and_truth(predicted, expected, classes)
        scores = answered.astype(np.float64)
        if not scores.size:
            return
        if scores.min() < 0 or scores.max() > 1:
            raise ValueError(f"scores must be in [0, 1], got {scores.min()} to {scores.max()}")
        right = scores.argmax(axis=1) == truth
        best, own, tiny = scores.max(axis=1), (np.arange(len(truth)), truth), np.finfo(np.float64).eps
        loss = -np.log(np.clip(scores[own], tiny, 1 - tiny))
        scores[own] -= 1
        self._parts.append(np.column_stack([best, right, (scores**2).sum(axis=1), loss]))

    def merge(self, other: Self) -> None:
        if self._shape != other._shape:
            raise ValueError(f"classes, bins, edges must be the same, got {self._shape} and {other._shape}")
        self._parts += other._parts

    def reliability(self) -> list[Bin]:
        """The bars of the reliability diagram, left to right; of `mass` only those that are not empty."""
        rows, where = self._ordered()
        _, bins, edges = self._shape
        limits = [*np.linspace(0, 1, bins + 1).tolist(), 1.0]
        diagram = []
        for i in range(bins + (edges == "torchmetrics")):
            inside = rows[where == i]
            span = (limits[i], limits[i + 1])
            if edges == "mass":
                if not len(inside):
                    continue
                span = float(inside[:, 0].min()), float(inside[:, 0].max())
            count, right = len(inside), int(inside[:, 1].sum())
            confidence = defined(ratio(inside[:, 0].sum(), count).item())
            accuracy = defined(ratio(right, count).item())
            diagram.append(Bin(*span, count, confidence, accuracy, *wilson(right, count)))
        return diagram

    def resampled(self) -> Resampled:
        """ECE, Brier score and log loss; bins of `mass` stay those of all images."""
        rows, where = self._rows()
        sums = self._sums(rows, where)
        return Resampled(tuple(name for name, _ in self._named()), lambda times: _numbers(times @ sums))

    def compute(self) -> list[Score]:
        rows, where = self._ordered()
        sums = self._sums(rows, where)
        values = _numbers(sums.sum(axis=0, keepdims=True))[0]
        intervals = bootstrap_sums(sums, _numbers, method="bca", resamples=self._resamples, seed=self._seed)
        named = self._named()
        read = zip(named, values, intervals, strict=True)
        scores = [Score(n, defined(v), len(rows), d, *i) for (n, d), v, i in read]
        counts, gaps = np.split(sums[:, :-2].sum(axis=0), 2)
        worst = defined(np.nanmax(np.abs(ratio(gaps, counts)))) if len(rows) else None
        mce = Score("mce_error", worst, len(rows), named[0][1].replace("/ECE", "/MCE"))
        return [scores[0], mce, *scores[1:]]

    def _named(self) -> tuple[tuple[str, str], ...]:
        _, bins, edges = self._shape
        return (
            ("ece_error", f"guo2017/ECE,bins={bins},edges={edges}"),
            ("brier_loss", "sklearn/brier_score_loss,scale_by_half=False"),
            ("nll_loss", "sklearn/log_loss,float64"),
        )

    def _rows(self) -> tuple[Array, Array]:
        """All images in the order they came, and their bins."""
        rows = np.concatenate([np.zeros((0, 4)), *self._parts])
        _, bins, edges = self._shape
        # Scores are float32; only as such do they meet the edges.
        return rows, bin_of(rows[:, 0].astype(np.float32), bins, edges)

    def _ordered(self) -> tuple[Array, Array]:
        """The same in an order that depends on nothing but the numbers, as sums of floats do on the order."""
        rows, where = self._rows()
        order = np.lexsort(rows.T)
        return rows[order], where[order]

    def _sums(self, rows: Array, where: Array) -> Array:
        """What each image adds: its bin, its gap in that bin, Brier score, log loss; `(N, 2 bins + 4)`."""
        member = np.eye(self._shape[1] + 1)[where]
        return np.concatenate([member, member * (rows[:, :1] - rows[:, 1:2]), rows[:, 2:]], axis=1)


def _numbers(sums: Array) -> Array:
    """`(R, 2 bins + 2)` sums -> `(R, 3)`: ECE, Brier score, log loss."""
    bins = sums.shape[1] // 2 - 1
    total = sums[:, :bins].sum(axis=1)
    gaps = np.abs(sums[:, bins:-2]).sum(axis=1)
    return np.stack([ratio(part, total) for part in (gaps, sums[:, -2], sums[:, -1])], axis=1)

"""A detector's numbers by the overlap of masks, where both the truth and the answers have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.detection import DetectionMetric
from eval.metrics.intervals import RESAMPLES
from eval.metrics.pairs import require_pairs
from eval.metrics.truth import Objects
from models.results import Detections

__all__ = ["MaskMetric"]


class MaskMetric(Metric[Detections, Objects]):
    """`DetectionMetric` over masks, or nothing where a single object has none: boxes are no masks.

    Args:
        labels: class names, index = class.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(self, labels: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self._metric = DetectionMetric(labels, overlap="masks", resamples=resamples, seed=seed)
        self._seen, self._lacking = False, False

    def update(self, predicted: Sequence[Detections], expected: Sequence[Objects]) -> None:
        """Add one batch of images.

        Raises:
            ValueError: unequal lengths, a class that does not exist, or masks of another size than the truth.
        """
        require_pairs(predicted, expected)
        for found, wanted in zip(predicted, expected, strict=True):
            sides = [side for side in (found, wanted) if len(side)]
            self._lacking |= any(side.masks is None for side in sides)
            self._seen |= bool(sides)
            if not self._lacking:
                self._metric.update([found], [wanted])

    def merge(self, other: Self) -> None:
        self._lacking |= other._lacking
        self._seen |= other._seen
        self._metric.merge(other._metric)

    def compute(self) -> list[Score]:
        return self._metric.compute() if self._seen and not self._lacking else []

    def resampled(self) -> Resampled | None:
        return self._metric.resampled() if self._seen and not self._lacking else None

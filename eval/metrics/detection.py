"""Average precision as COCO computes it, and the detector at its operating point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np

from eval.metrics.base import Metric, Score
from eval.metrics.coco import IOUS, Table, average_precision_intervals, coco_scores
from eval.metrics.intervals import RESAMPLES
from eval.metrics.labels import distinct
from eval.metrics.matching import Matches, Shapes, match
from eval.metrics.operating import operating_scores
from eval.metrics.pairs import require_pairs
from eval.metrics.truth import Objects
from models.results import Array, Detections

__all__ = ["DetectionMetric"]


class DetectionMetric(Metric[Detections, Objects]):
    """COCO's twelve numbers and precision, recall, F1 and false positives at one threshold.

    Images are matched as they come and only the outcome is kept, so masks need no memory and the
    bootstrap (95 %, percentile, over images) matches nothing again.

    Args:
        labels: class names, index = class.
        overlap: compare `boxes` or `masks`; the names of the latter's scores begin with `mask.`.
        iou, score: the operating point.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        overlap: Literal["boxes", "masks"] = "boxes",
        iou: float = 0.5,
        score: float = 0.5,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        if not 0 < iou <= 1:
            raise ValueError(f"iou must be in (0, 1], got {iou}")
        self._labels = distinct(labels)
        self._overlap, self._iou, self._score = overlap, iou, score
        self._thresholds = IOUS if iou in IOUS else np.append(IOUS, iou)
        self._resamples, self._seed = resamples, seed
        self._matches: list[Matches] = []

    def update(self, predicted: Sequence[Detections], expected: Sequence[Objects]) -> None:
        """Add one batch of images.

        Raises:
            ValueError: unequal lengths, a class that does not exist, or masks that are missing or
                of another size than the truth.
        """
        require_pairs(predicted, expected)
        self._matches += [self._match(p, e) for p, e in zip(predicted, expected, strict=True)]

    def add(self, image: str, found: Shapes, scores: Array, wanted: Shapes, crowd: Array) -> None:
        """Add one image in COCO's own terms: float64 x, y, width, height, no digit lost.

        Args:
            image: id; equal scores are ranked by it.
            scores: float64 `(D,)` of `found`.
            crowd: bool `(G,)` of `wanted`.

        Raises:
            ValueError: a class that does not exist.
        """
        self._matches.append(self._matched(image, found, scores, wanted, crowd))

    def _match(self, predicted: Detections, expected: Objects) -> Matches:
        boxes, masks, truth = _xywh(predicted.boxes), None, None
        areas = boxes[:, 2] * boxes[:, 3]
        if self._overlap == "masks" and len(predicted):
            if predicted.masks is None or (expected.masks is None and len(expected)):
                raise ValueError("masks must be there on both sides, got boxes only; use overlap='boxes'")
            masks, truth = predicted.masks, expected.masks
            areas = predicted.masks.sum(axis=(1, 2)).astype(np.float64)
        found = Shapes(predicted.labels, areas, boxes, masks)
        wanted = Shapes(expected.labels, expected.areas, _xywh(expected.boxes), truth)
        return self._matched(expected.image, found, predicted.scores, wanted, expected.crowd)

    def _matched(self, image: str, found: Shapes, scores: Array, wanted: Shapes, crowd: Array) -> Matches:
        for name, column in (("predicted", found.labels), ("expected", wanted.labels)):
            if column.size and not 0 <= column.min() <= column.max() < len(self._labels):
                span = f"{column.min()} to {column.max()}"
                raise ValueError(f"{name} labels must be in [0, {len(self._labels)}), got {span}")
        return match(found, scores.astype(np.float64), wanted, crowd.astype(bool), self._thresholds, image)

    def merge(self, other: Self) -> None:
        mine, theirs = (
            (m._labels, m._overlap, m._iou, m._score, m._resamples, m._seed) for m in (self, other)
        )
        if mine != theirs:
            raise ValueError(f"settings must be the same to merge, got {mine} and {theirs}")
        self._matches += other._matches

    def table(self) -> Table:
        """All images so far as columns."""
        return Table(self._matches, len(self._labels), len(self._thresholds))

    def compute(self) -> list[Score]:
        table = self.table()
        intervals = average_precision_intervals(table, self._resamples, self._seed)
        masks = self._overlap == "masks"
        scores = coco_scores(table, self._labels, intervals, "segm/" if masks else "")
        scores += operating_scores(
            table,
            self._labels,
            iou=self._iou,
            place=int(np.flatnonzero(self._thresholds == self._iou)[0]),
            score=self._score,
            resamples=self._resamples,
            seed=self._seed,
        )
        return [replace(s, name=f"mask.{s.name}") for s in scores] if masks else scores


def _xywh(boxes: Array) -> Array:
    corners = boxes.astype(np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)

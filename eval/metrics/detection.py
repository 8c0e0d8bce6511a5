"""All the numbers of a detector: COCO's, the operating point, the mistakes, the calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Literal, Self

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.breakdown import breakdown_scores, costs
from eval.metrics.coco import average_precision, coco_scores
from eval.metrics.curves import IOUS, Table
from eval.metrics.detection_calibration import (
    ScoreBin,
    calibration_error,
    calibration_scores,
    reliability,
)
from eval.metrics.intervals import RESAMPLES, Interval, bootstrap
from eval.metrics.labels import distinct
from eval.metrics.matching import Matches, match
from eval.metrics.operating import confusion, operating_point, operating_scores
from eval.metrics.overlaps import Shapes, xywh
from eval.metrics.pairs import require_pairs
from eval.metrics.truth import Objects
from models.results import Array, Detections

__all__ = ["DetectionMetric"]

MOST_KNOWN = 32  # draws of which the scores are kept, a few megabytes each


class DetectionMetric(Metric[Detections, Objects]):
    """COCO's twelve numbers and AP by class; precision, recall and F1 at one threshold (micro, macro, by
    class), false positives per image; what each kind of mistake costs; calibration.

    Images are matched as they come and only the outcome is kept, so masks need no memory and the
    bootstrap (95 %, percentile, over images) matches nothing again. `table` gives what is kept to
    `precision_recall`, `mistakes` and `best_f1`.

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
        self._place = int(np.flatnonzero(self._thresholds == iou)[0])
        self._resamples, self._seed = resamples, seed
        self._matches: list[Matches] = []

    @property
    def place(self) -> int:
        """Where the IoU of the operating point is among the thresholds of the table."""
        return self._place

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
        boxes, masks, truth = xywh(predicted.boxes), None, None
        areas = boxes[:, 2] * boxes[:, 3]
        if self._overlap == "masks" and len(predicted):
            if predicted.masks is None or (expected.masks is None and len(expected)):
                raise ValueError("masks must be there on both sides, got boxes only; use overlap='boxes'")
            masks, truth = predicted.masks, expected.masks
            areas = predicted.masks.sum(axis=(1, 2)).astype(np.float64)
        found = Shapes(predicted.labels, areas, boxes, masks)
        wanted = Shapes(expected.labels, expected.areas, xywh(expected.boxes), truth)
        return self._matched(expected.image, found, predicted.scores, wanted, expected.crowd)

    def _matched(self, image: str, found: Shapes, scores: Array, wanted: Shapes, crowd: Array) -> Matches:
        for name, column in (("predicted", found.labels), ("expected", wanted.labels)):
            if column.size and not 0 <= column.min() <= column.max() < len(self._labels):
                span = f"{column.min()} to {column.max()}"
                raise ValueError(f"{name} labels must be in [0, {len(self._labels)}), got {span}")
        scores, crowd = scores.astype(np.float64), crowd.astype(bool)
        return match(found, scores, wanted, crowd, self._thresholds, self._place, image)

    def merge(self, other: Self) -> None:
        mine, theirs = (
            (m._labels, m._overlap, m._iou, m._score, m._resamples, m._seed) for m in (self, other)
        )
        if mine != theirs:
            raise ValueError(f"settings must be the same to merge, got {mine} and {theirs}")
        self._matches += other._matches

    def table(self) -> Table:
        """All images so far as columns."""
        return Table(self._matches, len(self._labels))

    @property
    def confusion(self) -> Array:
        """int64 `(C + 1, C + 1)` at the operating point, `[true, predicted]`, background last."""
        return confusion(self.table(), self._score)

    def reliability(self) -> list[ScoreBin]:
        """Confidence against precision at the IoU of the operating point, for a diagram."""
        return reliability(self.table(), self._place)

    def resampled(self) -> Resampled:
        """All scores but the best F1, which is of no one threshold; asked for the same again it remembers."""
        table = self.table()
        parts = [make(table) for make in self._statistics()]
        parts.append(calibration_error(table, self._place))
        known: dict[bytes, Array] = {}

        def values(times: Array) -> Array:
            # Whoever compares several scores draws the same images for each of them.
            key = blake2b(times.tobytes()).digest()
            if key not in known:
                if len(known) == MOST_KNOWN:
                    known.clear()
                known[key] = np.concatenate([part(times[:, table.order]) for part in parts], axis=1)
            return known[key]

        return Resampled(tuple(score.name for score in self._scores(table, 0)[:-1]), values)

    def compute(self) -> list[Score]:
        table = self.table()
        *scores, calibration, best = self._scores(table, self._resamples)
        if table.images > 1 and self._resamples:
            intervals: list[Interval] = []
            for make in self._statistics():  # one after the other: each has its own view of all detections
                intervals += bootstrap(
                    make(table), table.images, resamples=self._resamples, seed=self._seed, shares=True
                )
            read = zip(scores, intervals, strict=True)
            scores = [replace(score, low=low, high=high) for score, (low, high) in read]
        return [*scores, calibration, best]

    def _scores(self, table: Table, resamples: int) -> list[Score]:
        """Those of `_statistics` without intervals, the calibration error with its own, the best F1."""
        masks, place = self._overlap == "masks", self._place
        kind = "segm/" if masks else ""
        *point, best = operating_scores(table, self._labels, iou=self._iou, place=place, score=self._score)
        scores = [*coco_scores(table, self._labels, kind), *point, *breakdown_scores(table, kind)]
        scores += calibration_scores(table, self._iou, place, resamples=resamples, seed=self._seed)
        scores.append(best)
        return [replace(s, name=f"mask.{s.name}") for s in scores] if masks else scores

    def _statistics(self) -> tuple[Callable[[Table], Callable[[Array], Array]], ...]:
        """What is bootstrapped, as functions of the weights of the images; in parts."""
        return (
            average_precision,
            partial(operating_point, place=self._place, score=self._score),
            costs,
        )

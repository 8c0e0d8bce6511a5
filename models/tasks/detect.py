"""Detection: boxes, scores and labels, after threshold, suppression and the way back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.card import ModelCard
from models.imaging import fit, place
from models.results import Array, Detections, Shape

__all__ = ["Detect", "suppress"]

# More candidates than this are noise: COCO scores 100 boxes an image.
MAX_CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class Detect:
    """Family `dense`: boxes `(P, 4)` xyxy in input pixels, scores `(P, C)` in [0, 1]."""

    card: ModelCard

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return fit(image, self.card.input, shape=shape, scale=scale)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Detections:
        boxes, scores = outputs
        rules = self.card.postprocess
        rows, labels = np.nonzero(scores >= rules.score_threshold)
        confidence = scores[rows, labels]
        best = np.argsort(-confidence, kind="stable")[:MAX_CANDIDATES]
        boxes, confidence, labels = boxes[rows[best]], confidence[best], labels[best]
        kept = suppress(boxes, labels, iou_threshold=rules.iou_threshold, limit=rules.max_detections)
        native = place(shape, self.card.input).back(boxes[kept], shape)
        return Detections(native, confidence[kept].astype(np.float32), labels[kept].astype(np.int64))


def suppress(boxes: Array, labels: Array, *, iou_threshold: float, limit: int) -> Array:
    """Greedy non-maximum suppression within each class.

    Args:
        boxes: `(N, 4)` xyxy, best first.
        labels: int `(N,)`.
        iou_threshold: a box is dropped when it overlaps a kept one of its class by more.
        limit: stop after this many.

    Returns:
        int64 indices of the kept boxes, best first.
    """
    boxes = boxes.astype(np.float64)
    areas = (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
    waiting: Array = np.arange(len(boxes))
    kept: list[int] = []
    while len(waiting) and len(kept) < limit:
        first, rest = waiting[0], waiting[1:]
        kept.append(int(first))
        corner = np.minimum(boxes[first, 2:], boxes[rest, 2:]) - np.maximum(boxes[first, :2], boxes[rest, :2])
        shared = corner.clip(0).prod(axis=1)
        union = areas[first] + areas[rest] - shared
        clear = (shared <= iou_threshold * union) | (labels[rest] != labels[first])
        waiting = rest[clear]
    return np.array(kept, dtype=np.int64)

"""Detection: boxes, scores and labels, after threshold, suppression and the way back to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.card import ModelCard
from models.families.detection import DETECTION
from models.imaging import fit, place
from models.results import Array, Detections, Shape

__all__ = ["Detect", "suppress"]

MASK_PIXELS = 1 << 28  # of all masks of one answer, a byte each; the weakest objects of huge pictures go
_BLOCK = 128  # candidates compared with each other at once


@dataclass(frozen=True, slots=True)
class Detect:
    """What the card's family finds, each object once, in pixels of the image as sent."""

    card: ModelCard

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return fit(image, self.card.input, shape=shape, scale=scale)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Detections:
        found, rules = DETECTION[self.card.family].read_finite(outputs, self.card), self.card.postprocess
        limit = rules.max_detections
        if found.masks is not None:
            limit = min(limit, max(1, MASK_PIXELS // (shape[0] * shape[1])))
        kept: Array = np.arange(min(limit, len(found.boxes)))
        if found.crowded:
            groups = np.zeros_like(found.labels) if rules.class_agnostic else found.labels
            kept = suppress(found.boxes, groups, iou_threshold=rules.iou_threshold, limit=limit)
        placement = place(shape, self.card.input)
        return Detections(
            placement.back(found.boxes[kept], shape),
            found.scores[kept].astype(np.float32),
            found.labels[kept].astype(np.int64),
            None if found.masks is None else found.masks(kept, placement, shape),
        )


def suppress(boxes: Array, labels: Array, *, iou_threshold: float, limit: int) -> Array:
    """Greedy non-maximum suppression within each class.

    A block of candidates at a time is compared with what is kept, then with itself.

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
    kept: list[int] = []
    for start in range(0, len(boxes), _BLOCK):
        rows: Array = np.arange(start, min(start + _BLOCK, len(boxes)))
        if kept:
            rows = rows[~_overlaps(boxes, areas, labels, np.array(kept), rows, iou_threshold).any(axis=0)]
        clashes = _overlaps(boxes, areas, labels, rows, rows, iou_threshold)
        alive = np.ones(len(rows), bool)
        for i, row in enumerate(rows.tolist()):
            if alive[i]:
                kept.append(row)
                if len(kept) == limit:
                    return np.array(kept, dtype=np.int64)
                alive &= ~clashes[i]
    return np.array(kept, dtype=np.int64)


def _overlaps(
    boxes: Array, areas: Array, labels: Array, firsts: Array, seconds: Array, iou_threshold: float
) -> Array:
    """bool `(A, B)`: which of the first boxes and of the second are one object."""
    one, other = boxes[firsts].T[..., None], boxes[seconds].T[:, None]
    width = np.minimum(one[2], other[2]) - np.maximum(one[0], other[0])
    height = np.minimum(one[3], other[3]) - np.maximum(one[1], other[1])
    shared = width.clip(0) * height.clip(0)
    union = areas[firsts][:, None] + areas[seconds] - shared
    clash: Array = (shared > iou_threshold * union) & (labels[firsts][:, None] == labels[seconds])
    return clash

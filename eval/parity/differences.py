"""How far two answers to one picture lie apart, in one number for each task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["SEEN", "TOLERANCE", "UNITS", "Apart", "apart", "overall"]

TOLERANCE = 1e-4
SEEN = 0.3  # the score from which an object is shown; the last digit decides about fainter ones
SAME_OBJECT = 0.5  # IoU from which two boxes are one object
TIE = 1e-3  # of boxes in one place, the one with the nearer score is the partner
MOVED = 0.05  # of 1 - IoU: a box that moved so much is another answer
UNITS = {
    "classification": "of a probability",
    "detection": "of a score or of 1 - IoU",
    "segmentation": "share of pixels",
}


@dataclass(frozen=True, slots=True)
class Apart:
    """How two answers differ.

    Attributes:
        amount: 0 to 1. Classification: largest difference of a probability. Detection: largest difference
            of a score, or 1 - IoU, between partners; 1 where an object has none. Segmentation: share of
            pixels with another class.
        changed: a user sees another label, object, or pixel.
        weight: pixels that were compared, for a label map; else 1.
    """

    amount: float
    changed: bool
    weight: int = 1


WORST = Apart(1.0, True)


def apart(one: Result, other: Result) -> Apart:
    """The difference of two answers; as large as can be where they cannot be compared."""
    if isinstance(one, Classification) and isinstance(other, Classification):
        if one.scores.shape != other.scores.shape:
            return WORST
        most = float(np.abs(one.scores.astype(np.float64) - other.scores).max())
        return Apart(most, one.label != other.label)
    if isinstance(one, Detections) and isinstance(other, Detections):
        amounts = [_unmatched(one, other), _unmatched(other, one)]
        return Apart(max(a for a, _ in amounts), any(c for _, c in amounts))
    if isinstance(one, Segmentation) and isinstance(other, Segmentation):
        if one.labels.shape != other.labels.shape:
            return Apart(1.0, True, one.labels.size)
        share = float((one.labels != other.labels).mean())
        return Apart(share, share > 0, one.labels.size)
    return WORST


def _unmatched(shown: Detections, among: Detections) -> tuple[float, bool]:
    """Over the objects that are shown: how far the nearest partner is at most, and whether that is visible.

    A partner may be fainter than what is shown, so no threshold turns a last digit into an object.
    """
    worst, changed, free = 0.0, False, np.ones(len(among), bool)
    for i in np.flatnonzero(shown.scores >= SEEN).tolist():
        ious = _ious(shown.boxes[i], among.boxes) * (free & (among.labels == shown.labels[i]))
        near = ious - TIE * np.abs(among.scores - shown.scores[i])
        best = int(near.argmax()) if len(ious) else -1
        if best < 0 or ious[best] < SAME_OBJECT:
            return 1.0, True
        free[best] = False
        moved = 1 - float(ious[best])
        worst = max(worst, moved, abs(float(shown.scores[i]) - float(among.scores[best])))
        changed |= moved > MOVED
    return worst, changed


def _ious(box: Array, boxes: Array) -> Array:
    """float64 `(N,)`: of one xyxy box with each of `(N, 4)`."""
    one, others = box.astype(np.float64), boxes.astype(np.float64)
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    union = (one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    ious: Array = np.where(union > 0, shared / np.where(union > 0, union, 1), (one == others).all(axis=1))
    return ious


def overall(each: Sequence[Apart]) -> float:
    """Of a set of pictures: the largest amount; for label maps the share of all their pixels."""
    if any(math.isnan(a.amount) for a in each):
        raise ValueError("amounts must be numbers, got NaN")
    pixels = sum(a.weight for a in each)
    if pixels > len(each):
        return sum(a.amount * a.weight for a in each) / pixels
    return max((a.amount for a in each), default=0.0)

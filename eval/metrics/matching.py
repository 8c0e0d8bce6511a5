"""Which detection found which object: COCO's greedy matching, for one image at a time.

The rules are those of `pycocotools.cocoeval.COCOeval.evaluateImg` (Lin et al., 2014, arXiv 1405.0312):
best score first, input order on ties; each takes the free object it overlaps most, the later one on
ties; a real object before an ignored one; crowds may be taken any number of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.results import Array

__all__ = ["AREAS", "HIT", "IGNORED", "MISS", "Matches", "Shapes", "box_overlaps", "mask_overlaps", "match"]

AREAS: Final = {
    "all": (0.0, 1e10),
    "small": (0.0, 1024.0),
    "medium": (1024.0, 9216.0),
    "large": (9216.0, 1e10),
}
MISS, HIT, IGNORED = 0, 1, 2  # what became of a detection: false, true, or neither


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Labelled shapes in COCO's own terms.

    Attributes:
        labels: int64 `(N,)`.
        areas: float64 `(N,)`, pixels.
        boxes: float64 `(N, 4)`, x, y, width, height in pixels; used unless there are masks.
        masks: bool `(N, H, W)`, or None.
    """

    labels: Array
    areas: Array
    boxes: Array
    masks: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One image after matching: all that any detection number needs to know of it.

    Attributes:
        image: its id.
        labels, scores: int64, float64 `(D,)`, best score first.
        rank: int64 `(D,)`, place among the detections of its label, from 0.
        outcome: int8 `(areas, thresholds, D)`: MISS, HIT or IGNORED.
        truth: int64 `(G,)`, labels of the objects.
        ignored: bool `(areas, G)`: crowd, or outside the area range.
    """

    image: str
    labels: Array
    scores: Array
    rank: Array
    outcome: Array
    truth: Array
    ignored: Array

    def key(self) -> tuple[str, bytes, bytes, bytes, bytes, bytes]:
        """Sorts images the same way whatever order they came in."""
        columns = (self.labels, self.scores, self.outcome, self.truth, self.ignored)
        a, b, c, d, e = (column.tobytes() for column in columns)
        return (self.image, a, b, c, d, e)


def match(
    found: Shapes, scores: Array, wanted: Shapes, crowd: Array, thresholds: Array, image: str
) -> Matches:
    """Match one image's detections to its objects, in every area range and at every IoU threshold.

    Args:
        scores: float64 `(D,)` of `found`.
        crowd: bool `(G,)` of `wanted`.
        thresholds: float64 `(T,)`, least IoU of a match.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = _overlaps(found, wanted, crowd)[order]
    labels, areas = found.labels[order], found.areas[order]
    low, high = np.array(list(AREAS.values())).T[:, :, None]
    ignored = crowd | (wanted.areas < low) | (wanted.areas > high)
    outcome = _ladder(overlaps, ignored, crowd, np.minimum(thresholds, 1 - 1e-10))
    outside = (areas < low) | (areas > high)
    outcome[(outcome == MISS) & outside[:, None]] = IGNORED
    grouped = np.argsort(labels, kind="stable")
    rank = np.empty(len(labels), np.int64)
    rank[grouped] = np.arange(len(labels)) - np.searchsorted(labels[grouped], labels[grouped])
    return Matches(image, labels, scores[order], rank, outcome, wanted.labels, ignored)


def _ladder(overlaps: Array, ignored: Array, crowd: Array, limits: Array) -> Array:
    """int8 `(A, T, D)`: HIT, IGNORED (took an ignored object) or MISS; detections come best first.

    Args:
        overlaps: float64 `(D, G)`; negative where the labels differ.
        ignored: bool `(A, G)`.
    """
    taken = np.zeros((len(ignored), len(limits), len(crowd)), bool)
    outcome = np.full((len(ignored), len(limits), len(overlaps)), MISS, np.int8)
    near = overlaps >= limits.min()
    for row in np.flatnonzero(near.any(axis=1)).tolist():
        objects = np.flatnonzero(near[row])
        objects = objects[np.argsort(overlaps[row, objects], kind="stable")]  # the preferred one last
        free = ~taken[:, :, objects] & (overlaps[row, objects] >= limits[:, None])
        real = free & ~ignored[:, None, objects]
        pool = np.where(real.any(axis=2, keepdims=True), real, free)
        a, t = np.nonzero(pool.any(axis=2))
        chosen = objects[len(objects) - 1 - pool[a, t, ::-1].argmax(axis=1)]
        taken[a, t, chosen] = ~crowd[chosen]
        outcome[a, t, row] = np.where(ignored[a, chosen], IGNORED, HIT)
    return outcome


def _overlaps(found: Shapes, wanted: Shapes, crowd: Array) -> Array:
    same = found.labels[:, None] == wanted.labels
    if found.masks is None or wanted.masks is None:
        return np.where(same, box_overlaps(found.boxes, wanted.boxes, crowd), -1.0)
    return np.where(same, mask_overlaps(found.masks, wanted.masks, crowd, same), -1.0)


def box_overlaps(found: Array, wanted: Array, crowd: Array) -> Array:
    """IoU of boxes; with a crowd, the share of the detection inside it.

    Args:
        found: float64 `(D, 4)`, x, y, width, height.
        wanted: float64 `(G, 4)`, likewise.
        crowd: bool `(G,)`.

    Returns:
        float64 `(D, G)` in [0, 1], every digit as pycocotools has it.
    """
    d, g = found[:, None], wanted[None]
    sides = np.minimum(d[..., 2:] + d[..., :2], g[..., 2:] + g[..., :2]) - np.maximum(d[..., :2], g[..., :2])
    meets = (sides > 0).all(axis=2)
    inter = sides[..., 0] * sides[..., 1]
    area = d[..., 2] * d[..., 3]
    union = np.where(crowd, area, area + g[..., 2] * g[..., 3] - inter)
    overlaps = np.zeros(inter.shape)
    np.divide(inter, union, out=overlaps, where=meets)
    return overlaps


def mask_overlaps(found: Array, wanted: Array, crowd: Array, pairs: Array) -> Array:
    """IoU of masks; with a crowd, the share of the detection inside it.

    Args:
        found: bool `(D, H, W)`.
        wanted: bool `(G, H, W)`.
        crowd: bool `(G,)`.
        pairs: bool `(D, G)`, where to look; 0 elsewhere.

    Returns:
        float64 `(D, G)` in [0, 1].

    Raises:
        ValueError: the two are not of one height and width.
    """
    overlaps = np.zeros(pairs.shape)
    if not pairs.any():
        return overlaps
    if found.shape[1:] != wanted.shape[1:]:
        raise ValueError(f"masks must be {wanted.shape[1:]} like the truth, got {found.shape[1:]}")
    ours, theirs = _packed(found), _packed(wanted)
    area = np.bitwise_count(ours).sum(axis=1, dtype=np.int64)
    for j in np.flatnonzero(pairs.any(axis=0)).tolist():
        rows = np.flatnonzero(pairs[:, j])
        inter = np.bitwise_count(ours[rows] & theirs[j]).sum(axis=1, dtype=np.int64)
        whole = int(np.bitwise_count(theirs[j]).sum(dtype=np.int64))
        union = area[rows] if crowd[j] else area[rows] + whole - inter
        overlaps[rows, j] = np.divide(inter, union, out=np.zeros(len(rows)), where=inter > 0)
    return overlaps


def _packed(masks: Array) -> Array:
    """Eight pixels a byte, eight bytes a word."""
    packed = np.packbits(masks.astype(bool).reshape(len(masks), -1), axis=1)
    padding = -packed.shape[1] % 8
    return np.pad(packed, ((0, 0), (0, padding))).view(np.uint64)

"""How much two shapes share, every digit as pycocotools has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.results import Array

__all__ = ["Shapes", "box_overlaps", "mask_overlaps", "overlaps", "xywh"]


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


def overlaps(found: Shapes, wanted: Shapes, crowd: Array) -> Array:
    """IoU of every detection with every object, of masks where both have them; with a crowd, the share
    of the detection inside it.

    Args:
        crowd: bool `(G,)` of `wanted`.

    Returns:
        float64 `(D, G)` in [0, 1].

    Raises:
        ValueError: the masks are not of one height and width.
    """
    if found.masks is None or wanted.masks is None:
        return box_overlaps(found.boxes, wanted.boxes, crowd)
    return mask_overlaps(found.masks, wanted.masks, crowd)


def box_overlaps(found: Array, wanted: Array, crowd: Array) -> Array:
    """IoU of boxes; with a crowd, the share of the detection inside it.

    Args:
        found: float64 `(D, 4)`, x, y, width, height.
        wanted: float64 `(G, 4)`, likewise.
        crowd: bool `(G,)`.

    Returns:
        float64 `(D, G)` in [0, 1], every digit as pycocotools has it.
    """
    x, y, w, h = found.T[:, :, None]
    u, v, a, b = wanted.T[:, None, :]
    across = np.minimum(w + x, a + u) - np.maximum(x, u)
    down = np.minimum(h + y, b + v) - np.maximum(y, v)
    inter, area = across * down, w * h
    union = np.where(crowd, area, area + a * b - inter)
    shares = np.zeros(inter.shape)
    np.divide(inter, union, out=shares, where=(across > 0) & (down > 0))
    return shares


def mask_overlaps(found: Array, wanted: Array, crowd: Array) -> Array:
    """IoU of masks; with a crowd, the share of the detection inside it.

    Args:
        found: bool `(D, H, W)`.
        wanted: bool `(G, H, W)`.
        crowd: bool `(G,)`.

    Returns:
        float64 `(D, G)` in [0, 1].

    Raises:
        ValueError: the two are not of one height and width.
    """
    shares = np.zeros((len(found), len(wanted)))
    if not shares.size:
        return shares
    if found.shape[1:] != wanted.shape[1:]:
        raise ValueError(f"masks must be {wanted.shape[1:]} like the truth, got {found.shape[1:]}")
    ours, theirs = _packed(found), _packed(wanted)
    area = np.bitwise_count(ours).sum(axis=1, dtype=np.int64)
    for j, other in enumerate(theirs):
        inter = np.bitwise_count(ours & other).sum(axis=1, dtype=np.int64)
        union = area if crowd[j] else area + int(np.bitwise_count(other).sum(dtype=np.int64)) - inter
        np.divide(inter, union, out=shares[:, j], where=inter > 0)
    return shares


def _packed(masks: Array) -> Array:
    """Eight pixels a byte, eight bytes a word."""
    packed = np.packbits(masks.astype(bool).reshape(len(masks), -1), axis=1)
    padding = -packed.shape[1] % 8
    return np.pad(packed, ((0, 0), (0, padding))).view(np.uint64)


def xywh(boxes: Array) -> Array:
    """float64 `(N, 4)` x, y, width, height of `(N, 4)` corners: COCO's own terms."""
    corners = boxes.astype(np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)

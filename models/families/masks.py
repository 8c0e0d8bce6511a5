"""Detectors with a mask for each object: drawn for those that are kept, at the pixels as sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from models.card import ModelCard
from models.families.found import Found, cornered, selected, strongest
from models.imaging import Placement, resample
from models.results import Array, Shape

__all__ = ["maskrcnn", "yolov8_seg"]

Part: TypeAlias = tuple[slice, slice]
_PART = 1 << 17  # pixels drawn at a time: they fit into a cache


def maskrcnn(outputs: Sequence[Array], card: ModelCard) -> Found:
    """As `torchvision`, and masks `(N, 1, m, m)`: probabilities in each box, sampled bilinearly, 0 beyond.

    He et al. 2017, "Mask R-CNN", arXiv 1703.06870. **Differences**: pasted at the exact box, not at one
    rounded to pixels; an object has the pixels whose centre lies in its box and gets at least 0.5.
    """
    boxes, labels, scores, squares = outputs[:4]
    rows, own = selected(scores, labels, card)
    boxes, squares = boxes[rows], squares[rows, 0]

    def masks(kept: Array, placement: Placement, shape: Shape) -> Array:
        y, x = _centres(placement, shape)

        def paint(i: int, part: Part) -> Array:
            left, top, right, bottom = boxes[kept[i]].astype(np.float64)
            across, down = (x[part[1]] - left) / (right - left), (y[part[0]] - top) / (bottom - top)
            shown: Array = _sampled(squares[kept[i]], down, across) >= 0.5
            return shown

        return _drawn(boxes[kept], (y, x), paint)

    return Found(boxes, scores[rows], own, crowded=False, masks=masks)


def yolov8_seg(outputs: Sequence[Array], card: ModelCard) -> Found:
    """`(4 + C + M, P)` as `yolov8` with M weights each, and M prototype planes `(M, h, w)` of the input.

    Bolya et al. 2019, "YOLACT", arXiv 1904.02689: a mask is the weighted sum of the prototypes, cut to the
    box. **Differences**: the sum is resized to the picture before it is cut and compared with 0, which is
    0.5 after the sigmoid; a pixel lies in the box when its centre does.
    """
    maps, prototypes = outputs[:2]
    stop = 4 + len(card.labels)
    labels, rows, confidence = strongest(maps[4:stop], card.postprocess)
    boxes = cornered(maps[:4, rows].T)

    def masks(kept: Array, placement: Placement, shape: Shape) -> Array:
        weights = maps[stop:, rows[kept]].T.astype(np.float32)
        planes = weights @ prototypes.reshape(len(prototypes), -1).astype(np.float32)
        planes = planes.reshape(len(kept), *prototypes.shape[1:])

        def paint(i: int, part: Part) -> Array:
            shown: Array = resample(planes[i : i + 1], placement, card.input, shape, part)[0] > 0
            return shown

        return _drawn(boxes[kept], _centres(placement, shape), paint)

    return Found(boxes, confidence, labels, masks=masks)


def _centres(placement: Placement, shape: Shape) -> tuple[Array, Array]:
    """Where the rows and columns of the picture have their centres in the input, float64."""
    rows, columns = (np.arange(side) + 0.5 for side in shape)
    return rows * placement.scale_y + placement.offset_y, columns * placement.scale_x + placement.offset_x


def _drawn(boxes: Array, centres: tuple[Array, Array], paint: Callable[[int, Part], Array]) -> Array:
    """bool `(K, H, W)`: False outside of each box, and inside what `paint` says of a part of the picture."""
    y, x = centres
    masks = np.zeros((len(boxes), len(y), len(x)), bool)
    for i, (x1, y1, x2, y2) in enumerate(boxes.astype(np.float64).tolist()):
        left, right = np.searchsorted(x, (x1, x2)).tolist()
        top, bottom = np.searchsorted(y, (y1, y2)).tolist()
        if left < right:
            step = max(1, _PART // (right - left))
            for start in range(top, bottom, step):
                part = slice(start, min(start + step, bottom)), slice(left, right)
                masks[i][part] = paint(i, part)
    return masks


def _sampled(square: Array, down: Array, across: Array) -> Array:
    """float64 `(D, A)`: a plane at fractions of its sides, bilinearly between the centres of its cells."""
    rim = np.pad(square.astype(np.float64), 1)
    low, fraction = _between(down, square.shape[0])
    tall = rim[low] * (1 - fraction)[:, None] + rim[low + 1] * fraction[:, None]
    left, fraction = _between(across, square.shape[1])
    wide: Array = tall[:, left] * (1 - fraction) + tall[:, left + 1] * fraction
    return wide


def _between(fractions: Array, size: int) -> tuple[Array, Array]:
    """The cell, in a plane with a rim of one, at or before each position, and how far it is to the next."""
    position = fractions * size + 0.5
    low = np.clip(np.floor(position), 0, size).astype(np.int64)
    return low, position - low

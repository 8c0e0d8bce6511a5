"""Masks as COCO writes them: outlines and run lengths become pixels.

The rule for outlines is that of Microsoft COCO's API (Lin et al. 2014, arXiv 1405.0312; `maskApi.c`):
corners are rounded to a grid five times finer than the pixels, the edges are walked on it, and every
fifth column is read where it runs through the middle of a pixel. **Differences**: none in the pixels;
what it reads from a broken annotation is refused here (fewer than three corners, numbers that are not
finite, runs that do not fill the picture).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.results import Array, Shape

__all__ = ["from_counts", "from_polygons", "from_text", "mask_of"]

FINER = 5  # grid lines in a pixel
FARTHEST = 1e6  # pixels; a corner further out is no corner of this picture
MOST_STEPS = 1 << 25  # along all edges of an outline
FIVE_BITS, MORE, SIGN = 0x1F, 0x20, 0x10


def mask_of(told: object, size: Shape) -> Array:
    """bool `(H, W)` of a COCO `segmentation`: polygons, or RLE with its counts as a list or as text.

    Raises:
        TypeError: it is none of these.
        ValueError: it is broken, or of another picture; one line.
    """
    if isinstance(told, list):
        return from_polygons(told, size)
    if not isinstance(told, Mapping) or not isinstance(told.get("counts"), list | str):
        raise TypeError("a segmentation must be a list of polygons, or hold `counts` and `size`")
    if told.get("size", list(size)) != list(size):
        raise ValueError(f"a mask must be {list(size)} (H, W) like its picture, got {told['size']}")
    counts = told["counts"]
    return from_text(counts, size) if isinstance(counts, str) else from_counts(counts, size)


def from_counts(counts: Any, size: Shape) -> Array:
    """bool `(H, W)` from run lengths down the columns, background first. Raises ValueError."""
    try:
        lengths = np.array(counts, np.int64)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"counts must be whole numbers: {error}") from error
    height, width = size
    if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise ValueError(f"counts must fill {height} x {width} pixels, got {int(lengths.sum())}")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(width, height).T


def from_text(text: str, size: Shape) -> Array:
    """bool `(H, W)` from COCO's compressed runs: five bits a letter, from the third on as differences.

    Raises:
        ValueError: the text is no such thing.
    """
    letters = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    last = (letters & MORE) == 0
    if not len(letters) or (letters < 0).any() or (letters > FIVE_BITS + MORE).any() or not last[-1]:
        raise ValueError("counts must be COCO's compressed run lengths")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    if sizes.max() > 8:
        raise ValueError("counts must be run lengths of a picture, got a number of over 40 bits")
    places = 5 * (np.arange(len(letters)) - np.repeat(starts, sizes))
    values = np.add.reduceat((letters & FIVE_BITS) << places, starts)
    values -= np.where(letters[ends] & SIGN, 1 << (5 * sizes), 0)
    for first in (1, 2):  # each run is told as its difference to the one before the last
        values[first::2] = np.cumsum(values[first::2])
    return from_counts(values, size)


def from_polygons(polygons: Any, size: Shape) -> Array:
    """bool `(H, W)`: what any of the outlines `[x1, y1, x2, y2, ...]` covers. Raises ValueError."""
    mask = np.zeros(size, bool)
    for polygon in polygons:
        try:
            corners = np.array(polygon, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"a polygon must be a list of numbers: {error}") from error
        if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
            raise ValueError(f"a polygon must be x and y of three corners or more, got shape {corners.shape}")
        if not (np.abs(corners) <= FARTHEST).all():
            raise ValueError(f"a polygon must be finite and near its picture, got {corners.tolist()[:8]}")
        mask |= _inside(corners.reshape(-1, 2), size)
    return mask


def _inside(corners: Array, size: Shape) -> Array:
    """bool `(H, W)`: pixels within one outline, the even-odd rule down each column."""
    height, width = size
    u, v = _edges((FINER * corners + 0.5).astype(np.int64))
    moved = u[1:] != u[:-1]  # a step along x; it may cross the middle of a column
    x = (np.where(u[1:] < u[:-1], u[1:], u[1:] - 1)[moved] + 0.5) / FINER - 0.5
    y = (np.minimum(v[1:], v[:-1])[moved] + 0.5) / FINER - 0.5
    middle = (x == np.floor(x)) & (x >= 0) & (x <= width - 1)
    places = x[middle].astype(np.int64) * height + np.ceil(y[middle].clip(0, height)).astype(np.int64)
    turns = np.bincount(places, minlength=height * width + 1)[: height * width] & 1
    inside = np.bitwise_xor.accumulate(turns.astype(np.uint8)) if len(turns) else turns
    return inside.astype(bool).reshape(width, height).T


def _edges(points: Array) -> tuple[Array, Array]:
    """x and y, int64, of every step on the fine grid around the closed outline."""
    begin, end = points, np.roll(points, -1, axis=0)
    far = np.abs(end - begin)
    steps = far.max(axis=1)
    if steps.sum() > MOST_STEPS:
        raise ValueError(
            f"a polygon must be near its picture, got one {int(steps.sum()) // FINER} pixels around"
        )
    wide = far[:, 0] >= far[:, 1]
    # Edges are walked upwards along their longer side, so that two neighbours share one border.
    back = np.where(wide, begin[:, 0] > end[:, 0], begin[:, 1] > end[:, 1])
    low, high = np.where(back[:, None], end, begin), np.where(back[:, None], begin, end)
    slope = np.where(wide, (high - low)[:, 1], (high - low)[:, 0]) / np.maximum(steps, 1)
    edge = np.repeat(np.arange(len(steps)), steps + 1)
    along = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    along = np.where(back[edge], steps[edge] - along, along)
    x, y, lies = low[edge, 0], low[edge, 1], wide[edge]
    across = slope[edge] * along
    u = np.where(lies, x + along, (x + across + 0.5).astype(np.int64))
    v = np.where(lies, (y + across + 0.5).astype(np.int64), y + along)
    return u, v

"""The cells that a detector's rows stand for: levels at several strides, each row by row."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from models.card import InputSpec
from models.families.shapes import Sizes
from models.results import Array

__all__ = ["alike", "cells", "of_anchors", "of_cells", "one_stride", "picked"]

# Strides of the levels of real exports; the number of rows tells which of them a graph has.
_PYRAMIDS = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))
_ANCHORS = 3


def _pyramid(rows: int, spec: InputSpec) -> tuple[int, ...] | None:
    """Strides of the levels whose cells are as many as the rows."""
    for strides in _PYRAMIDS:
        if sum((spec.height // s) * (spec.width // s) for s in strides) == rows:
            return strides
    return None


@lru_cache(maxsize=64)
def cells(rows: int, spec: InputSpec) -> Array:
    """float64 `(rows, 3)`: column, row and stride in pixels of each cell, smallest stride first.

    Raises:
        ValueError: no known strides make so many cells.
    """
    strides = _pyramid(rows, spec)
    if strides is None:
        raise ValueError(f"rows must be those of a grid at strides 8, 16, 32, got {rows}")
    levels = []
    for stride in strides:
        y, x = np.indices((spec.height // stride, spec.width // stride)).reshape(2, -1)
        levels.append(np.stack([x, y, np.full(len(x), stride)], axis=1))
    return np.concatenate(levels).astype(np.float64)


def of_cells(sizes: Sizes, spec: InputSpec) -> str | None:
    """Rule: one row for each cell."""
    rows = sizes.get("P")
    if rows is None or _pyramid(rows, spec) is not None:
        return None
    want = sum((spec.height // s) * (spec.width // s) for s in _PYRAMIDS[0])
    return f"an input of {spec.height} x {spec.width} has {want} cells at strides 8, 16, 32, got {rows} rows"


def of_anchors(sizes: Sizes, spec: InputSpec) -> str | None:
    """Rule: three rows for each cell."""
    rows = sizes.get("P")
    if rows is None or (rows % _ANCHORS == 0 and _pyramid(rows // _ANCHORS, spec) is not None):
        return None
    want = _ANCHORS * sum((spec.height // s) * (spec.width // s) for s in _PYRAMIDS[0])
    return (
        f"an input of {spec.height} x {spec.width} has {want} anchors at strides 8, 16, 32 "
        f"(three a cell), got {rows} rows"
    )


def picked(sizes: Sizes, spec: InputSpec) -> str | None:
    """Rule: rows were picked, so they are few, and not all that a grid has."""
    rows = sizes.get("P")
    if rows is None or (rows <= 1000 and of_cells(sizes, spec) is not None):
        return None
    return f"the rows must be a selection of at most 1000, got {rows}: the whole of a grid?"


def one_stride(sizes: Sizes, spec: InputSpec) -> str | None:
    """Rule: a map has the aspect of the input."""
    height, width = sizes.get("h"), sizes.get("w")
    if height is None or width is None or alike(height, width, spec):
        return None
    return f"a map of {height} x {width} must have the aspect of the input, {spec.height} x {spec.width}"


def alike(height: int, width: int, spec: InputSpec) -> bool:
    """Whether a map of this size has one stride across and down, give or take a row or a column."""
    taller = (height - 1) * spec.width >= (width + 1) * spec.height
    wider = (width - 1) * spec.height >= (height + 1) * spec.width
    return not (taller or wider)

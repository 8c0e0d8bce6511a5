"""Walks on the 8-bit lattice that attacks by label alone share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

import numpy as np

from models.results import Array, Classification

__all__ = ["PHASES", "Walk", "moved", "pattern", "phases", "smallest"]

Walk: TypeAlias = Generator[list[Array], Sequence[Classification], int]

PHASES = 64  # steps of a path in one level


def phases(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Thresholds in [0, 1) for `moved`, a random share of each multiple of 1/64; float64 of the shape.

    With them a change by 3.25 levels is one by 4 levels of a quarter of the values and by 3 of the
    rest: still on the lattice, and still a little larger than one by 3.2.
    """
    count = int(np.prod(shape))
    dithered: Array = (rng.permutation(count) % PHASES / PHASES).reshape(shape)
    return dithered


def pattern(rng: np.random.Generator, shape: tuple[int, ...], side: int) -> Array:
    """Squares of so many pixels a side, of drawn signs, on a grid at a drawn place; int16 of the shape."""
    height, width, channels = shape
    signs = rng.integers(0, 2, (height // side + 2, width // side + 2, channels), dtype=np.int16) * 2 - 1
    top, left = rng.integers(0, side, 2)
    squares: Array = signs.repeat(side, axis=0).repeat(side, axis=1)
    return squares[top : top + height, left : left + width].astype(np.int16)


def moved(image: Array, change: Array, thresholds: Array | float) -> Array:
    """The uint8 image changed by so many levels; `|change|` goes up where its fraction reaches 1 - threshold.

    Args:
        image: uint8 `(H, W, 3)`.
        change: float, `(H, W, 3)`, or `(H, W, 1)` to change all channels alike.
        thresholds: in [0, 1); 0.5 rounds to the nearest.
    """
    whole = np.copysign(np.floor(np.abs(change) + thresholds), change)
    inside: Array = np.clip(image + whole, 0, 255).astype(np.uint8)
    return inside


def smallest(path: Callable[[int], Array], high: int, label: int, stride: int) -> Walk:
    """The least step of a path, in (0, high], that was seen to fool: a bisection over whole steps.

    Args:
        path: the picture at a step; the clean one at 0, and one known to fool at `high`.
        label: the true class.
        stride: first stride downwards, doubled while it fools; `high` for plain bisection.

    Equal pictures are not asked about twice: on the lattice, a path may stand still for many steps.
    """
    low, below, above = 0, path(0), path(high)
    while high - low > 1:
        middle = max(high - stride, (low + high) // 2)
        picture = path(middle)
        if np.array_equal(picture, above):
            high = middle
        elif np.array_equal(picture, below):
            low = middle
        else:
            (answer,) = yield [picture]
            if answer.label != label:
                high, above, stride = middle, picture, 2 * stride
            else:
                low, below = middle, picture
    return high

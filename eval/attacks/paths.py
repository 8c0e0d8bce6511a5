"""Walks on the 8-bit lattice that attacks by label alone share."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

import numpy as np

from eval.attacks.base import Verdict
from models.results import Array

__all__ = ["Walk", "moved", "pattern", "ranks", "smallest", "stretched"]

Walk: TypeAlias = Generator[list[Array], Sequence[Verdict], int]


def ranks(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A drawn place in the order of all values, int32 of the shape, each number below their count once."""
    order: Array = rng.permutation(math.prod(shape)).astype(np.int32).reshape(shape)
    return order


def stretched(image: Array, signs: Array, order: Array, step: int) -> Array:
    """The uint8 image changed by `step / count` levels, the values of the last ranks by the odd ones.

    So a change by 3.25 levels is one by 4 levels of a quarter of the values and by 3 of the rest: still
    on the lattice, and one step more moves one value more.

    Args:
        image: uint8 `(H, W, 3)`.
        signs: int16, -1 and 1, `(H, W, 3)`, or `(H, W, 1)` to change all channels alike.
        order: `ranks` of the shape of `signs`; their count is the number of steps in a level.
    """
    whole, odd = divmod(step, order.size)
    levels = (order >= order.size - odd) + np.int16(whole)
    inside: Array = np.clip(image + signs * levels, 0, 255).astype(np.uint8)
    return inside


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


def smallest(path: Callable[[int], Array], high: int, stride: int, share: float = 0.0) -> Walk:
    """The least step of a path, in (0, high], that was seen to fool: a bisection over whole steps.

    Args:
        path: the picture at a step; the clean one at 0, and one known to fool at `high`.
        stride: first stride downwards, doubled while it fools; `high` for plain bisection.
        share: of the steps gained; it ends when it is no more unsure than that.

    Equal pictures are not asked about twice: on the lattice, a path may stand still for many steps.
    """
    top, low, below, above = high, 0, path(0), path(high)
    while high - low > max(1, share * (top - high)):
        middle = max(high - stride, (low + high) // 2)
        picture = path(middle)
        if np.array_equal(picture, above):
            high, stride = middle, 2 * stride
        elif np.array_equal(picture, below):
            low = middle
        else:
            (verdict,) = yield [picture]
            if verdict.fooled:
                high, above, stride = middle, picture, 2 * stride
            else:
                low, below = middle, picture
    return high

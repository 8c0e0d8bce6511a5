"""Pictures inside an L2 ball, on the 8-bit lattice, with next to none of the radius lost to rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from models.results import Array

__all__ = ["inside_ball", "squares_within"]


def squares_within(epsilon: float) -> int:
    """The largest whole sum of squares whose root is at most `epsilon`, without rounding."""
    return int(Fraction(epsilon) ** 2)


def inside_ball(image: Array, delta: Array, epsilon: float) -> Array:
    """The picture near `image + delta` whose L2 distance from `image` is at most `epsilon` levels.

    Too long a change is shortened, and cut where it leaves 0..255. What is left is rounded toward the
    original; then those values that lost most are rounded away from it instead, one after the other,
    as long as the change grows no longer than was asked for. Rounding all of them toward the original
    would take much of a ball whose radius is a level or two a value; rounding to the nearest could
    leave it, or take all of a change that is under half a level everywhere.

    Args:
        image: uint8 `(H, W, 3)`.
        delta: `(H, W, 3)` in levels, or `(H, W, 1)` for the same change of all channels.
    """
    copies = image.shape[2] // delta.shape[2]
    limit = squares_within(epsilon) // copies
    start = image[..., : delta.shape[2]].astype(np.int64)
    delta = delta.astype(np.float64)
    if (length := float(np.sqrt(copies * (delta**2).sum()))) > epsilon:
        delta = delta * (epsilon / length)
    delta = np.clip(delta, -start, 255 - start)
    whole = np.trunc(delta).astype(np.int64)
    if int((whole**2).sum()) > limit:  # the last bit of the radius
        return inside_ball(image, delta * (1 - 1e-12), epsilon)
    room = min(limit, int((delta**2).sum() + 1e-6)) - int((whole**2).sum())
    lost = np.abs(delta - whole).ravel()
    order = np.argsort(-lost, kind="stable")
    order = order[lost[order] > 0]
    price = 2 * np.abs(whole.ravel()[order]) + 1
    given = order[np.cumsum(price) <= room]
    change = whole.ravel()
    change[given] += np.sign(delta.ravel()[given]).astype(np.int64)
    moved = (start + change.reshape(delta.shape)).astype(np.uint8)
    return np.broadcast_to(moved, image.shape).copy()

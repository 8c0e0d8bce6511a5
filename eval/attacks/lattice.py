"""Pictures inside an L2 ball, on the 8-bit lattice, with next to none of the radius lost to rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from models.results import Array

__all__ = ["inside_ball", "squares_within"]


CLASSES = 1024


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
    start = image[..., : delta.shape[2]].astype(np.float64)
    delta = delta.astype(np.float64)
    if (length := math.sqrt(copies * float((delta * delta).sum()))) > epsilon:
        delta *= epsilon / length
    np.clip(delta, -start, 255 - start, out=delta)
    whole = np.trunc(delta)
    used = int((whole * whole).sum())  # whole numbers: exact
    if used > limit:  # the last bit of the radius
        return inside_ball(image, delta * (1 - 1e-12), epsilon)
    room = min(limit, int(float((delta * delta).sum()) + 1e-6)) - used
    lost = np.abs(delta - whole).ravel()
    given = _afforded(lost, 2 * np.abs(whole).ravel() + 1, room)
    whole.ravel()[given] += np.sign(delta.ravel()[given])
    return np.broadcast_to((start + whole).astype(np.uint8), image.shape).copy()


def _afforded(worth: Array, price: Array, room: int) -> Array:
    """Indices of those worth most, above 0, whose prices together fit the room.

    As a stable sort by worth, in [0, 1), would give, but all except one narrow class of it is not sorted.
    """
    classes = (worth * CLASSES).astype(np.int16)
    cost = np.bincount(classes, np.where(worth > 0, price, 0.0), CLASSES)[::-1].cumsum()
    last = CLASSES - 1 - int(np.searchsorted(cost, room, "right"))  # the class that does not fit as a whole
    sure = np.flatnonzero((classes > last) & (worth > 0))
    edge = np.flatnonzero((classes == last) & (worth > 0))
    edge = edge[np.argsort(-worth[edge], kind="stable")]
    left = room - float(price[sure].sum())
    return np.concatenate([sure, edge[np.cumsum(price[edge]) <= left]])

"""From a point of the ball to 8-bit pictures inside it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from models.results import Array

__all__ = ["roundings"]

RANDOM = 3


def roundings(
    origin: Array,
    point: Array,
    slope: Array,
    *,
    norm: Literal["linf", "l2"],
    radius: float,
    rng: np.random.Generator,
) -> list[Array]:
    """Whole levels near a point, none further from the origin than the radius.

    Every value goes to the whole level toward the origin, or the one away from it. Away go, as far as the
    radius has room: none; what is nearer to it; all; what raises the loss, the steepest first; and by
    chance, three times.

    Args:
        origin: uint8, of any shape; the others have the same.
        point: floats within the radius of it and 0..255.
        slope: of the loss at the point.
    """
    delta = point.astype(np.float64) - origin
    toward = np.trunc(delta)
    part = np.abs(delta - toward)
    wishes = [
        np.zeros_like(part),
        np.where(part > 0.5, part, 0),
        part,
        np.where(part > 0, np.maximum(slope * np.sign(delta), 0), 0),
        *(np.maximum(part - rng.random(part.shape), 0) for _ in range(RANDOM)),
    ]
    away = (_allowed(toward, wish, norm, radius) * np.sign(delta) for wish in wishes)
    return [(origin + toward + step).astype(np.uint8) for step in away]


def _allowed(toward: Array, wish: Array, norm: str, radius: float) -> Array:
    """bool: where the wish to go a level further is above 0, and there is room; strongest first."""
    further = np.abs(toward) + 1
    if norm == "linf":
        within: Array = (wish > 0) & (further <= radius)
        return within
    order = np.argsort(-wish, axis=None, kind="stable")
    cost = (further**2 - toward**2).ravel()[order] * (wish.ravel()[order] > 0)
    room = radius**2 - (toward**2).sum() - 1e-9
    taken = np.zeros(wish.size, bool)
    taken[order] = (np.cumsum(cost) <= room) & (cost > 0)
    return taken.reshape(wish.shape)

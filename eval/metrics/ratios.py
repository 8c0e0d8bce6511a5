"""Division that says when there is nothing to divide by."""

from __future__ import annotations

import math

import numpy as np

from models.results import Array

__all__ = ["defined", "f_measure", "ratio"]


def ratio(numerator: Array, denominator: Array) -> Array:
    """Elementwise float64 ratio; NaN, not zero, where the denominator is zero. Shapes broadcast."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def f_measure(hits: Array, found: Array, wanted: Array) -> Array:
    """F1 (= Dice) from counts: 2 TP / (found + wanted); NaN where both are zero."""
    return ratio(2 * np.asarray(hits), np.asarray(found) + np.asarray(wanted))


def defined(value: float) -> float | None:
    """The value as a plain float, None for NaN."""
    return None if math.isnan(value) else float(value)

"""Division that says when there is nothing to divide by."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from models.results import Array

__all__ = ["defined", "f_measure", "ratio"]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Array:
    """Elementwise float64 ratio; NaN, not zero, where the denominator is zero. Shapes broadcast."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    quotient = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=quotient, where=bottom != 0)
    return quotient


def f_measure(hits: ArrayLike, found: ArrayLike, wanted: ArrayLike) -> Array:
    """F1 (= Dice) from counts: 2 TP / (found + wanted); NaN where both are zero."""
    return ratio(2 * np.asarray(hits), np.asarray(found) + np.asarray(wanted))


def defined(value: float) -> float | None:
    """The value as a plain float, None for NaN."""
    return None if math.isnan(value) else float(value)

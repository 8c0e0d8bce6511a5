"""Evidence made by hand, for tests of what is concluded from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from eval.metrics.base import Score
from eval.metrics.paired import Difference
from eval.optimise.evidence import Evidence, Robust
from eval.optimise.speed import Speed

__all__ = ["evidence", "robust"]

ROUNDS = 8


def robust(standing: int, n: int = 100) -> Robust:
    """The first so many of n stand."""
    return Robust(np.arange(n) < standing, 0.5)


def evidence(
    name: str,
    rates: float | list[float] = 100.0,
    score: float = 0.9,
    difference: tuple[float | None, float | None, float | None] | None = (0.0, -0.001, 0.001),
    **more: Any,
) -> Evidence:
    """A version of so many images a second; `difference` is value, low, high."""
    rounds = [rates] * ROUNDS if isinstance(rates, float) else rates
    apart = None if difference is None else Difference(*difference, support=500)
    told = Score("accuracy", score, 500, "", score - 0.01, score + 0.01)
    return Evidence(name, 1, {"method": "m"}, 1000, 2.0, told, 0.02, Speed(rounds, 1.0), apart, **more)

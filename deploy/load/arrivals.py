"""When requests are due: Poisson arrivals under a shape, drawn beforehand from a seed. No clock here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

__all__ = ["SHAPES", "Shape", "arrivals", "mean_of"]

Shape = Callable[[float], float]
"""From the share of the run that is over to the share of the whole load, both in [0, 1]."""


def steady(_: float) -> float:
    """All of it, all the time."""
    return 1.0


def ramp(x: float) -> float:
    """Evenly up from a tenth, then all of it for the last fifth."""
    return min(1.0, 0.1 + 0.9 * x / 0.8)


def spike(x: float) -> float:
    """A fifth; all of it for one fifth of the run in the middle; a fifth again."""
    return 1.0 if 0.4 <= x < 0.6 else 0.2


def soak(x: float) -> float:
    """Up within a twentieth of the run, then all of it to the end; meant for hours."""
    return min(1.0, 0.1 + 0.9 * x / 0.05)


SHAPES: Mapping[str, Shape] = {shape.__name__: shape for shape in (steady, ramp, spike, soak)}


def mean_of(shape: Shape) -> float:
    """The mean load of a shape, as a share of the whole."""
    return sum(shape((i + 0.5) / 1000) for i in range(1000)) / 1000


def arrivals(rate: float, *, shape: Shape, seconds: float | None, rng: random.Random) -> Iterator[float]:
    """Seconds after the start at which requests are due, without end.

    Lewis and Shedler's thinning (1979): candidates at the whole rate, each kept with the shape's share, are
    a Poisson process of the shaped rate. Without `seconds` the shape is that of its end.

    Args:
        rate: arrivals a second where the shape is 1.
    """
    due = 0.0
    while True:
        due += rng.expovariate(rate)
        if rng.random() < shape(min(1.0, due / seconds) if seconds else 1.0):
            yield due

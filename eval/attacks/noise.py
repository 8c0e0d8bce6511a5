"""Noise, best of many draws: the floor that any real attack must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat, is_grey
from eval.attacks.lattice import inside_ball
from models.results import Array

__all__ = ["GaussianNoise", "UniformNoise"]


@dataclass(frozen=True)
class UniformNoise(Attack):
    """Draws noise inside the threat until one draw fools the endpoint.

    On a grey picture all channels get the same noise: a model that looks at grey would average
    three independent ones away.

    Attributes:
        tries: most draws for an image.
        at_once: draws asked about together.
    """

    name: ClassVar[str] = "uniform_noise"
    tags: ClassVar[tuple[str, ...]] = ("NISTAML.025 black-box evasion", "AML.T0043.003 manual modification")
    held: ClassVar[int] = 16
    tries: int = 64
    at_once: int = 8

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        shape = (*image.shape[:2], 1 if is_grey(image) else 3)
        for first in range(0, self.tries, self.at_once):
            steps = range(first, min(first + self.at_once, self.tries))
            yield [self._noisy(image, self._noise(draw(step), shape, threat), threat) for step in steps]

    def most(self, budget: int) -> int:
        return min(budget, self.tries + 2)

    def _noisy(self, image: Array, noise: Array, threat: Threat) -> Array:
        if threat.norm == "l2":
            return inside_ball(image, noise, threat.epsilon)
        there: Array = np.clip(image + noise, 0, 255).astype(np.uint8)
        return there

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...], threat: Threat) -> Array:
        if threat.norm == "linf":
            reach = int(threat.epsilon)
            return rng.integers(-reach, reach, shape, dtype=np.int16, endpoint=True)
        return _as_long_as(threat.epsilon, rng.uniform(-1, 1, shape))


@dataclass(frozen=True)
class GaussianNoise(UniformNoise):
    """The same with normal noise: in L-infinity its spread is half the radius, beyond which it is cut;
    in L2 it is as long as the radius."""

    name: ClassVar[str] = "gaussian_noise"

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...], threat: Threat) -> Array:
        noise = rng.normal(0, threat.epsilon / 2, shape)
        return np.rint(noise) if threat.norm == "linf" else _as_long_as(threat.epsilon, noise)


def _as_long_as(radius: float, noise: Array) -> Array:
    """The noise with this Euclidean length over the three channels."""
    copies = 3 // noise.shape[2]
    stretched: Array = noise * (radius / np.sqrt(copies * (noise**2).sum()))
    return stretched

"""Square Attack in L2: norm is moved from window to window, by the scores alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat, is_grey
from eval.attacks.lattice import inside_ball
from eval.attacks.square import TAGS, at_once, share_of_image, window
from models.results import Array

__all__ = ["SquareL2", "bump"]

TINY = 1e-10  # so that nothing divides by zero


@lru_cache(maxsize=256)
def _hill(height: int, width: int) -> Array:
    """Falls off from the middle in rings, as the squared inverse of the distance; length 1."""
    rows = np.abs(np.arange(height) - height // 2)
    cols = np.abs(np.arange(width) - width // 2)
    rings = 1.0 / np.arange(1, max(height // 2, width // 2) + 2) ** 2
    height_of = np.cumsum(rings[::-1])[::-1]
    hill = height_of[np.maximum(rows[:, None], cols)]
    unit: Array = hill / max(TINY, float(np.sqrt((hill**2).sum())))
    return unit


@lru_cache(maxsize=256)
def bump(height: int, width: int) -> Array:
    """The paper's eta: a hill above a valley, float64 `(height, width)` of length 1."""
    pair = np.concatenate([_hill(height // 2, width), -_hill(height - height // 2, width)])
    unit: Array = pair / np.sqrt((pair**2).sum())
    return unit


def _turned(height: int, width: int, rng: np.random.Generator) -> Array:
    """A bump of this size, `(height, width, 1)`, upright or lying, with even chance."""
    return (bump(height, width) if rng.integers(2) else bump(width, height).T)[..., None]


def _signs(rng: np.random.Generator, channels: int) -> Array:
    return rng.integers(0, 2, channels) * 2 - 1


@dataclass(frozen=True)
class SquareL2(Attack):
    """L2 Square Attack.

    Andriushchenko, Croce, Flammarion, Hein 2019, "Square Attack: a query-efficient black-box
    adversarial attack via random search", arXiv 1912.00049, algorithms 1 and 3.

    **Differences**

    * Every picture is a lattice point of the ball, checked in whole numbers; `inside_ball` says how
      it is rounded. What rounding and cutting at 0..255 leave unused is spent by the next window.
    * The objective is the margin of log-probabilities; with logits it would be the same number.
    * Windows keep their area where a square would not fit, and may touch the last row and column,
      as in the paper; the authors' code leaves those out, and takes square pictures only.
    * The grid of first bumps fills the height and the width apart; on a square picture whose sides
      divide into five it is the authors'.
    * A picture whose channels are equal stays so.
    * After many proposals in vain several are asked about together; see `at_once`.

    Attributes:
        start: share of the image that the first windows cover; 0.1 for ImageNet in the paper (`p_init`).
    """

    name: ClassVar[str] = "square_l2"
    tags: ClassVar[tuple[str, ...]] = TAGS
    norms: ClassVar[tuple[str, ...]] = ("l2",)
    held: ClassVar[int] = 32
    start: float = 0.8

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        channels = 1 if is_grey(image) else 3
        radius = threat.epsilon / math.sqrt(3 // channels)  # of the channels that are moved
        clean = image[..., :channels].astype(np.int16)
        best = inside_ball(image, _stretched(_bumps(clean.shape, draw(0)), radius), threat.epsilon)
        if np.array_equal(best, image):  # epsilon under one level: there is no other picture
            return
        (verdict,) = yield [best]
        least, step, failures = verdict.loss, 1, 0
        while step < budget:
            steps, delta = range(step, min(step + at_once(failures), budget)), best[..., :channels] - clean
            proposals = []
            for one in steps:
                sides = _window(share_of_image(one - 1, budget, self.start), *image.shape[:2])
                change = _stretched(_moved(delta, sides, radius, draw(one)), radius)
                proposals.append(inside_ball(image, change, threat.epsilon))
            losses = [verdict.loss for verdict in (yield proposals)]  # fewer at the budget's end
            step, failures = step + len(steps), failures + len(steps)
            if (reached := min(losses)) < least:
                best, least, failures = proposals[losses.index(reached)], reached, failures // 2


def _window(share: float, height: int, width: int) -> tuple[int, int]:
    """Odd sides, 3 at least where there is room."""
    most = (height - 1) | 1, (width - 1) | 1
    high, wide = window(share * height * width, most)
    return min(max(high, 3) | 1, most[0]), min(max(wide, 3) | 1, most[1])


def _stretched(delta: Array, radius: float) -> Array:
    return delta * (radius / max(TINY, float(np.sqrt((delta**2).sum()))))


def _bumps(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """A grid of bumps with random signs, five along the shorter side."""
    height, width, channels = shape
    side = max(1, min(height, width) // 5)
    delta = np.zeros(shape)
    for top in range(height % side // 2, height - side + 1, side):
        for left in range(width % side // 2, width - side + 1, side):
            delta[top : top + side, left : left + side] = _turned(side, side, rng) * _signs(rng, channels)
    return delta


def _moved(delta: Array, sides: tuple[int, int], radius: float, rng: np.random.Generator) -> Array:
    """Algorithm 3: the norm of two windows, and what is unused, goes into the first of them."""
    (high, wide), (height, width, channels) = sides, delta.shape
    (top, left), (top2, left2) = (
        rng.integers(0, (height - high + 1, width - wide + 1)).tolist() for _ in range(2)
    )
    first = np.s_[top : top + high, left : left + wide]
    second = np.s_[top2 : top2 + high, left2 : left2 + wide]
    delta = delta.astype(np.float64)
    unused = max(radius**2 - float((delta**2).sum()), 0.0)
    covered = np.zeros((height, width, 1), bool)
    covered[first] = covered[second] = True
    available = np.sqrt(((delta * covered) ** 2).sum(axis=(0, 1)) + unused / channels)
    old = delta[first] / (TINY + np.sqrt((delta[first] ** 2).sum(axis=(0, 1))))
    new = _turned(high, wide, rng) * _signs(rng, channels) + old
    delta[second] = 0.0
    delta[first] = new / (TINY + np.sqrt((new**2).sum(axis=(0, 1)))) * available
    return delta

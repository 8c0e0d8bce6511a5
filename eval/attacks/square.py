"""Square Attack: random search with squares of shrinking size, by the scores alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat, is_grey
from models.results import Array

__all__ = ["TAGS", "Square", "at_once", "share_of_image", "window"]

TAGS = ("NISTAML.025 black-box evasion (score-based)", "AML.T0043.001 black-box optimization")

# Halvings of the squares' area, at these steps of a run of 10,000 (section 3.2 of the paper).
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)

MOST_AT_ONCE = 8
PATIENCE = 16  # failures for each further proposal at once


def at_once(failures: float) -> int:
    """How many proposals to ask about together, after so many in vain.

    Of several that help only the best is taken; so there are the more of them the fewer help. The same
    loss then takes 3 % more queries at most, and pictures that hold out need a third of the round trips.
    """
    return min(MOST_AT_ONCE, 1 + int(failures) // PATIENCE)


def share_of_image(step: int, budget: int, start: float) -> float:
    """The share of the image one window covers; the authors' schedule, scaled to the budget.

    Args:
        step: windows before this one; the first picture, which is no window, does not count.
    """
    scaled = step * 10_000 // max(1, budget)
    halvings = sum(scaled > at for at in HALVINGS)
    return start * 0.5**halvings


def window(area: float, most: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a window: a square of this area or, where it is over `most`, as near as fits."""
    side = round(math.sqrt(area))
    high, wide = (max(1, min(side, limit)) for limit in most)
    if side > high:
        wide = max(1, min(round(area / high), most[1]))
    elif side > wide:
        high = max(1, min(round(area / wide), most[0]))
    return high, wide


@dataclass(frozen=True)
class Square(Attack):
    """L-infinity Square Attack.

    Andriushchenko, Croce, Flammarion, Hein 2019, "Square Attack: a query-efficient black-box
    adversarial attack via random search", arXiv 1912.00049, algorithms 1 and 2.

    **Differences**

    * Every picture lies on the 8-bit lattice: x +- floor(epsilon), clipped to 0..255.
    * The objective is the margin of log-probabilities; with logits it would be the same number.
    * The image need not be square. The side is round(sqrt(share * H * W)); where that is over the
      height or the width less one, the window is a rectangle of the same area, if that fits.
    * Windows may touch the last row and column, as in algorithm 2; the authors' code leaves them out.
    * A picture whose channels are equal stays so: one colour for a square, not three. A model of
      grey pictures averages independent colours away.
    * Algorithm 2 may draw a square that changes nothing; as in the authors' code, its colour (not its
      place) is drawn again until it does.
    * After many proposals in vain several are asked about together, and the best that helps is taken; see
      `at_once`.

    Attributes:
        start: share of the image that the first squares cover; 0.8 for MNIST and 0.05 for
            ImageNet in the paper (`p_init`).
    """

    name: ClassVar[str] = "square"
    tags: ClassVar[tuple[str, ...]] = TAGS
    norms: ClassVar[tuple[str, ...]] = ("linf",)
    held: ClassVar[int] = 20
    start: float = 0.8

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        channels = 1 if is_grey(image) else 3
        reach = int(threat.epsilon)
        lower = np.clip(image.astype(np.int16) - reach, 0, 255).astype(np.uint8)
        upper = np.clip(image.astype(np.int16) + reach, 0, 255).astype(np.uint8)
        if np.array_equal(lower, upper):  # epsilon under one level: there is no other picture
            return
        stripes = draw(0).integers(0, 2, (1, image.shape[1], channels), dtype=np.uint8).astype(bool)
        best = np.where(stripes, upper, lower)
        (verdict,) = yield [best]
        least, step, failures = verdict.loss, 1, 0
        while step < budget:
            steps = range(step, min(step + at_once(failures), budget))
            shares = [share_of_image(one - 1, budget, self.start) for one in steps]
            proposals = [
                _proposed(best, (lower, upper), channels, share, draw(one))
                for one, share in zip(steps, shares, strict=True)
            ]
            losses = [verdict.loss for verdict in (yield proposals)]  # fewer at the budget's end
            step, failures = step + len(steps), failures + len(steps)
            if (reached := min(losses)) < least:
                best, least, failures = proposals[losses.index(reached)], reached, failures // 2


def _proposed(
    best: Array, edges: tuple[Array, Array], channels: int, share: float, rng: np.random.Generator
) -> Array:
    """The best picture with one window of another colour."""
    height, width, _ = best.shape
    high, wide = window(share * height * width, (height - 1 or 1, width - 1 or 1))
    down, right = rng.random(2).tolist()  # an eighth of the time of two whole numbers
    top, left = int(down * (height - high + 1)), int(right * (width - wide + 1))
    place = np.s_[top : top + high, left : left + wide]
    before = best[place].tobytes()
    while (
        after := np.where(rng.random(channels) < 0.5, edges[0][place], edges[1][place])
    ).tobytes() == before:
        pass
    proposal = best.copy()
    proposal[place] = after
    return proposal

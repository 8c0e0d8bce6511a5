"""Square Attack: random search with squares of shrinking size, by the scores alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Threat, is_grey, margin
from models.results import Array

__all__ = ["Square", "share_of_image"]

# Halvings of the squares' area, at these steps of a run of 10,000 (section 3.2 of the paper).
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def share_of_image(step: int, budget: int, start: float) -> float:
    """The share of the image one square covers at a step; the paper's schedule, scaled to the budget."""
    scaled = step * 10_000 // max(1, budget)
    halvings = sum(scaled > at for at in HALVINGS)
    return start * 0.5**halvings


@dataclass(frozen=True)
class Square(Attack):
    """L-infinity Square Attack.

    Andriushchenko, Croce, Flammarion, Hein 2019, "Square Attack: a query-efficient black-box
    adversarial attack via random search", arXiv 1912.00049, algorithms 1 and 2.

    **Differences**

    * Every picture lies on the 8-bit lattice: x +- floor(epsilon), clipped to 0..255.
    * The objective is the margin of log-probabilities; with logits it would be the same number.
    * Squares are cut from the height and the width apart, so the image need not be square:
      h = round(sqrt(share * H * W)), no more than either side less one.
    * A picture whose channels are equal stays so: one colour for a square, not three. A model of
      grey pictures averages independent colours away.
    * A square that would change nothing is drawn again, as in the authors' code.

    Attributes:
        start: share of the image that the first squares cover; 0.8 for MNIST and 0.05 for
            ImageNet in the paper (`p_init`).
    """

    name: ClassVar[str] = "square"
    tags: ClassVar[tuple[str, ...]] = (
        "NISTAML.025 black-box evasion (score-based)",
        "AML.T0043.001 black-box optimization",
    )
    start: float = 0.8

    def run(self, image: Array, label: int, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        if threat.norm != "linf":
            raise ValueError(f"norm must be linf for this attack, got {threat.norm}")
        height, width, _ = image.shape
        channels = 1 if is_grey(image) else 3
        reach = int(threat.epsilon)
        low = np.clip(image.astype(np.int16) - reach, 0, 255).astype(np.uint8)
        high = np.clip(image.astype(np.int16) + reach, 0, 255).astype(np.uint8)
        if np.array_equal(low, high):  # epsilon under one level: there is no other picture
            return
        stripes = draw(0).integers(0, 2, (1, width, channels), dtype=np.uint8).astype(bool)
        best = np.where(stripes, high, low)
        (answer,) = yield [best]
        least = margin(answer, label)
        for step in range(1, budget):
            rng = draw(step)
            share = share_of_image(step, budget, self.start)
            side = min(max(1, round(math.sqrt(share * height * width))), height - 1 or 1, width - 1 or 1)
            proposal = best.copy()
            for _ in range(100):
                top, left = rng.integers(0, (height - side + 1, width - side + 1))
                window = np.s_[top : top + side, left : left + side]
                colour = rng.integers(0, 2, channels, dtype=np.uint8).astype(bool)
                proposal[window] = np.where(colour, high[window], low[window])
                if (proposal[window] != best[window]).any():
                    break
            (answer,) = yield [proposal]
            if (reached := margin(answer, label)) < least:
                best, least = proposal, reached

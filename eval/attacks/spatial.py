"""Turning and shifting: a threat that is no ball, and the worst of a grid inside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import ClassVar, Literal

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat
from models.results import Array

__all__ = ["Spatial", "SpatialGrid", "turned"]

PARTS = 256  # of a pixel; positions are rounded to these, so that all weights are whole numbers


def turned(image: Array, degrees: float, right: float, down: float) -> Array:
    """The picture turned about its centre, counter-clockwise, and then shifted; same size.

    Bilinear: every pixel is looked up where it came from, to 1/256 of a pixel, its four neighbours are
    weighted in whole numbers, and half a level rounds up. What comes from outside is black.

    Args:
        image: uint8 `(H, W, 3)`.
        right, down: pixels.
    """
    height, width, _ = image.shape
    y = np.arange(height)[:, None] - (height - 1) / 2 - down
    x = np.arange(width)[None, :] - (width - 1) / 2 - right
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows = np.rint((y * cosine + x * sine + (height - 1) / 2) * PARTS).astype(np.int32)
    cols = np.rint((x * cosine - y * sine + (width - 1) / 2) * PARTS).astype(np.int32)
    (top, below), (left, beside) = np.divmod(rows, PARTS), np.divmod(cols, PARTS)
    framed = np.zeros((height + 2, width + 2, 3), np.int32)
    framed[1:-1, 1:-1] = image
    total = np.full(image.shape, PARTS**2 // 2, np.int32)
    for row, high in ((top, PARTS - below), (top + 1, below)):
        for col, wide in ((left, PARTS - beside), (left + 1, beside)):
            place = np.clip(row + 1, 0, height + 1) * (width + 2) + np.clip(col + 1, 0, width + 1)
            there = framed.reshape(-1, 3).take(place, axis=0)
            total += there * (high * wide)[..., None]
    return (total // PARTS**2).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Spatial(Threat):
    """How far a picture may be turned and shifted. No ball: its values may change by any number of levels.

    Attributes:
        norm: "spatial".
        epsilon: infinite; levels are not what is limited.
        degrees: largest turn, either way.
        pixels: largest shift along each axis, either way.
    """

    norm: Literal["linf", "l2", "spatial"] = field(default="spatial", init=False)
    epsilon: float = field(default=math.inf, init=False)
    degrees: float = 30.0
    pixels: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180 or not 0 <= self.pixels < math.inf:
            raise ValueError(
                f"limits must be 0 to 180 degrees and pixels not below 0, got {self.degrees}, {self.pixels}"
            )

    def __str__(self) -> str:
        return f"a turn of at most {self.degrees:g} degrees and a shift of at most {self.pixels:g} pixels"

    def size(self, original: Array, changed: Array) -> float:
        """Largest change of one value, in levels: what the move did, not how far it went."""
        return float(np.abs(changed.astype(np.int16) - original.astype(np.int16)).max(initial=0))

    def enforce(self, original: Array, proposal: Array) -> Array:
        """The picture a move makes, the move first cut to the limits.

        Args:
            proposal: float `(3,)`: degrees, pixels right, pixels down. A picture cannot be proposed:
                nobody can tell from its pixels that it was only moved.

        Raises:
            ValueError: it is not three finite numbers.
        """
        if proposal.shape != (3,) or not np.isfinite(proposal).all():
            raise ValueError(f"a move must be degrees, right and down, got an array {proposal.shape}")
        degrees = float(np.clip(proposal[0], -self.degrees, self.degrees))
        right, down = np.clip(proposal[1:].astype(np.float64), -self.pixels, self.pixels).tolist()
        return turned(original, degrees, right, down)


@dataclass(frozen=True)
class SpatialGrid(Attack):
    """The worst of a grid of turns and shifts.

    Engstrom, Tran, Tsipras, Schmidt, Madry 2019, "Exploring the landscape of spatial robustness",
    arXiv 1712.02779: "grid search", 31 turns by 5 by 5 shifts; with a budget below these 775 it is
    their "worst-of-k", k random points of the grid.

    **Differences**

    * It stops at the first success; the paper takes the highest loss of all, which fools just as many.
    * Points are tried in random order, without repeats.

    Attributes:
        turns, shifts: points along the turn and along each shift, evenly spaced, ends included.
        at_once: pictures asked about together.
    """

    name: ClassVar[str] = "spatial_grid"
    tags: ClassVar[tuple[str, ...]] = ("NISTAML.025 black-box evasion", "AML.T0043.003 manual modification")
    norms: ClassVar[tuple[str, ...]] = ("spatial",)
    held: ClassVar[int] = 16
    turns: int = 31
    shifts: int = 5
    at_once: int = 8

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        if not isinstance(threat, Spatial):
            raise TypeError(f"the threat of {self.name} must be Spatial, got {threat}")
        turns = np.unique(np.linspace(-threat.degrees, threat.degrees, self.turns))
        shifts = np.unique(np.linspace(-threat.pixels, threat.pixels, self.shifts))
        grid = np.array(list(product(turns, shifts, shifts)))
        grid = grid[draw(0).permutation(len(grid))]
        for first in range(0, len(grid), self.at_once):
            yield list(grid[first : first + self.at_once])

    def most(self, budget: int) -> int:
        return min(budget, self.turns * self.shifts**2 + 2)

"""RayS: the nearest decision boundary in L-infinity, by the top label alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat, is_grey
from eval.attacks.paths import pattern, ranks, smallest, stretched
from models.results import Array

__all__ = ["RayS", "blocks"]

Block: TypeAlias = tuple[slice, slice, slice]

SCALES = (1, 2, 4, 8)  # sides, in pixels, of the squares of one sign in drawn starts
GALLOP = 4  # the first stride nearer is the last gain through this
UNSURE = 0.5  # of a gain; the next flip finds out


@dataclass(frozen=True)
class RayS(Attack):
    """Flips the signs of ever smaller blocks, and keeps a flip if its ray meets the boundary sooner.

    Chen and Gu 2020, "RayS: a ray searching method for hard-label adversarial attack",
    arXiv 2006.12792, algorithms 1 to 3. Reads nothing of an answer but its label.

    **Differences**

    * Every picture lies on the 8-bit lattice. Between two whole levels the radius grows value by value:
      at 3 1/4 levels a quarter of the values, drawn once for the image, are moved by 4 levels and the
      rest by 3. With whole levels, or with 64 steps in a level, most flips on a picture of 32 by 32 would
      gain too little to be seen.
    * A flip is first asked about at one step less than the best radius, so that it must gain something;
      the bisection then gallops down from there, as far as the last flip gained, and ends when it is
      no more unsure than half of what was gained: the paper bisects each time to a thousandth.
    * The blocks halve the picture along its longer side, down to single pixels and then single channels;
      the paper halves a flat vector. After the last level, small rectangles are drawn.
    * Where all up does not fool at any radius, all down is tried, toward the negative, and drawn squares.
      A grey picture stays grey.
    * It ends at one level: nothing on the lattice is nearer.

    Attributes:
        starts: directions drawn at most to find one that fools.
    """

    name: ClassVar[str] = "rays"
    targeted: ClassVar[bool] = False  # it starts from any direction that fools
    held: ClassVar[int] = 40
    tags: ClassVar[tuple[str, ...]] = (
        "NISTAML.025 black-box evasion (decision-based)",
        "AML.T0043.001 black-box optimization",
    )
    norms: ClassVar[tuple[str, ...]] = ("linf",)
    minimises: ClassVar[bool] = True
    starts: int = 8

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        shape = (*image.shape[:2], 1 if is_grey(image) else 3)
        order = ranks(draw(0), shape)
        signs, radius, gain, found = np.ones(shape, np.int16), 255 * order.size, 0, False
        starts, flips = self._starts(image, shape, draw(1)), blocks(shape, draw)
        for _ in range(budget):
            if starts and not found:
                trial = starts.pop()
            else:
                trial = signs.copy()
                trial[next(flips)] *= -1
            (verdict,) = yield [stretched(image, trial, order, radius - found)]
            if verdict.fooled:
                signs, reach = trial, radius - found
                stride, share = (max(1, gain // GALLOP), UNSURE) if found else (reach, 0.0)
                path = partial(stretched, image, signs, order)
                shorter = yield from smallest(path, reach, stride, share)
                found, gain, radius = True, radius - shorter if found else 0, shorter
                if radius <= order.size:
                    return

    def _starts(self, image: Array, shape: tuple[int, ...], rng: np.random.Generator) -> list[Array]:
        """Last first."""
        away = np.where(image[..., : shape[2]] < 128, 1, -1)
        drawn = [pattern(rng, shape, SCALES[i % len(SCALES)]) for i in range(self.starts)]
        return [start.astype(np.int16) for start in (*drawn, away, -np.ones(shape), np.ones(shape))]


def blocks(shape: tuple[int, ...], draw: Draw) -> Iterator[Block]:
    """The whole picture, its halves, their halves, ..., every value; then drawn rectangles, for ever."""
    level: list[Block] = [(slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))]
    yield from level
    while len(level) < np.prod(shape):
        level = [part for block in level for part in _parts(block)]
        yield from level
    for step in range(2, 1 << 62):
        rng = draw(step)
        top, left = rng.integers(0, shape[:2])
        high, wide = rng.geometric(1 / 3, 2)
        channel = int(rng.integers(-shape[2], shape[2]))  # half of them in all channels
        channels = slice(0, shape[2]) if channel < 0 else slice(channel, channel + 1)
        yield slice(top, top + high), slice(left, left + wide), channels


def _parts(block: Block) -> list[Block]:
    rows, columns, channels = block
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    if high == wide == 1:
        return [(rows, columns, slice(c, c + 1)) for c in range(channels.start, channels.stop)]
    if high >= wide:
        middle = (rows.start + rows.stop) // 2
        return [(part, columns, channels) for part in _cut(rows, middle)]
    middle = (columns.start + columns.stop) // 2
    return [(rows, part, channels) for part in _cut(columns, middle)]


def _cut(side: slice, middle: int) -> tuple[slice, slice]:
    return slice(side.start, middle), slice(middle, side.stop)

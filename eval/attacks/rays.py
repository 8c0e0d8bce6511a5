"""RayS: the nearest decision boundary in L-infinity, by the top label alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Threat, is_grey
from eval.attacks.paths import PHASES, moved, pattern, phases, smallest
from models.results import Array

__all__ = ["RayS", "blocks"]

Block: TypeAlias = tuple[slice, slice, slice]

SCALES = (1, 2, 4, 8)  # sides, in pixels, of the squares of one sign in drawn starts


@dataclass(frozen=True)
class RayS(Attack):
    """Flips the signs of ever smaller blocks, and keeps a flip if its ray meets the boundary sooner.

    Chen and Gu 2020, "RayS: a ray searching method for hard-label adversarial attack",
    arXiv 2006.12792, algorithms 1 to 3. Reads nothing of an answer but its label.

    **Differences**

    * Every picture lies on the 8-bit lattice. The radius is searched in whole steps of 1/64 level: a
      radius of 3 1/4 levels moves a quarter of the values, drawn once for the image, by 4 levels and
      the rest by 3. With whole levels alone most flips would gain too little to be seen.
    * A flip is first asked about at one step less than the best radius, so that it must gain something;
      the bisection then gallops down from there, because most gains are small.
    * The blocks halve the picture along its longer side, down to single pixels and then single channels;
      the paper halves a flat vector. After the last level, small rectangles are drawn.
    * Where all up does not fool at any radius, all down is tried, toward the negative, and drawn squares.
      A grey picture stays grey.
    * It ends at one level: nothing on the lattice is nearer.

    Attributes:
        starts: directions drawn at most to find one that fools.
    """

    name: ClassVar[str] = "rays"
    tags: ClassVar[tuple[str, ...]] = (
        "NISTAML.025 black-box evasion (decision-based)",
        "AML.T0043.001 black-box optimization",
    )
    norms: ClassVar[tuple[str, ...]] = ("linf",)
    minimises: ClassVar[bool] = True
    starts: int = 8

    def run(self, image: Array, label: int, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        shape = (*image.shape[:2], 1 if is_grey(image) else 3)
        thresholds = phases(draw(0), shape)
        at = partial(_at, image, thresholds)
        signs, radius, found = np.ones(shape), 255 * PHASES, False
        starts, flips = self._starts(image, shape, draw(1)), blocks(shape, draw)
        for _ in range(budget):
            if starts and not found:
                trial = starts.pop()
            else:
                trial = signs.copy()
                trial[next(flips)] *= -1
            (answer,) = yield [at(trial, radius - found)]
            if answer.label != label:
                signs, reach = trial, radius - found
                radius = yield from smallest(partial(at, signs), reach, label, 1 if found else reach)
                found = True
                if radius <= PHASES:
                    return

    def _starts(self, image: Array, shape: tuple[int, ...], rng: np.random.Generator) -> list[Array]:
        """Last first."""
        away = np.where(image[..., : shape[2]] < 128, 1, -1)
        drawn = [pattern(rng, shape, SCALES[i % len(SCALES)]) for i in range(self.starts)]
        return [start.astype(np.float64) for start in (*drawn, away, -np.ones(shape), np.ones(shape))]


def _at(image: Array, thresholds: Array, signs: Array, step: int) -> Array:
    return moved(image, signs * (step / PHASES), thresholds)


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

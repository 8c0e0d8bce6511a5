"""HopSkipJump on the 8-bit lattice: the nearest decision boundary, by the top label alone."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, TypeAlias

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Threat, is_grey
from eval.attacks.paths import moved, pattern, phases, smallest
from models.results import Array, Classification

__all__ = ["HopSkipJump"]

Asking: TypeAlias = Generator[list[Array], Sequence[Classification], None]
Learning: TypeAlias = Generator[list[Array], Sequence[Classification], Array]

STEPS = 512  # of a path to the clean picture; a jump must gain one of them
SHARES = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)  # lengths of a jump, in distances to the clean picture
KEPT = 0.7  # of the normals found before, at the same scale
REPEATS = 4  # times the budget that may be probed: on the smallest pictures most probes are repeats


@dataclass(frozen=True)
class HopSkipJump(Attack):
    """Feels for the boundary's normal around a point on it, jumps along it, and walks back to the boundary.

    Chen, Jordan and Wainwright 2020, "HopSkipJumpAttack: a query-efficient decision-based attack",
    arXiv 1904.02144, algorithms 1 and 2, L2 and L-infinity. Reads nothing of an answer but its label.

    **Differences**

    * Every picture lies on the 8-bit lattice. The published probes are thousandths of a level there:
      rounding takes them away, while the estimate still credits them. Here a probe changes every value by
      one level, and what is credited is the difference that was sent, after clipping, less the mean
      answer (the paper's baseline).
    * The signs of a probe are drawn for squares of 4 pixels a side, or of 1. Low frequencies are fewer, so
      they are known sooner, but not all of a normal is low. Whichever gained more for a probe when it was
      last used is next. They are not mixed in an estimate: that would bend it toward low frequencies.
    * 0.7 of the normal found before, at the same side, is added to the new one.
    * Six lengths of a jump are asked about at once, each already drawn in to just under the distance
      reached; the middle one of those that fool is taken. A jump that gains nothing is not taken.
    * The bisection ends where no other picture lies between; equal pictures are not asked about.
    * In L-infinity a radius between two levels moves a drawn share of the values by one level more,
      as in `RayS`.
    * Starts: flat grey levels, the negative, the picture mirrored, and seeded noise of four
      coarsenesses; the nearest boundary found from them. A grey picture stays grey.

    Attributes:
        probes: of the first estimate; grows with the square root of the step.
        at_once: probes asked about together.
        scales: sides of the squares, in pixels.
    """

    name: ClassVar[str] = "hopskipjump"
    tags: ClassVar[tuple[str, ...]] = (
        "NISTAML.025 black-box evasion (decision-based)",
        "AML.T0043.001 black-box optimization",
    )
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    minimises: ClassVar[bool] = True
    probes: int = 25
    at_once: int = 25
    scales: tuple[int, ...] = (4, 1)

    def run(self, image: Array, label: int, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        walk = _Walk(image, label, threat.norm == "linf", draw(0))
        yield from walk.start()
        normals = {scale: np.zeros(walk.shape) for scale in self.scales}
        gains, step, probed = dict.fromkeys(self.scales, math.inf), 0, 0
        while 1 < walk.distance < math.inf and probed < REPEATS * budget:  # one level: nothing is nearer
            step += 1
            scale, before = max(gains, key=gains.__getitem__), walk.distance
            number = int(self.probes * math.sqrt(step))
            probed += number
            fresh = yield from self._normal(walk, scale, number, draw(step))
            normals[scale] = KEPT * normals[scale] + fresh
            if normals[scale].any():
                yield from walk.jump(normals[scale])
            gain = math.log(before / walk.distance) / number
            gains[scale] = gain or -step  # after a failure it is the other's turn

    def _normal(self, walk: _Walk, scale: int, number: int, rng: np.random.Generator) -> Learning:
        """Toward more wrong answers: the differences sent, weighed by answer less mean answer."""
        here = walk.picture(walk.change).astype(np.int16)
        every, wrong = np.zeros(walk.shape), np.zeros(walk.shape)
        asked = fooled = 0
        for first in range(0, number, self.at_once):
            noise = [pattern(rng, walk.shape, scale) for _ in range(min(self.at_once, number - first))]
            probes = [np.clip(here + signs, 0, 255).astype(np.uint8) for signs in noise]
            answers = yield probes
            for probe, answer in zip(probes, answers, strict=False):  # fewer at the budget's end
                sent = (probe - here)[..., : walk.shape[2]]
                every += sent
                asked += 1
                if answer.label != walk.label:
                    wrong += sent
                    fooled += 1
        if fooled in (0, asked):
            return every if fooled else -every
        return wrong - fooled / asked * every


@dataclass(slots=True, eq=False)
class _Walk:
    """A point on the boundary: a change in levels, real numbers, whose rounded picture is wrong."""

    image: Array
    label: int
    flat: bool  # L-infinity
    rng: np.random.Generator
    shape: tuple[int, ...] = field(init=False)
    base: Array = field(init=False)
    thresholds: Array | float = field(init=False)
    change: Array = field(init=False)
    distance: float = math.inf

    def __post_init__(self) -> None:
        self.shape = (*self.image.shape[:2], 1 if is_grey(self.image) else 3)
        self.base = self.image[..., : self.shape[2]].astype(np.float64)
        self.thresholds = phases(self.rng, self.shape) if self.flat else 0.5
        self.change = np.zeros(self.shape)

    def picture(self, change: Array) -> Array:
        return moved(self.image, change, self.thresholds)

    def length(self, change: Array) -> float:
        return float(np.abs(change).max() if self.flat else np.sqrt((change**2).sum()))

    def within(self, change: Array, reach: float) -> Array:
        """The change, drawn in to a length: cut off in L-infinity, shortened in L2."""
        if self.flat:
            cut: Array = np.clip(change, -reach, reach)
            return cut
        return change * min(1.0, reach / self.length(change))

    def start(self) -> Asking:
        """The nearest boundary on the way to any of the starts that fool."""
        far = [clipped - self.base for clipped in self._starts() if (clipped != self.base).any()]
        answers = yield [self.picture(change) for change in far]
        wrong = [change for change, a in zip(far, answers, strict=False) if a.label != self.label]
        for change in sorted(wrong, key=self.length):
            yield from self._nearer([change])

    def _starts(self) -> list[Array]:
        grey = [np.full(self.shape, level) for level in (0.0, 128.0, 255.0)]
        own = [255 - self.base, self.base[::-1], self.base[:, ::-1]]
        noise = [self.rng.integers(0, 256, self.shape).astype(np.float64) for _ in range(4)]
        coarse = [self.base + 255.0 * pattern(self.rng, self.shape, s) for s in (1, 2, 4, 8, 8, 16, 16)]
        return [*grey, *own, *noise, *(np.clip(start, 0, 255) for start in coarse)]

    def jump(self, normal: Array) -> Asking:
        """As far along the normal as brings the boundary nearer."""
        unit = np.sign(normal) if self.flat else normal / np.sqrt((normal**2).sum())
        tried = [self.change + share * self.distance * unit for share in SHARES]
        yield from self._nearer([np.clip(self.base + change, 0, 255) - self.base for change in tried])

    def _nearer(self, changes: list[Array]) -> Asking:
        """Go to the boundary on the way to a change that fools from just nearer than here."""
        first = self.distance == math.inf
        if not first:
            changes = [self.within(change, self.distance * (1 - 1 / STEPS)) for change in changes]
            answers = yield [self.picture(change) for change in changes]
            changes = [c for c, a in zip(changes, answers, strict=False) if a.label != self.label]
        if not changes:
            return
        far = changes[len(changes) // 2]
        path = partial(self._along, far, self.length(far) / STEPS)
        step = yield from smallest(path, STEPS, self.label, STEPS if first else 1)
        self.change = self.within(far, self.length(far) * step / STEPS)
        self.distance = self.length(self.change)

    def _along(self, far: Array, stride: float, step: int) -> Array:
        return self.picture(self.within(far, stride * step))

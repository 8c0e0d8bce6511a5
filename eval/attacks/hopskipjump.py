"""HopSkipJump on the 8-bit lattice: the nearest decision boundary, by the top label alone."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, TypeAlias

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat, Verdict, is_grey, on_lattice
from eval.attacks.paths import moved, pattern, ranks, smallest
from models.results import Array

__all__ = ["HopSkipJump"]

Asking: TypeAlias = Generator[list[Array], Sequence[Verdict], None]

STEPS = 512  # of a path to the clean picture; a jump must gain one of them
SHARES = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)  # lengths of a jump, in distances to the clean picture
FORGOTTEN = 0.5  # of the normal, for a way as long as the distance to the clean picture
BIT = math.sqrt(2 / math.pi)  # mean size of a normal number of spread 1: what its sign tells of it
LEAST_SPREAD, LEAST_KNOWN = 0.01, 0.3  # squared, and not: nothing is taken for certain, nor divided by zero
NEAR = 16  # times the root of the number of values: where signs of a probe may be turned over
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
    * The normal is learned all along, not anew at every step, and each probe is drawn level with what is
      known of it: so its answer tells something new (Kinzel and Rujan 1990, "Improving a network
      generalization ability by selecting examples"). What is unknown then falls off exponentially,
      1 - cosine^2 = exp(-2 / pi * probes / values), where averages of independent probes leave
      1 / (1 + 2 / pi * probes / values). So about four probes a value come within 5 % of a plane with no
      structure, and no answers of one bit could do it with under 1.7 a value: what is larger than that
      allows is found as far as its normal is smooth.
    * The normal's length below 1 says how sure of it we are; it is what weighs an answer. It shrinks as
      the point moves on, by the share of the distance it moved, because the boundary may be bent.
    * Where most answers of a round are alike, the next probes lean the other way.
    * The signs of a probe are drawn for squares of 4 pixels a side, or of 1. Low frequencies are fewer, so
      they are known sooner, but not all of a normal is low. Whichever gained more for a probe when it was
      last used is next.
    * Six lengths of a jump are asked about at once, each already drawn in to just under the distance
      reached; the middle one of those that fool is taken. A jump that gains nothing is not taken.
    * The bisection ends where no other picture lies between; equal pictures are not asked about.
    * In L-infinity a radius between two levels moves a drawn share of the values by one level more,
      as in `RayS`.
    * Starts: those of the goal, flat grey levels, the negative, the picture mirrored, and seeded noise of
      four coarsenesses; the nearest boundary found from them. A grey picture stays grey.

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
    held: ClassVar[int] = 64
    probes: int = 25
    at_once: int = 25
    scales: tuple[int, ...] = (4, 1)

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        walk = _Walk(image, threat.norm == "linf", draw(0))
        yield from walk.start(goal.starts)
        normal = np.zeros(walk.shape, np.float32)
        gains, step, probed = dict.fromkeys(self.scales, math.inf), 0, 0
        while 1 < walk.distance < math.inf and probed < REPEATS * budget:  # one level: nothing is nearer
            step += 1
            scale, place, before = max(gains, key=gains.__getitem__), walk.change, walk.distance
            number = int(self.probes * math.sqrt(step))
            probed += number
            yield from self._learn(normal, walk, scale, number, draw(step))
            if normal.any():
                yield from walk.jump(normal)
            went = _length(walk.change - place) / _length(place)
            normal /= math.hypot(1, FORGOTTEN * went)
            gain = math.log(before / walk.distance) / number
            gains[scale] = gain or -step  # after a failure it is the other's turn

    def _learn(self, normal: Array, walk: _Walk, scale: int, number: int, rng: np.random.Generator) -> Asking:
        """Bring the normal up to date: differences sent, weighed by answer less mean answer."""
        here, lean = walk.picture(walk.change).astype(np.int16), 0.0
        for first in range(0, number, self.at_once):
            known = _length(normal)
            unit = normal / known if known else normal
            signs = (pattern(rng, walk.shape, scale) for _ in range(min(self.at_once, number - first)))
            probes = [np.clip(here + _level(one, unit, lean, rng), 0, 255).astype(np.uint8) for one in signs]
            verdicts = yield probes
            every, wrong = np.zeros(walk.shape, np.int16), np.zeros(walk.shape, np.int16)
            for probe, verdict in zip(probes, verdicts, strict=False):  # fewer at the budget's end
                sent = (probe - here)[..., : walk.shape[2]]
                every += sent
                if verdict.fooled:
                    wrong += sent
            share = sum(verdict.fooled for verdict in verdicts) / len(verdicts)
            spread = math.sqrt(max(1 - known**2, LEAST_SPREAD))  # of a probe, along what is unknown
            weight = BIT * spread / (normal.size + BIT**2 * (len(verdicts) - 1))
            normal += 2 * weight * (wrong - np.float32(share) * every)
            normal /= max(1.0, _length(normal))
            lean -= (2 * share - 1) / BIT * spread / max(known, LEAST_KNOWN)


def _length(change: Array) -> float:
    """Euclidean; summed in one order on every machine, which BLAS is not."""
    return math.sqrt(float((change * change).sum()))


def _level(signs: Array, unit: Array, lean: float, rng: np.random.Generator) -> Array:
    """The signs, some near a drawn place turned over, so that their sum along the unit normal is `lean`."""
    flat, along = signs.ravel(), unit.ravel()
    excess = float((flat * along).sum()) - lean
    few = min(flat.size, NEAR * math.isqrt(flat.size))
    near = slice(start := int(rng.integers(flat.size - few + 1)), start + few)
    gained = np.maximum(flat[near] * along[near] * math.copysign(2, excess), 0)
    turned = (gained > 0) & (np.cumsum(gained) - gained / 2 <= abs(excess))
    flat[near][turned] *= -1
    return flat.reshape(signs.shape)


@dataclass(slots=True, eq=False)
class _Walk:
    """A point on the boundary: a change in levels, real numbers, whose rounded picture is wrong."""

    image: Array
    flat: bool  # L-infinity
    rng: np.random.Generator
    shape: tuple[int, ...] = field(init=False)
    base: Array = field(init=False)
    thresholds: Array | float = field(init=False)
    change: Array = field(init=False)
    distance: float = math.inf

    def __post_init__(self) -> None:
        self.shape = (*self.image.shape[:2], 1 if is_grey(self.image) else 3)
        self.base = self.image[..., : self.shape[2]].astype(np.float32)
        self.change = np.zeros(self.shape, np.float32)
        self.thresholds = (ranks(self.rng, self.shape) + 0.5) / self.change.size if self.flat else 0.5

    def picture(self, change: Array) -> Array:
        return moved(self.image, change, self.thresholds)

    def length(self, change: Array) -> float:
        return float(np.abs(change).max()) if self.flat else _length(change)

    def within(self, change: Array, reach: float) -> Array:
        """The change, drawn in to a length: cut off in L-infinity, shortened in L2."""
        if self.flat:
            cut: Array = np.clip(change, np.float32(-reach), np.float32(reach))
            return cut
        return change * np.float32(min(1.0, reach / self.length(change)))

    def start(self, known: Sequence[Array]) -> Asking:
        """The nearest boundary on the way to any of the starts that fool; those known should."""
        starts = [start for start in self._starts(known) if (start != self.base).any()]
        verdicts = yield [np.broadcast_to(start, self.image.shape) for start in starts]
        wrong = [start for start, v in zip(starts, verdicts, strict=False) if v.fooled]
        for start in sorted(wrong, key=lambda start: self.length(start - self.base)):
            yield from self._nearer([start - self.base])

    def _starts(self, known: Sequence[Array]) -> list[Array]:
        """uint8, of the shape that is moved."""
        told = [start if self.shape[2] == 3 else start.mean(axis=2, keepdims=True) for start in known]
        grey = [np.full(self.shape, level, np.uint8) for level in (0, 128, 255)]
        own = self.image[..., : self.shape[2]]
        noise = [self.rng.integers(0, 256, self.shape, dtype=np.uint8) for _ in range(4)]
        coarse = [own + 255 * pattern(self.rng, self.shape, side) for side in (1, 2, 4, 8, 8, 16, 16)]
        return [
            on_lattice(start) for start in (*told, *grey, 255 - own, own[::-1], own[:, ::-1], *noise, *coarse)
        ]

    def jump(self, normal: Array) -> Asking:
        """As far along the normal as brings the boundary nearer."""
        unit = np.sign(normal) if self.flat else normal / _length(normal)
        strides = [np.float32(share * self.distance) for share in SHARES]
        yield from self._nearer(
            [np.clip(self.base + self.change + s * unit, 0, 255) - self.base for s in strides]
        )

    def _nearer(self, changes: list[Array]) -> Asking:
        """Go to the boundary on the way to a change that fools from just nearer than here."""
        first = self.distance == math.inf
        if not first:
            changes = [self.within(change, self.distance * (1 - 1 / STEPS)) for change in changes]
            verdicts = yield [self.picture(change) for change in changes]
            changes = [c for c, v in zip(changes, verdicts, strict=False) if v.fooled]
        if not changes:
            return
        far = changes[len(changes) // 2]
        path = partial(self._along, far, self.length(far) / STEPS)
        step = yield from smallest(path, STEPS, STEPS if first else 1)
        self.change = self.within(far, self.length(far) * step / STEPS)
        self.distance = self.length(self.change)

    def _along(self, far: Array, stride: float, step: int) -> Array:
        return self.picture(self.within(far, stride * step))

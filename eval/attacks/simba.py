"""SimBA: one direction of an orthonormal basis after the other, kept when the scores fall."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat, is_grey
from eval.attacks.lattice import squares_within
from eval.attacks.square import TAGS
from models.results import Array

__all__ = ["Simba", "SimbaDCT"]


class _Ball:
    """What a threat leaves of the lattice around one picture, for channels that move together."""

    def __init__(self, clean: Array, threat: Threat) -> None:
        self._clean, self._euclidean = clean.astype(np.int16), threat.norm == "l2"
        reach = 255 if self._euclidean else int(threat.epsilon)
        self._lower = np.maximum(self._clean - reach, 0)
        self._upper = np.minimum(self._clean + reach, 255)
        self._limit = squares_within(threat.epsilon) // (3 // clean.shape[2])

    def moved(self, best: Array, change: Array) -> Array | None:
        """uint8 picture: `best + change`, cut at 0..255 and the L-infinity ball; None outside the L2 ball."""
        there: Array = np.clip(best + change, self._lower, self._upper)
        if self._euclidean:
            moved = (there - self._clean).astype(np.int32)
            if int((moved * moved).sum(dtype=np.int64)) > self._limit:
                return None
        return there.astype(np.uint8)


class _Directions(Attack):
    """The search that both bases share (algorithm 1 of the paper)."""

    tags: ClassVar[tuple[str, ...]] = TAGS
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    held: ClassVar[int] = 20

    @abstractmethod
    def _order(self, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[int]:
        """Every direction once, as indices into `shape`."""

    @abstractmethod
    def _change(self, direction: int, shape: tuple[int, ...], threat: Threat, budget: int) -> Array:
        """Whole levels, int16, of the shape."""

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        clean = image[..., : 1 if is_grey(image) else 3]
        ball, best, turn, progress = _Ball(clean, threat), clean, 0, True
        (verdict,) = yield [image]  # known: it costs nothing
        least = verdict.loss
        while progress:
            progress = False
            for direction in self._order(clean.shape, draw(turn)):
                change = self._change(direction, clean.shape, threat, budget)
                proposals = [ball.moved(best, change), ball.moved(best, -change)]
                if all(proposal is None for proposal in proposals):
                    return
                for proposal in proposals:
                    if proposal is None or np.array_equal(proposal, best):
                        continue
                    (verdict,) = yield [np.broadcast_to(proposal, image.shape)]
                    if (reached := verdict.loss) < least:
                        best, least, progress = proposal, reached, True
                        break
            turn += 1


def _step(threat: Threat, budget: int, directions: int) -> float:
    """Levels a direction is moved by: the whole ball in L-infinity; a share of it in L2.

    Orthogonal steps add up as squares, so the radius is spread over the steps there are queries for:
    half of them, as about every second sign is the right one.
    """
    if threat.norm == "linf":
        return math.floor(threat.epsilon)
    return threat.epsilon / math.sqrt(max(1, min(budget // 2, directions)))


@dataclass(frozen=True)
class Simba(_Directions):
    """SimBA on single values (pixel basis).

    Guo, Gardner, You, Wilson, Weinberger 2019, "Simple black-box adversarial attacks", arXiv
    1905.07121, algorithm 1.

    **Differences**

    * The step is in whole levels, and what was really moved is what is kept: a step cut at 0 or 255
      counts as it was sent, and one that changes nothing is not asked about.
    * The paper has a step (0.2 of the range) and no radius. Here there is a radius: the step is all of
      it in L-infinity; in L2 it is spread over half the budget, and the search ends when the ball has
      no room for a step.
    * A step is kept when the margin of log-probabilities falls; in the paper, when the probability of
      the true class does, which is flat where a model is sure.
    * When all directions were tried they are tried again in a new order, as long as one still helps.
    * The channels of a picture whose channels are equal move together.

    Attributes:
        step: levels; None for the share of the threat told above.
    """

    name: ClassVar[str] = "simba"
    step: int | None = None

    def _order(self, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[int]:
        return iter(rng.permutation(math.prod(shape)).astype(np.int32))

    def _change(self, direction: int, shape: tuple[int, ...], threat: Threat, budget: int) -> Array:
        levels = self.step
        if levels is None:
            one = 1 / math.sqrt(3 // shape[2])  # of a grey pixel, three values move
            levels = math.floor(_step(threat, budget, math.prod(shape)) * (one if threat.norm == "l2" else 1))
            levels = min(max(levels, 1), 255)
        change = np.zeros(shape, np.int16)
        change.flat[direction] = levels
        return change


@dataclass(frozen=True)
class SimbaDCT(_Directions):
    """SimBA on cosine waves over the whole picture, long ones first (DCT basis).

    Guo et al. 2019, arXiv 1905.07121, section 3.3; the order is the blocks of their code: waves
    below an eighth of the highest frequency in random order, then blocks of another 1/32.

    **Differences**

    * As `Simba`, and: a wave is rounded to whole levels before it is tried. What is rounded is its own
      change, not the sum of all; so each answer is credited to just what was sent. A wave of under a
      level everywhere would vanish: it is made one level high.
    * In L-infinity the height of a wave is the radius, and sums are cut at the ball.
    * The picture need not be square.
    """

    name: ClassVar[str] = "simba_dct"

    def _order(self, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[int]:
        height, width, _ = shape
        order = rng.permutation(math.prod(shape))
        rows, cols, _ = np.unravel_index(order, shape)
        frequency = np.maximum(rows / height, cols / width)
        block = np.maximum(np.floor(32 * frequency) - 3, 0)
        return iter(order[np.argsort(block, kind="stable")].astype(np.int32))

    def _change(self, direction: int, shape: tuple[int, ...], threat: Threat, budget: int) -> Array:
        (height, width, channels), levels = shape, _step(threat, budget, math.prod(shape))
        row, col, channel = (int(i) for i in np.unravel_index(direction, shape))
        waves = np.outer(_cosine(row, height), _cosine(col, width))
        if threat.norm == "l2":
            levels *= 1 / math.sqrt(3 // channels * float((waves**2).sum()))
        change = np.zeros(shape, np.int16)
        change[..., channel] = np.clip(np.rint(waves * max(1.0, levels)), -255, 255)
        return change


def _cosine(frequency: int, size: int) -> Array:
    """One row of the DCT-II, float64 `(size,)`, its highest value 1."""
    wave = np.cos(np.pi * (np.arange(size) + 0.5) * frequency / size)
    highest_one: Array = wave / np.abs(wave).max()
    return highest_one

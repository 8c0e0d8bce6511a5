"""Attacks as generators: they yield pictures to ask about and are sent what was thought of them.

An attack holds no endpoint, counts nothing and knows neither HTTP nor the task: what an answer is worth
is the goal's to say. The wave scheduler asks, counts, rounds and asks again; so no attack can spend more
than its budget, leave its threat, or report a success that the endpoint did not give.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from models.results import Array, Result

__all__ = ["Attack", "Dialogue", "Draw", "Goal", "Threat", "Verdict", "draws", "is_grey", "on_lattice"]


class Verdict(NamedTuple):
    """What an answer is worth to an attack.

    Attributes:
        loss: what a search lowers.
        fooled: the goal is reached.
        label: the class that was answered; -1 where an answer is more than a class.
        right: the answer is as it should be; of the clean picture: there is something to attack.
    """

    loss: float
    fooled: bool
    label: int = -1
    right: bool = False


Dialogue: TypeAlias = Generator[list[Array], Sequence[Verdict], None]
Draw: TypeAlias = Callable[[int], np.random.Generator]


class Goal(Protocol):
    """What the answer to one picture should become; everything an attack may know of the task.

    Attributes:
        name: in reports and figures.
        graded: how far it got counts, reached or not: the picture is asked about once more at the end
            in any case, and the answer is kept.
        truth: the true class; -1 where the truth is more than a class.
        starts: pictures that reach it as they are, for attacks that walk back from one; may be empty.
    """

    @property
    def name(self) -> str: ...

    @property
    def graded(self) -> bool: ...

    @property
    def truth(self) -> int: ...

    @property
    def starts(self) -> Sequence[Array]: ...

    def judge(self, answer: Result) -> Verdict:
        """What an answer is worth."""


@dataclass(frozen=True, slots=True)
class Threat:
    """How far a picture may be moved.

    Attributes:
        norm: "linf" (largest change of one value) or "l2" (Euclidean length); "spatial" is
            `eval.attacks.spatial.Spatial`, which is no ball.
        epsilon: the radius, in 8-bit levels (0-255), never in [0, 1] units.
    """

    norm: Literal["linf", "l2", "spatial"]
    epsilon: float

    def __str__(self) -> str:
        of = "of 255 levels" if self.norm == "linf" else "levels in all, as the root of the sum of squares"
        return f"at most {self.epsilon:g} {of} ({self.norm})"

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise ValueError(f"epsilon must be above 0 levels, got {self.epsilon}")

    def size(self, original: Array, changed: Array) -> float:
        """Distance between two uint8 images, in 8-bit levels."""
        delta = np.maximum(original, changed) - np.minimum(original, changed)
        if self.norm == "linf":
            return float(delta.max(initial=0))
        wide = delta.astype(np.uint32)
        return float(np.sqrt((wide * wide).sum(dtype=np.int64)))

    def enforce(self, original: Array, proposal: Array) -> Array:
        """The nearest allowed uint8 image. Rounds toward the original, so it never exceeds."""
        if proposal.dtype == np.uint8 and self.size(original, proposal) <= self.epsilon:
            return proposal
        if self.norm == "linf" and proposal.dtype == np.uint8:  # on the lattice already: whole levels
            reach = int(self.epsilon)
            wide = original.astype(np.int16)
            return np.clip(proposal, np.maximum(wide - reach, 0), np.minimum(wide + reach, 255)).astype(
                np.uint8
            )
        delta = proposal.astype(np.float64) - original.astype(np.float64)
        if self.norm == "linf":
            delta = np.clip(delta, -self.epsilon, self.epsilon)
        elif (length := float(np.sqrt((delta**2).sum()))) > self.epsilon:
            delta *= self.epsilon / length
        inside: Array = np.clip(original + np.trunc(delta), 0, 255)
        return inside.astype(np.uint8)


class Attack(ABC):
    """Write `run`; everything else is the scheduler's. A dataclass, so that its repr is its settings.

    Attributes:
        name: in tables and reports; part of the key of every draw.
        tags: NIST AI 100-2 and MITRE ATLAS names of what it does.
        minimises: looks for the smallest change that fools. It may ask beyond the threat, and goes
            on when it has fooled; success is still counted inside the threat only.
        norms: kinds of threat that it can keep to.
        targeted: it can also be sent toward one class.
        held: bytes it keeps for every value of a picture under way; bounds how many are.
    """

    name: ClassVar[str]
    tags: ClassVar[tuple[str, ...]]
    minimises: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    targeted: ClassVar[bool] = True
    held: ClassVar[int] = 8

    @abstractmethod
    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        """Talk about one image until the scheduler sees the goal reached, or nothing is left to try.

        Args:
            image: uint8 RGB `(H, W, 3)`.
            goal: what it is after; only `starts` is of use here, verdicts tell the rest.
            draw: the random numbers of a step; the same step always gives the same.
            budget: pictures that may be asked about; the scheduler stops at it.

        Yields: pictures to ask about, any dtype; they are rounded inside the threat first, those of
            an attack that minimises to the nearest levels.
        Is sent: one verdict for each of them, same order; fewer when the budget ends among them.
        """

    def most(self, budget: int) -> int:
        """Queries of one image, at most; the clean one and the last check are among them."""
        return budget


def draws(seed: int, sample: str, attack: str) -> Draw:
    """Random numbers keyed by (seed, sample, attack, step): order and company change nothing.

    A generator is good until the next is drawn.

    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": Philox is a function of
    key and counter, so any step can be drawn without the ones before.
    """
    words = hashlib.sha256(f"{seed}\0{sample}\0{attack}".encode()).digest()
    key = np.frombuffer(words[:16], "<u8")

    bits = np.random.Philox(key=key)
    start, generator = bits.state, np.random.Generator(bits)

    def draw(step: int) -> np.random.Generator:
        start["state"]["counter"][3] = step
        bits.state = start  # a sixth of the time of a new one
        return generator

    return draw


def on_lattice(picture: Array) -> Array:
    """The nearest uint8 image, wherever it lies."""
    if picture.dtype == np.uint8:
        return picture
    nearest: Array = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return nearest


def is_grey(image: Array) -> bool:
    """True if all channels are equal everywhere."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())

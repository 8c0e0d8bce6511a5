"""One image under attack, with its own books."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from eval.attacks.base import Dialogue, Threat, margin, on_lattice
from models.results import Array, Classification

__all__ = ["Talk"]


@dataclass(slots=True, eq=False)
class Talk:
    """A dialogue, what it asked, what it was told, and what became of it.

    `stage` goes clean, attack, final, over; or failed.
    """

    image: Array
    label: int
    dialogue: Dialogue
    threat: Threat
    budget: int
    final: Array
    asking: list[Array] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    answers: list[Classification | None] = field(default_factory=list)
    cache: dict[bytes, Classification] = field(default_factory=dict)
    stage: str = "clean"
    queries: int = 0
    cache_hits: int = 0
    predicted: int = -1
    start_margin: float = math.nan
    best_margin: float = math.inf
    right: bool = False
    claimed: bool = False
    fooled: bool = False
    exhausted: bool = False
    minimises: bool = False
    nearest: float = math.inf  # distance of the smallest wrong picture; only of an attack that minimises
    queries_to_fool: int = 0

    def begin(self) -> list[int]:
        """The clean picture is asked about first."""
        return self._ask([self.image])

    def _ask(self, pictures: list[Array]) -> list[int]:
        """Slots that need the endpoint; repeats, of before or of this turn, are not asked again."""
        self.asking, self.digests = pictures, [digest_of(picture) for picture in pictures]
        known = {} if self.stage == "final" else self.cache
        self.answers = [known.get(digest) for digest in self.digests]
        first = {digest: slot for slot, digest in reversed(list(enumerate(self.digests)))}
        open_slots = sorted(slot for digest, slot in first.items() if digest not in known)
        self.cache_hits += len(pictures) - len(open_slots)
        self.queries += len(open_slots)
        return open_slots

    def put(self, slot: int, answer: Classification) -> bool:
        """Note one answer, for all equal pictures of the turn; True when it was the last one missing."""
        self.cache[self.digests[slot]] = answer
        for same, digest in enumerate(self.digests):
            if digest == self.digests[slot]:
                self.answers[same] = answer
        return all(known is not None for known in self.answers)

    def turn(self) -> list[int]:
        """All answers are in: the slots to ask about next; none when the talk is over."""
        answers = [answer for answer in self.answers if answer is not None]
        if self.stage == "final":
            return self._end(answers[0])
        if self.stage == "clean":
            self.start_margin = self.best_margin = margin(answers[0], self.label)
            self.predicted = answers[0].label
            self.right = self.predicted == self.label
            if not self.right:
                return self._end(None)
            self.stage = "attack"
            return self._advance(None)
        if self.minimises:
            self._shrink(answers)
            return self._advance(answers)
        for picture, answer in zip(self.asking, answers, strict=True):
            reached = margin(answer, self.label)
            if reached < self.best_margin or answer.label != self.label:
                self.final, self.best_margin, self.predicted = picture, reached, answer.label
            if answer.label != self.label:
                self.claimed, self.queries_to_fool = True, self.queries + 1
                return self._check()
        return self._advance(answers)

    def _shrink(self, answers: Sequence[Classification]) -> None:
        """Keep the smallest picture that was wrong, inside the threat or not."""
        for picture, answer in zip(self.asking, answers, strict=True):
            if answer.label == self.label or (size := self.threat.size(self.image, picture)) >= self.nearest:
                continue
            self.final, self.nearest, self.predicted = picture, size, answer.label
            self.best_margin = margin(answer, self.label)
            if size <= self.threat.epsilon and not self.claimed:
                self.claimed, self.queries_to_fool = True, self.queries + 1

    def _check(self) -> list[int]:
        """The very bytes, once more, past the cache."""
        self.stage = "final"
        self.dialogue.close()
        return self._ask([self.final])

    def _advance(self, answers: Sequence[Classification] | None) -> list[int]:
        """Let the attack propose until something must be asked; end when it or the budget does."""
        while True:
            try:
                proposed = self.dialogue.send(answers)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration:
                return self._stop()
            room = self.budget - self.queries - 1  # one is kept for the final check
            if room < len(proposed):
                self.exhausted = True
                proposed = proposed[:room]
            if not proposed:
                return self._stop()
            slots = self._ask([self._allowed(picture) for picture in proposed])
            if slots:
                return slots
            answers = [answer for answer in self.answers if answer is not None]

    def _allowed(self, picture: Array) -> Array:
        return on_lattice(picture) if self.minimises else self.threat.enforce(self.image, picture)

    def _stop(self) -> list[int]:
        if self.nearest < math.inf:
            return self._check()
        self.dialogue.close()
        return self._end(None)

    def _end(self, last: Classification | None) -> list[int]:
        if last is not None:
            self.predicted = last.label
            self.fooled = self.claimed and last.label != self.label
        self.stage = "over"
        self.cache.clear()
        return []

    def fail(self) -> None:
        """The endpoint gave no answer; a claim that could not be checked is no claim."""
        self.dialogue.close()
        self.stage, self.predicted, self.claimed = "failed", -1, False


def digest_of(picture: Array) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=16).digest()

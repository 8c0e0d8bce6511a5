"""One image under attack, with its own books."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.attacks.base import Dialogue, Goal, Threat, Verdict, on_lattice
from eval.attacks.results import Facts, Outcome
from models.results import Array, Result

__all__ = ["Talk"]

CHECK, STRETCH = 1, 2  # queries kept for the last check, and for a smallest change that does not hold
LATE = 0.9  # of the queries; what the loss falls after these is its late gain


@dataclass(slots=True, eq=False)
class Talk:
    """A dialogue, what it asked, what it was told, and what became of it.

    `stage` goes clean, attack, final, over; or failed. After a smallest change that did not hold comes one
    more picture, stretch, before another final. Nothing in it depends on anything but its own
    answers, so it can be led again from the verdicts that were noted.

    Attributes:
        place: of the image among those attacked.
        known: verdicts of the turns that were asked before this process was, oldest first.
    """

    place: int
    image: Array
    goal: Goal
    dialogue: Dialogue
    threat: Threat
    budget: int
    minimises: bool = False
    known: deque[Sequence[Verdict]] = field(default_factory=deque)
    asking: list[Array] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    open: list[int] = field(default_factory=list)  # slots of `asking` that went out
    verdicts: list[Verdict | None] = field(default_factory=list)
    cache: dict[bytes, Verdict] = field(default_factory=dict)
    stage: str = "clean"
    final: Array = field(init=False)
    answer: Result | None = None
    best: Verdict = field(init=False)  # of `final`
    start_loss: float = math.nan
    falls: list[tuple[int, float]] = field(default_factory=list)  # queries, best loss by then
    queries: int = 0
    cache_hits: int = 0
    right: bool = False
    claims: int = 0
    reached: bool = False
    exhausted: bool = False
    nearest: float = math.inf  # distance of the smallest picture that reached the goal, if that is sought
    queries_to_fool: int = 0
    fallen: Verdict | None = None  # of the smallest change, which did not hold
    claim: tuple[list[tuple[Array, Verdict]], int] | None = None  # a turn, and the place of what is checked

    def __post_init__(self) -> None:
        self.final, self.best = self.image, Verdict(math.inf, False)

    @property
    def over(self) -> bool:
        return self.stage in ("over", "failed")

    def begin(self) -> list[int]:
        """The clean picture is asked about first."""
        return self._ask([self.image])

    def _ask(self, pictures: list[Array]) -> list[int]:
        """Slots that need the endpoint; repeats, of before or of this turn, are not asked again."""
        self.asking, self.digests = pictures, [digest_of(picture) for picture in pictures]
        known = {} if self.stage == "final" else self.cache
        self.verdicts = [known.get(digest) for digest in self.digests]
        first = {digest: slot for slot, digest in reversed(list(enumerate(self.digests)))}
        open_slots = sorted(slot for digest, slot in first.items() if digest not in known)
        self.cache_hits += len(pictures) - len(open_slots)
        self.queries += len(open_slots)
        self.open = open_slots
        return open_slots

    def told(self, slot: int, answer: Result) -> Verdict:
        """Note one answer; the last check's is kept."""
        if self.stage == "final":
            self.answer = answer
        verdict = self.goal.judge(answer)
        self.put(slot, verdict)
        return verdict

    def put(self, slot: int, verdict: Verdict) -> None:
        """Note what one answer is worth, for all equal pictures of the turn."""
        self.cache[self.digests[slot]] = verdict
        for same, digest in enumerate(self.digests):
            if digest == self.digests[slot]:
                self.verdicts[same] = verdict

    def news(self) -> list[Verdict]:
        """What was told of the pictures of this turn that went out, in order."""
        return [verdict for slot in self.open if (verdict := self.verdicts[slot]) is not None]

    @property
    def complete(self) -> bool:
        """Whether all of this turn were told."""
        return None not in self.verdicts

    def turn(self) -> list[int]:
        """All verdicts are in: the slots to ask about next; none when the talk is over."""
        verdicts = [verdict for verdict in self.verdicts if verdict is not None]
        if self.stage == "final":
            return self._checked(verdicts[0])
        if self.fallen is not None:
            return self._stretched(self.fallen, verdicts[0])
        if self.stage == "clean":
            self.best, self.start_loss = verdicts[0], verdicts[0].loss
            self.right = self.best.right
            if not self.right:
                return self._stop()
            self.stage = "attack"
            return self._advance(None)
        return self._look(list(zip(self.asking, verdicts, strict=True)), 0)

    def _look(self, told: list[tuple[Array, Verdict]], first: int) -> list[int]:
        """At what was told of a turn, until there is a claim."""
        for place, (picture, verdict) in enumerate(told[first:], first):
            if self.minimises:
                self._shrink(picture, verdict)
                continue
            if verdict.loss < self.best.loss or verdict.fooled:
                self.final, self.best = picture, verdict
                self.falls.append((self.queries, verdict.loss))
            if verdict.fooled:
                self.claims, self.queries_to_fool = self.claims + 1, self.queries + 1
                self.claim = told, place
                return self._check()
        return self._advance([verdict for _, verdict in told])

    def _checked(self, last: Verdict) -> list[int]:
        """A claim that does not hold is none: the attack is told so, and goes on while it may ask."""
        if last.fooled or self.queries + 1 >= self.budget:
            return self._end(last)
        if self.claim is None:
            return self._stretch(last)
        (told, place), self.claim = self.claim, None
        told[place] = told[place][0], last
        self.best, self.stage, self.answer = last, "attack", None
        return self._look(told, place + 1)

    def _stretch(self, last: Verdict) -> list[int]:
        """Of an endpoint in two minds the smallest change that fooled is the luckiest; the same way, as far
        as the threat allows, there may be no luck in it. Asked once, and then checked like any other."""
        share = self.threat.epsilon / self.nearest
        if self.fallen is not None or self.goal.graded or not 1 < share < math.inf:
            return self._end(last)
        self.stage, self.fallen = "stretch", last
        longer = self.image + share * (self.final.astype(np.float64) - self.image)
        return self._ask([self.threat.enforce(self.image, longer)]) or self.turn()

    def _stretched(self, fallen: Verdict, verdict: Verdict) -> list[int]:
        if not verdict.fooled:
            return self._end(fallen)
        self.final, self.best, self.queries_to_fool = self.asking[0], verdict, self.queries + 1
        self.claims += 1
        return self._check()

    def _shrink(self, picture: Array, verdict: Verdict) -> None:
        """Keep the smallest picture that reached the goal, inside the threat or not."""
        if not verdict.fooled or (size := self.threat.size(self.image, picture)) >= self.nearest:
            return
        self.final, self.best, self.nearest = picture, verdict, size
        if size <= self.threat.epsilon and not self.claims:
            self.claims, self.queries_to_fool = 1, self.queries + 1

    def _check(self) -> list[int]:
        """The very bytes, once more, past the cache."""
        self.stage = "final"
        return self._ask([self.final])

    def _advance(self, verdicts: Sequence[Verdict] | None) -> list[int]:
        """Let the attack propose until something must be asked; end when it or the budget does."""
        while True:
            try:
                proposed = self.dialogue.send(verdicts)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration:
                return self._stop()
            kept = CHECK + STRETCH * (self.minimises and self.claims > 0)
            room = self.budget - self.queries - kept
            if room < len(proposed):
                self.exhausted = True
                proposed = proposed[:room]
            if not proposed:
                return self._stop()
            slots = self._ask([self._allowed(picture) for picture in proposed])
            if slots:
                return slots
            verdicts = [verdict for verdict in self.verdicts if verdict is not None]

    def _allowed(self, picture: Array) -> Array:
        return on_lattice(picture) if self.minimises else self.threat.enforce(self.image, picture)

    def _stop(self) -> list[int]:
        if self.nearest < math.inf or self.goal.graded:
            return self._check()
        return self._end(None)

    def _end(self, last: Verdict | None) -> list[int]:
        self.dialogue.close()
        if last is not None:
            self.best = Verdict(self.best.loss, last.fooled, last.label)
            self.reached = last.fooled and self.right
        self.cache.clear()
        self.stage, self.asking, self.digests, self.verdicts = "over", [], [], []
        return []

    def fail(self) -> None:
        """The endpoint gave no answer; a claim that could not be checked is no claim."""
        self.dialogue.close()
        self.stage, self.answer, self.claims = "failed", None, 0
        self.cache.clear()

    def outcome(self) -> Outcome:
        """What became of it."""
        failed = self.stage == "failed"
        fooled = self.claims > 0 and self.reached
        facts = Facts(
            label=self.goal.truth,
            predicted=-1 if failed else self.best.label,
            clean_correct=self.right,
            claimed=self.claims,
            reached=self.reached and not failed,
            fooled=fooled,
            error=failed,
            exhausted=self.exhausted,
            queries=self.queries,
            queries_to_fool=self.queries_to_fool * fooled,
            cache_hits=self.cache_hits,
            start_loss=self.start_loss,
            best_loss=self.best.loss,
            late_gain=self._late_gain(),
            distance=self.threat.size(self.image, self.final),
        )
        return Outcome(facts, self.final, self.answer)

    def _late_gain(self) -> float:
        if not self.falls:
            return math.nan
        before = [loss for queries, loss in self.falls if queries <= LATE * self.queries]
        late = (before[-1] if before else self.start_loss) - self.falls[-1][1]
        fall = self.start_loss - self.falls[-1][1]
        return late / fall if fall > 0 else math.nan


def digest_of(picture: Array) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=16).digest()

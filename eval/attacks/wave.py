"""The one driver of all attacks: many dialogues, full batches, honest books.

Pictures that all dialogues want to ask about are merged into full batches, several under way at
once; a dialogue goes on as soon as its own answers are in. Its result depends on nothing but its
own answers, so batching, concurrency and order change nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.attacks.base import Attack, Dialogue, Threat, draws, margin
from eval.attacks.results import AttackResult
from eval.endpoint import Endpoint
from eval.errors import BudgetExceeded, EndpointError
from models.results import Array, Classification

__all__ = ["Limits", "Progress", "attack_all"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a wave stands."""

    attack: str
    samples: int
    finished: int
    fooled: int
    queries: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attack may cost and how hard it may press.

    Attributes:
        budget: images asked about per sample; the clean one and the final check are among them.
        batch: images in one request.
        in_flight: requests under way at once.
        max_queries: images asked about in all; shared out evenly, so that order decides nothing.
        max_qps: images a second, at most.
    """

    budget: int
    batch: int = 64
    in_flight: int = 4
    max_queries: int | None = None
    max_qps: float | None = None

    def share(self, samples: int) -> int:
        """The budget of each sample. Raises BudgetExceeded when it is under 3."""
        share = (
            self.budget if self.max_queries is None else min(self.budget, self.max_queries // max(1, samples))
        )
        if share < 3:
            raise BudgetExceeded(f"every sample needs at least 3 queries, got {share} for each of {samples}")
        return share


@dataclass(slots=True, eq=False)
class _Talk:
    """One image under attack, with its own books."""

    image: Array
    label: int
    dialogue: Dialogue
    threat: Threat
    budget: int
    final: Array
    asking: list[Array] = field(default_factory=list)
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

    def begin(self) -> list[int]:
        """The clean picture is asked about first."""
        return self._ask([self.image])

    def _ask(self, pictures: list[Array]) -> list[int]:
        """Slots that need the endpoint; repeats are answered from the cache here."""
        self.asking, self.answers, open_slots = pictures, [], []
        for slot, picture in enumerate(pictures):
            known = None if self.stage == "final" else self.cache.get(_digest(picture))
            self.answers.append(known)
            if known is None:
                open_slots.append(slot)
            else:
                self.cache_hits += 1
        self.queries += len(open_slots)
        return open_slots

    def put(self, slot: int, answer: Classification) -> bool:
        """Note one answer; True when it was the last one missing."""
        self.answers[slot] = answer
        self.cache[_digest(self.asking[slot])] = answer
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
        for picture, answer in zip(self.asking, answers, strict=True):
            reached = margin(answer, self.label)
            if reached < self.best_margin or answer.label != self.label:
                self.final, self.best_margin, self.predicted = picture, reached, answer.label
            if answer.label != self.label:
                self.claimed, self.stage = True, "final"
                self.dialogue.close()
                return self._ask([self.final])  # the very bytes, once more, past the cache
        return self._advance(answers)

    def _advance(self, answers: Sequence[Classification] | None) -> list[int]:
        """Let the attack propose until something must be asked; end when it or the budget does."""
        while True:
            try:
                proposed = self.dialogue.send(answers)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration:
                return self._end(None)
            room = self.budget - self.queries - 1  # one is kept for the final check
            if room < len(proposed):
                self.exhausted = True
                proposed = proposed[:room]
            if not proposed:
                self.dialogue.close()
                return self._end(None)
            slots = self._ask([self.threat.enforce(self.image, picture) for picture in proposed])
            if slots:
                return slots
            answers = [answer for answer in self.answers if answer is not None]

    def _end(self, last: Classification | None) -> list[int]:
        if last is not None:
            self.predicted = last.label
            self.fooled = last.label != self.label
        self.stage = "over"
        self.cache.clear()
        return []

    def fail(self) -> None:
        """The endpoint gave no answer."""
        self.dialogue.close()
        self.stage, self.predicted = "failed", -1


def _digest(picture: Array) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=16).digest()


async def attack_all(
    attack: Attack,
    endpoint: Endpoint[Classification],
    images: Sequence[Array],
    labels: Sequence[int],
    *,
    threat: Threat,
    limits: Limits,
    seed: int,
    samples: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> AttackResult:
    """Run one dialogue per image, all at once.

    Args:
        images: uint8 RGB `(H, W, 3)`, any sizes.
        labels: the true classes.
        samples: an id for each image, part of the key of its draws; its position by default.
        progress: told after every request.

    Raises:
        BudgetExceeded: the limits leave under 3 queries a sample.
        ValueError: images, labels and samples are not equally many.
    """
    names = list(samples) if samples is not None else [str(i) for i in range(len(images))]
    if not len(images) == len(labels) == len(names):
        raise ValueError(f"images, labels and samples must be equally many, got {len(images)}, {len(labels)}")
    budget = limits.share(len(images))
    talks = [
        _Talk(
            image=image,
            label=int(label),
            dialogue=attack.run(image, int(label), threat, draws(seed, name, attack.name), budget - 2),
            threat=threat,
            budget=budget,
            final=image,
        )
        for image, label, name in zip(images, labels, names, strict=True)
    ]
    await _Wave(attack.name, endpoint, talks, limits, progress).run()
    return _result(attack.name, talks, threat)


class _Wave:
    """Keeps requests full and under way until every talk is over."""

    def __init__(
        self,
        attack: str,
        endpoint: Endpoint[Classification],
        talks: list[_Talk],
        limits: Limits,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._attack, self._endpoint, self._talks = attack, endpoint, talks
        self._limits, self._progress = limits, progress
        self._waiting: deque[tuple[_Talk, int]] = deque()
        self._next_send = time.monotonic()

    async def run(self) -> None:
        for talk in self._talks:
            self._waiting.extend((talk, slot) for slot in talk.begin())
        tasks: set[asyncio.Task[None]] = set()
        try:
            while self._waiting or tasks:
                while self._waiting and len(tasks) < self._limits.in_flight:
                    tasks.add(asyncio.create_task(self._request(self._take())))
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                self._tell()
        finally:
            for task in tasks:
                task.cancel()

    def _take(self) -> list[tuple[_Talk, int]]:
        count = min(self._limits.batch, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    async def _request(self, batch: list[tuple[_Talk, int]]) -> None:
        batch = [(talk, slot) for talk, slot in batch if talk.stage != "failed"]
        if not batch:
            return
        await self._pace(len(batch))
        try:
            answers = await self._endpoint.predict([talk.asking[slot] for talk, slot in batch])
        except EndpointError:
            for talk, _ in batch:
                talk.fail()
            return
        for (talk, slot), answer in zip(batch, answers, strict=True):
            if talk.stage != "failed" and talk.put(slot, answer):
                self._waiting.extend((talk, slot) for slot in talk.turn())

    async def _pace(self, count: int) -> None:
        if self._limits.max_qps is None:
            return
        now = time.monotonic()
        start = max(now, self._next_send)
        self._next_send = start + count / self._limits.max_qps
        await asyncio.sleep(start - now)

    def _tell(self) -> None:
        if self._progress is None:
            return
        over = [talk for talk in self._talks if talk.stage in ("over", "failed")]
        fooled = sum(talk.fooled for talk in over)
        queries = sum(talk.queries for talk in self._talks)
        self._progress(Progress(self._attack, len(self._talks), len(over), fooled, queries))


def _result(attack: str, talks: list[_Talk], threat: Threat) -> AttackResult:
    failed = np.array([talk.stage == "failed" for talk in talks], bool)

    def column(values: list[bool] | list[int] | list[float], kind: type) -> Array:
        return np.array(values, kind)

    return AttackResult(
        attack=attack,
        images=[talk.final for talk in talks],
        labels=column([talk.label for talk in talks], np.int64),
        predicted=column([talk.predicted for talk in talks], np.int64),
        clean_correct=column([talk.right for talk in talks], bool),
        claimed=column([talk.claimed for talk in talks], bool),
        fooled=column([talk.fooled for talk in talks], bool),
        errors=failed,
        exhausted=column([talk.exhausted for talk in talks], bool),
        queries=column([talk.queries for talk in talks], np.int64),
        cache_hits=column([talk.cache_hits for talk in talks], np.int64),
        start_margin=column([talk.start_margin for talk in talks], np.float64),
        best_margin=column([talk.best_margin for talk in talks], np.float64),
        distance=column([threat.size(talk.image, talk.final) for talk in talks], np.float64),
    )

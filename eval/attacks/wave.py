"""The one driver of all attacks: many dialogues, full batches, honest books.

Pictures that all dialogues want to ask about are merged into full batches, several under way at
once; a dialogue goes on as soon as its own answers are in. Its result depends on nothing but its
own answers, so batching, concurrency and order change nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.attacks.base import Attack, Threat, draws
from eval.attacks.results import AttackResult
from eval.attacks.talk import Talk
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
        ValueError: images, labels and samples are not equally many, or the attack cannot keep to the threat.
    """
    if threat.norm not in attack.norms:
        raise ValueError(
            f"the threat of {attack.name} must be {' or '.join(attack.norms)}, got {threat.norm}"
        )
    names = list(samples) if samples is not None else [str(i) for i in range(len(images))]
    if not len(images) == len(labels) == len(names):
        raise ValueError(f"images, labels and samples must be equally many, got {len(images)}, {len(labels)}")
    budget = limits.share(len(images))
    talks = [
        Talk(
            image=image,
            label=int(label),
            dialogue=attack.run(image, int(label), threat, draws(seed, name, attack.name), budget - 2),
            threat=threat,
            budget=budget,
            final=image,
            minimises=attack.minimises,
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
        talks: list[Talk],
        limits: Limits,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._attack, self._endpoint, self._talks = attack, endpoint, talks
        self._limits, self._progress = limits, progress
        self._waiting: deque[tuple[Talk, int]] = deque()
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

    def _take(self) -> list[tuple[Talk, int]]:
        count = min(self._limits.batch, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    async def _request(self, batch: list[tuple[Talk, int]]) -> None:
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


def _result(attack: str, talks: list[Talk], threat: Threat) -> AttackResult:
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
        queries_to_fool=column([talk.queries_to_fool * talk.fooled for talk in talks], np.int64),
        cache_hits=column([talk.cache_hits for talk in talks], np.int64),
        start_margin=column([talk.start_margin for talk in talks], np.float64),
        best_margin=column([talk.best_margin for talk in talks], np.float64),
        distance=column([threat.size(talk.image, talk.final) for talk in talks], np.float64),
    )

"""Who attacks: this process, several beside it, or a Ray cluster. What comes of it is the same.

Every draw is keyed by (seed, sample, attack, step), so a shard of the samples is attacked as it would be
among all others. Outcomes come back as rows of the record, which only this process writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from eval.attacks.base import Attack, Threat
from eval.attacks.book import Kept
from eval.attacks.results import AttackResult, result_of
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, Progress, attack_all
from eval.auditing.record import AttackBook, Row
from eval.auditing.subject import Subject, opened
from eval.endpoint import Endpoint
from eval.errors import EvalError
from eval.pool import Askers, Pace
from eval.recorded import Request
from eval.remote.access import endpoint_of
from eval.spread import shared

__all__ = ["Work", "attacked"]

ROUNDS = 2  # shards of each worker, at the least; who is quick takes another
Tell: TypeAlias = Callable[[Progress], None]
Shard: TypeAlias = tuple[list[Row], int, EvalError | None]  # queries, and what ended it before its end


@dataclass(frozen=True, slots=True)
class Work:
    """One attack, as plain values: a worker elsewhere can do the same.

    Attributes:
        request: the model and the data.
        data_digest: of the data, so that nobody attacks another.
        goal: as `goals_of` takes it.
        run: of the audit, that its owner can tell its requests.
    """

    request: Request
    data_digest: str
    attack: str
    goal: str
    threat: Threat
    budget: int
    seed: int
    run: str

    def limits(self, pace: Pace) -> Limits:
        return Limits(self.budget, pace.batch, pace.concurrency)


async def attacked(
    work: Work,
    attack: Attack,
    subject: Subject,
    endpoint: Endpoint[Any],
    book: AttackBook,
    pace: Pace,
    others: Askers | None = None,
    progress: Tell | None = None,
) -> AttackResult:
    """What an attack comes to on every sample of the subject; what the book holds is not asked again.

    Args:
        attack: that of `work`; one that was made on a twin is known to this process alone, which asks then.
        others: who attack in the place of this process.

    Raises:
        EvalError: the endpoint is gone, a worker ended, or there is no Ray. What was told is in the book.
    """
    if others is None or work.attack not in ATTACKS:
        return await attack_all(
            attack, endpoint, subject.images, subject.goals, threat=work.threat, limits=work.limits(pace),
            seed=work.seed, samples=subject.ids, progress=progress, book=book,
        )  # fmt: skip
    ended = book.ended()
    missing = [place for place in range(len(subject)) if place not in ended]
    done, fooled, queries = len(ended), sum(row.fooled for row in book.columns()[0]), 0
    async for rows, more in _by_others(work, missing, pace, others):
        book.add(rows)
        done, queries = done + len(rows), queries + more
        fooled += sum(row.told.fooled for row in rows)
        if progress is not None:
            progress(Progress(work.attack, len(subject), done, fooled, queries))
    goals = "; ".join(dict.fromkeys(goal.name for goal in subject.goals))
    return result_of(work.attack, goals, work.threat, *book.columns())


async def _by_others(
    work: Work, places: Sequence[int], pace: Pace, others: Askers
) -> AsyncIterator[tuple[list[Row], int]]:
    target = shared(work.request.target, others.count)
    work = replace(work, request=replace(work.request, target=target))
    shards = ((work, shard, pace) for shard in _shards(places, pace))
    async with aclosing(others.share(attack_shard, shards)) as done:
        async for rows, queries, error in done:
            yield rows, queries
            if error is not None:
                raise error


def _shards(places: Sequence[int], pace: Pace) -> Iterable[Sequence[int]]:
    size = min(-(-len(places) // (ROUNDS * pace.workers)), pace.batch * pace.concurrency)
    return (places[start : start + size] for start in range(0, len(places), size)) if places else ()


def attack_shard(work: Work, places: Sequence[int], pace: Pace) -> Shard:
    """The outcomes of one shard, attacked from a process of its own."""
    return asyncio.run(_shard(work, places, pace))


async def _shard(work: Work, places: Sequence[int], pace: Pace) -> Shard:
    kept, queries = Kept(), 0
    subject = opened(work.request, work.goal, work.seed, work.data_digest)

    def tell(progress: Progress) -> None:
        nonlocal queries
        queries = progress.queries

    error = None
    try:
        async with endpoint_of(work.request.target, work.run) as endpoint:
            await attack_all(
                ATTACKS[work.attack], endpoint, [subject.images[p] for p in places],
                [subject.goals[p] for p in places], threat=work.threat, limits=work.limits(pace),
                seed=work.seed, samples=[subject.ids[p] for p in places], progress=tell, book=kept,
            )  # fmt: skip
    except EvalError as stop:
        error = stop
    rows = [Row.of(places[at], one, subject.images[places[at]]) for at, one in kept.outcomes.items()]
    return rows, queries, error

"""Who asks: this process, several beside it, or a Ray cluster. What is asked and what comes back is the same.

The places that are still missing are cut into shards; each shard is asked by whoever is free and comes
back as rows of the journal, which only this process writes. Nothing depends on who asked what.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from eval.collect import Asked, asked, digest_of, misfit, truth_of
from eval.data.dataset import Dataset, Sample
from eval.data.slices import slicer
from eval.errors import EvalError
from eval.journal import Row
from eval.packed import pack
from eval.pool import Pace, askers
from eval.recorded import Request
from eval.remote.access import endpoint_of
from eval.target import Target

__all__ = ["ask", "ask_shard", "shared"]

SHARD = 16  # requests of one worker before it comes back with their answers


Tag: TypeAlias = Callable[[Sample], Mapping[str, str]]
# Rows as they come, each with its sample and answer where this process has them.
Rows: TypeAlias = AsyncGenerator[list[tuple[Row, Asked | None]], None]
Shard: TypeAlias = tuple[list[Row], EvalError | None]  # what was answered, and what ended it before its end


async def ask(request: Request, data: Dataset, places: Sequence[int], pace: Pace) -> Rows:
    """The rows of the samples at `places`, as they come.

    Raises:
        EndpointError: the endpoint is gone. What was answered before has been given.
        EvalError: a worker ended, or there is no Ray.
    """
    rows = _ask_here(request, data, places, pace) if pace.alone else _asked_by_others(request, places, pace)
    async with aclosing(rows):
        async for some in rows:
            yield some


async def _ask_here(request: Request, data: Dataset, places: Iterable[int], pace: Pace) -> Rows:
    tag = slicer(request.slices, data)
    async with endpoint_of(request.target) as endpoint:
        told = asked(endpoint, data, places, batch=pace.batch, concurrency=pace.concurrency)
        async with aclosing(told):
            async for answers in told:
                fitting = [_fitting(one, len(data.labels)) for one in answers]
                yield [(_row(one, tag), one) for one in fitting]


def _fitting(one: Asked, classes: int) -> Asked:
    """What came back; an answer that cannot be scored is none, or the whole run could never be."""
    why = "" if one.answer is None else misfit(one.answer, one.sample.expected, classes)
    return replace(one, answer=None, error=f"the answer cannot be scored: {why}") if why else one


def _row(one: Asked, tag: Tag) -> Row:
    sample = one.sample
    answer = None if one.answer is None else pack(one.answer)
    digests = digest_of(sample.file), truth_of(sample.expected)
    return Row(one.place, sample.id, *digests, answer, one.error, tag(sample), one.seconds)


def ask_shard(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    """The rows of one shard, asked from a process of its own."""
    return asyncio.run(_rows(request, places, pace))


async def _rows(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    kept: list[Row] = []
    try:
        data = _opened(json.dumps(request.told(0)))
        async with aclosing(_ask_here(request, data, places, pace)) as answers:
            async for some in answers:
                kept += [row for row, _ in some]
    except EvalError as error:
        return kept, error
    return kept, None


@lru_cache(maxsize=1)
def _opened(told: str) -> Dataset:
    """Read once by each worker."""
    return Request.of(json.loads(told)).dataset()


def _shards(places: Sequence[int], pace: Pace) -> list[Sequence[int]]:
    size = SHARD * pace.batch
    return [places[start : start + size] for start in range(0, len(places), size)]


def shared(target: Target, askers: int) -> Target:
    """The same for one of several who ask, who together ask no more than was allowed."""
    most = target.access.max_qps
    if most is None:
        return target
    return replace(target, access=replace(target.access, max_qps=most / max(askers, 1)))


async def _asked_by_others(request: Request, places: Sequence[int], pace: Pace) -> Rows:
    """Shards asked by workers, who have the data themselves."""
    async with askers(pace) as others:
        request = replace(request, target=shared(request.target, others.count))
        shards = ((request, shard, pace) for shard in _shards(places, pace))
        async with aclosing(others.share(ask_shard, shards)) as done:
            async for rows, error in done:
                yield [(row, None) for row in rows]
                if error is not None:
                    raise error

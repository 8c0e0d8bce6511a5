"""Asks an endpoint about a whole data set, in order, several requests at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from eval.data.dataset import Dataset, Sample
from eval.errors import EndpointError, Refused
from eval.remote.assay import AssayEndpoint
from models.results import Result

__all__ = ["Asked", "ask_all"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample and its answer; None with the reason where there was none."""

    sample: Sample
    answer: Result | None
    error: str = ""


async def ask_all(
    endpoint: AssayEndpoint[Any],
    data: Dataset,
    *,
    batch: int,
    concurrency: int,
) -> AsyncIterator[Asked]:
    """Every sample with its answer, in the order of the data whatever the concurrency.

    The original file is sent, byte for byte. At most `concurrency` requests of `batch` images
    are held in memory.
    """

    async def asked(samples: tuple[Sample, ...]) -> list[Asked]:
        try:
            answers = await endpoint.predict_files([sample.file for sample in samples])
        except EndpointError as error:
            if isinstance(error, Refused) and len(samples) > 1:  # find the one that was not taken
                return [one for sample in samples for one in await asked((sample,))]
            return [Asked(sample, None, str(error)) for sample in samples]
        return [Asked(sample, answer) for sample, answer in zip(samples, answers, strict=True)]

    under_way: deque[asyncio.Task[list[Asked]]] = deque()
    waiting: Iterator[tuple[Sample, ...]] = _batches(data, batch)
    try:
        while True:
            while len(under_way) < concurrency and (samples := next(waiting, None)):
                under_way.append(asyncio.create_task(asked(samples)))
            if not under_way:
                return
            done = await under_way.popleft()
            for one in done:
                yield one
    finally:
        for task in under_way:
            task.cancel()


def _batches(data: Dataset, size: int) -> Iterator[tuple[Sample, ...]]:
    samples = iter(data)
    while chunk := tuple(sample for _, sample in zip(range(size), samples, strict=False)):
        yield chunk

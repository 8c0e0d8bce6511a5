"""Asks an endpoint about a data set, several requests at a time."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from eval.data.dataset import Dataset, Expected, Sample
from eval.endpoint import RemoteEndpoint
from eval.errors import EndpointError, Gone, Refused
from eval.metrics.truth import Objects
from models.results import Result

__all__ = ["Asked", "ask_all", "asked", "digest_of", "truth_of"]

GIVE_UP = 8  # requests in a row without an answer: the endpoint is gone


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample and its answer; None with the reason where there was none.

    Attributes:
        place: of the sample in the data.
        seconds: of the request it was in, retries included.
    """

    sample: Sample
    answer: Result | None
    error: str = ""
    place: int = 0
    seconds: float = 0.0


def digest_of(file: bytes) -> str:
    """By which a file is known again."""
    return hashlib.blake2b(file, digest_size=16).hexdigest()


def truth_of(expected: Expected) -> str:
    """The same for what is expected of it."""
    if isinstance(expected, int):
        return str(expected)
    if isinstance(expected, Objects):
        columns = [expected.boxes, expected.labels, expected.areas, expected.crowd]
        return digest_of(b"".join(np.ascontiguousarray(column).tobytes() for column in columns))
    return digest_of(repr(expected.shape).encode() + np.ascontiguousarray(expected).tobytes())


async def asked(
    endpoint: RemoteEndpoint, data: Dataset, places: Iterable[int], *, batch: int, concurrency: int
) -> AsyncGenerator[list[Asked], None]:
    """The samples at `places` with their answers, a request at a time, in the order answers come.

    The original file is sent, byte for byte. At most `concurrency` requests of `batch` images are held
    in memory.

    Raises:
        EndpointError: nobody listens, or eight requests in a row got no answer.
    """
    waiting, silent = _batches(places, batch), 0
    under_way: set[asyncio.Task[tuple[list[Asked], int]]] = set()
    try:
        while True:
            for chosen in islice(waiting, concurrency - len(under_way)):
                under_way.add(asyncio.create_task(_request(endpoint, [(p, data[p]) for p in chosen])))
            if not under_way:
                return
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for answers, unheard in (task.result() for task in done):
                silent = silent + unheard if unheard else 0
                yield answers
                if silent >= GIVE_UP:
                    raise EndpointError(f"no more is asked, nobody answers: {answers[-1].error}")
    finally:
        for task in under_way:
            task.cancel()


async def _request(
    endpoint: RemoteEndpoint, samples: Sequence[tuple[int, Sample]]
) -> tuple[list[Asked], int]:
    """The answers of one request, and by how much the endpoint was not heard: 0 where it was."""
    began = time.perf_counter()
    try:
        answers = await endpoint.predict_files([sample.file for _, sample in samples])
    except Refused as error:
        if len(samples) > 1:  # find the one that was not taken
            each = [await _request(endpoint, [one]) for one in samples]
            return [one for found, _ in each for one in found], 0
        return [Asked(sample, None, str(error), place) for place, sample in samples], 0
    except EndpointError as error:
        silent = GIVE_UP if isinstance(error, Gone) else 1
        return [Asked(sample, None, str(error), place) for place, sample in samples], silent
    seconds = time.perf_counter() - began
    told = zip(samples, answers, strict=True)
    return [Asked(sample, answer, "", place, seconds) for (place, sample), answer in told], 0


async def ask_all(
    endpoint: RemoteEndpoint, data: Dataset, *, batch: int, concurrency: int
) -> AsyncIterator[Asked]:
    """Every sample with its answer, in the order of the data whatever the concurrency.

    Raises:
        EndpointError: eight requests in a row got no answer.
    """
    early: dict[int, Asked] = {}
    following = 0
    async for answers in asked(endpoint, data, range(len(data)), batch=batch, concurrency=concurrency):
        early.update((one.place, one) for one in answers)
        while following in early:
            yield early.pop(following)
            following += 1


def _batches(places: Iterable[int], size: int) -> Iterator[list[int]]:
    left = iter(places)
    while chunk := list(islice(left, size)):
        yield chunk

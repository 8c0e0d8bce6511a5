"""Asks an endpoint about a data set, several requests at a time."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

import numpy as np

from eval.data.dataset import Dataset, Expected, Sample
from eval.endpoint import RemoteEndpoint
from eval.errors import EndpointError
from eval.metrics.truth import Objects
from eval.silence import Silence
from models.results import Classification, Detections, Result, Segmentation

__all__ = ["Asked", "ask_all", "asked", "digest_of", "misfit", "truth_of"]


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


def misfit(answer: Result, expected: Expected, classes: int) -> str:
    """Why an answer cannot be held against the truth; empty where it can. Foreign servers answer anything."""
    if isinstance(answer, Classification) and isinstance(expected, int):
        if len(answer.scores) != classes:
            return f"there must be {classes} scores, one a class, got {len(answer.scores)}"
        low, high = float(answer.scores.min()), float(answer.scores.max())
        return "" if low >= 0 and high <= 1 else f"scores must be in [0, 1], got {low:g} to {high:g}"
    if isinstance(answer, Detections) and isinstance(expected, Objects):
        if answer.masks is None or expected.masks is None or not (len(answer) and len(expected)):
            return ""
        return _unlike(answer.masks.shape[1:], expected.masks.shape[1:])
    if isinstance(answer, Segmentation) and isinstance(expected, np.ndarray):
        return _unlike(answer.labels.shape, expected.shape)
    return f"an answer must be of the data's task, got {type(answer).__name__}"


def _unlike(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    return "" if shape == wanted else f"a map must be {wanted} like the truth, got {shape}"


async def asked(
    endpoint: RemoteEndpoint, data: Dataset, places: Iterable[int], *, batch: int, concurrency: int
) -> AsyncGenerator[list[Asked], None]:
    """The samples at `places` with their answers, a request at a time, in the order answers come.

    The original file is sent, byte for byte. At most `concurrency` requests of `batch` images are held
    in memory. What is asked together and gets no answer is asked again one by one: which images have
    none does not depend on `batch`.

    Raises:
        EndpointError: nobody listens, or eight requests in a row got no answer.
    """
    waiting, silence = _batches(places, batch), Silence()
    under_way: set[asyncio.Task[list[Asked]]] = set()
    try:
        while True:
            for chosen in islice(waiting, concurrency - len(under_way)):
                samples = [(place, data[place]) for place in chosen]
                under_way.add(asyncio.create_task(_request(endpoint, samples, silence)))
            if not under_way:
                return
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                under_way.discard(task)
                yield task.result()
            silence.end()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _request(
    endpoint: RemoteEndpoint, samples: Sequence[tuple[int, Sample]], silence: Silence
) -> list[Asked]:
    """The samples of one request with their answers; fewer when the endpoint is given up meanwhile."""
    if silence.over:
        return []
    began = time.perf_counter()
    try:
        answers = await endpoint.predict_files([sample.file for _, sample in samples])
        if len(answers) != len(samples):
            raise EndpointError(f"there must be {len(samples)} answers, one an image, got {len(answers)}")
    except EndpointError as error:
        silence.failed(error)
        if len(samples) == 1 or silence.over:
            return [Asked(sample, None, str(error), place) for place, sample in samples]
        return [found for one in samples for found in await _request(endpoint, [one], silence)]
    silence.heard()
    seconds = time.perf_counter() - began
    told = zip(samples, answers, strict=True)
    return [Asked(sample, answer, "", place, seconds) for (place, sample), answer in told]


async def ask_all(
    endpoint: RemoteEndpoint, data: Dataset, *, batch: int, concurrency: int
) -> AsyncIterator[Asked]:
    """Every sample with its answer, in the order of the data whatever the concurrency.

    Raises:
        EndpointError: eight requests in a row got no answer.
    """
    early: dict[int, Asked] = {}
    following = 0
    told = asked(endpoint, data, range(len(data)), batch=batch, concurrency=concurrency)
    async with aclosing(told):
        async for answers in told:
            early.update((one.place, one) for one in answers)
            while following in early:
                yield early.pop(following)
                following += 1


def _batches(places: Iterable[int], size: int) -> Iterator[list[int]]:
    left = iter(places)
    while chunk := list(islice(left, size)):
        yield chunk

"""Who asks: this process, several beside it, or a Ray cluster. What is asked and what comes back is the same.

The places that are still missing are cut into shards; each shard is asked by whoever is free and comes
back as rows of the journal, which only this process writes. Nothing depends on who asked what.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeAlias

from eval.collect import Asked, asked, digest_of, truth_of
from eval.data.dataset import Dataset, Sample
from eval.data.slices import slicer
from eval.errors import EvalError
from eval.journal import Row
from eval.packed import pack
from eval.recorded import Request
from eval.remote.access import endpoint_of

__all__ = ["Pace", "ask", "ask_over_processes", "ask_over_ray"]

SHARD = 16  # requests of one worker before it comes back with their answers


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard is asked; the scores do not depend on it.

    Attributes:
        batch: images in one request.
        concurrency: requests at once, of each worker.
        workers: processes that ask; 1 is this one.
        ray: address of a Ray cluster that asks (`local` starts one here), or None.
    """

    batch: int = 16
    concurrency: int = 4
    workers: int = 1
    ray: str | None = None


Tag: TypeAlias = Callable[[Sample], Mapping[str, str]]
# Rows as they come, each with its sample and answer where this process has them.
Rows: TypeAlias = AsyncGenerator[list[tuple[Row, Asked | None]], None]


async def ask(request: Request, data: Dataset, places: Sequence[int], pace: Pace) -> Rows:
    """The rows of the samples at `places`, as they come.

    Raises:
        EndpointError: the endpoint is gone. What was answered before has been given.
        EvalError: a worker ended, or there is no Ray.
    """
    if pace.ray is not None:
        rows = ask_over_ray(request, places, pace)
    elif pace.workers > 1:
        rows = ask_over_processes(request, places, pace)
    else:
        rows = _ask_here(request, data, places, pace)
    async with aclosing(rows):
        async for some in rows:
            yield some


async def _ask_here(request: Request, data: Dataset, places: Iterable[int], pace: Pace) -> Rows:
    tag = slicer(request.slices, data)
    async with endpoint_of(request.target) as endpoint:
        told = asked(endpoint, data, places, batch=pace.batch, concurrency=pace.concurrency)
        async with aclosing(told):
            async for answers in told:
                yield [(_row(one, tag), one) for one in answers]


def _row(one: Asked, tag: Tag) -> Row:
    sample = one.sample
    answer = None if one.answer is None else pack(one.answer)
    digests = digest_of(sample.file), truth_of(sample.expected)
    return Row(one.place, sample.id, *digests, answer, one.error, tag(sample), one.seconds)


def ask_shard(request: Request, places: Sequence[int], pace: Pace) -> list[Row]:
    """The rows of one shard, asked from a process of its own."""

    async def rows() -> list[Row]:
        answers = _ask_here(request, _opened(json.dumps(request.told(0))), places, pace)
        return [row async for some in answers for row, _ in some]

    return asyncio.run(rows())


@lru_cache(maxsize=1)
def _opened(told: str) -> Dataset:
    """Read once by each worker."""
    return Request.of(json.loads(told)).dataset()


def _shards(places: Sequence[int], pace: Pace) -> list[Sequence[int]]:
    size = SHARD * pace.batch
    return [places[start : start + size] for start in range(0, len(places), size)]


async def ask_over_processes(request: Request, places: Sequence[int], pace: Pace) -> Rows:
    """Shards asked by processes of this machine."""
    loop = asyncio.get_running_loop()
    context = get_context("spawn")
    with ProcessPoolExecutor(pace.workers, mp_context=context, initializer=_leave_with_parent) as pool:
        waiting = {
            loop.run_in_executor(pool, ask_shard, request, shard, pace) for shard in _shards(places, pace)
        }
        try:
            for done in asyncio.as_completed(waiting):
                yield [(row, None) for row in await done]
        except BrokenProcessPool as error:
            raise EvalError(f"a worker ended: {error}; go on with --resume") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _leave_with_parent() -> None:
    """End this worker when the process that wants its answers is gone, however it went."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


async def ask_over_ray(request: Request, places: Sequence[int], pace: Pace) -> Rows:
    """Shards asked by the workers of a Ray cluster, which must have Assay and the data.

    Raises:
        EvalError: Ray is not installed, or the cluster is not there.
    """
    ray = _ray(pace)
    try:
        task: Any = ray.remote(ask_shard)
        waiting = [task.remote(request, shard, pace) for shard in _shards(places, pace)]
        while waiting:
            done, waiting = await asyncio.to_thread(partial(ray.wait, waiting, num_returns=1))
            yield [(row, None) for row in await asyncio.to_thread(ray.get, done[0])]
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, EvalError):
            raise cause from error
        raise EvalError(f"a Ray worker failed: {str(error).splitlines()[-1]}; go on with --resume") from error
    finally:
        ray.shutdown()


def _ray(pace: Pace) -> Any:
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise EvalError("--ray needs Ray: pip install 'assay[ray]'") from error
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if pace.ray == "local":
            ray.init(num_cpus=pace.workers, include_dashboard=False, **options)
        else:
            ray.init(address=pace.ray, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EvalError(f"there must be a Ray cluster at {pace.ray}: {error}") from error
    return ray

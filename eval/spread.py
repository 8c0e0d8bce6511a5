"""Who asks: this process, several beside it, or a Ray cluster. What is asked and what comes back is the same.

The places that are still missing are cut into shards; each shard is asked by whoever is free and comes
back as rows of the journal, which only this process writes. Nothing depends on who asked what.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib import import_module
from itertools import islice
from multiprocessing import connection, get_context
from typing import Any, TypeAlias

from eval.collect import Asked, asked, digest_of, misfit, truth_of
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
Shard: TypeAlias = tuple[list[Row], EvalError | None]  # what was answered, and what ended it before its end


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


def _shared(request: Request, workers: int) -> Request:
    """The same for one of several workers, who together ask no more than was allowed."""
    target, most = request.target, request.target.access.max_qps
    if most is None:
        return request
    access = replace(target.access, max_qps=most / max(workers, 1))
    return replace(request, target=replace(target, access=access))


@contextmanager
def _unheard() -> Iterator[None]:
    """What is started meanwhile never hears an interrupt from the terminal; the parent decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def ask_over_processes(request: Request, places: Sequence[int], pace: Pace) -> Rows:
    """Shards asked by processes of this machine; those that nobody asks yet, and answers that nobody has
    taken, wait here, so memory does not grow with the data."""
    loop, context = asyncio.get_running_loop(), get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    request, shards = _shared(request, pace.workers), iter(_shards(places, pace))
    pool = ProcessPoolExecutor(pace.workers, context, _leave_with_parent, (ours,))
    under_way: set[asyncio.Future[Shard]] = set()
    try:
        while True:
            for shard in islice(shards, 2 * pace.workers - len(under_way)):
                with _unheard():  # this may start a worker
                    under_way.add(loop.run_in_executor(pool, ask_shard, request, shard, pace))
            if not under_way:
                return
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                under_way.discard(one)
                rows, error = one.result()
                yield [(row, None) for row in rows]
                if error is not None:
                    raise error
    except BrokenProcessPool as error:
        raise EvalError(f"a worker ended: {error}; go on with --resume") from error
    finally:
        if under_way:  # nobody waits for their answers
            theirs.close()
        pool.shutdown(wait=True, cancel_futures=True)
        await asyncio.gather(*under_way, return_exceptions=True)
        theirs.close()
        ours.close()


def _leave_with_parent(parent: connection.Connection) -> None:
    """End this worker when nobody wants its answers: its parent hung up, or is gone, however it went."""

    def watch() -> None:
        connection.wait([parent])
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
        request = _shared(request, int(ray.cluster_resources().get("CPU", 1)))
        waiting = [task.remote(request, shard, pace) for shard in _shards(places, pace)]
        while waiting:
            done, waiting = await asyncio.to_thread(partial(ray.wait, waiting, num_returns=1))
            rows, error = await asyncio.to_thread(ray.get, done[0])
            yield [(row, None) for row in rows]
            if error is not None:
                raise error
    except ray.exceptions.RayError as error:
        *_, last = str(error).splitlines() or [type(error).__name__]
        raise EvalError(f"a Ray worker failed: {last}; go on with --resume") from error
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

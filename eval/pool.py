"""Who does the work of a shard: processes beside this one, or a Ray cluster. What comes back is the same.

Nothing is known here of what the work is: a function of a module and plain arguments, so that it can be
sent anywhere.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from multiprocessing import connection, get_context
from typing import Any, TypeVar

from eval.errors import EvalError

__all__ = ["Pace", "askers", "over_processes", "over_ray", "shared_out"]

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard is asked; what comes of it does not depend on it.

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

    @property
    def alone(self) -> bool:
        """This process asks."""
        return self.ray is None and self.workers == 1


def shared_out(
    work: Callable[..., Done], shards: Iterable[tuple[Any, ...]], pace: Pace
) -> AsyncGenerator[Done, None]:
    """What the work gives for each shard of arguments, as it comes.

    Raises:
        EvalError: a worker ended, or there is no Ray.
    """
    return over_processes(work, shards, pace) if pace.ray is None else over_ray(work, shards, pace)


def askers(pace: Pace) -> int:
    """How many will ask at once, who together must keep to a limit."""
    if pace.ray is None:
        return pace.workers
    ray = _ray(pace)
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


@contextmanager
def _unheard() -> Iterator[None]:
    """What is started meanwhile never hears an interrupt from the terminal; the parent decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def over_processes(
    work: Callable[..., Done], shards: Iterable[tuple[Any, ...]], pace: Pace
) -> AsyncGenerator[Done, None]:
    """By processes of this machine; shards that nobody works at yet, and what nobody has taken, wait here,
    so memory does not grow with the data."""
    loop, context = asyncio.get_running_loop(), get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    left = iter(shards)
    pool = ProcessPoolExecutor(pace.workers, context, _leave_with_parent, (ours,))
    under_way: set[asyncio.Future[Done]] = set()
    try:
        while True:
            for shard in islice(left, 2 * pace.workers - len(under_way)):
                with _unheard():  # this may start a worker
                    under_way.add(loop.run_in_executor(pool, work, *shard))
            if not under_way:
                return
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                under_way.discard(one)
                yield one.result()
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


async def over_ray(
    work: Callable[..., Done], shards: Iterable[tuple[Any, ...]], pace: Pace
) -> AsyncGenerator[Done, None]:
    """By the workers of a Ray cluster, which must have Assay and the data.

    Raises:
        EvalError: Ray is not installed, or the cluster is not there.
    """
    ray = _ray(pace)
    try:
        task: Any = ray.remote(work)
        waiting = [task.remote(*shard) for shard in shards]
        while waiting:
            done, waiting = await asyncio.to_thread(partial(ray.wait, waiting, num_returns=1))
            yield await asyncio.to_thread(ray.get, done[0])
    except ray.exceptions.RayError as error:
        *_, last = str(error).splitlines() or [type(error).__name__]
        raise EvalError(f"a Ray worker failed: {last}; go on with --resume") from error
    finally:
        ray.shutdown()


def _ray(pace: Pace) -> Any:
    """Ray, connected."""
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise EvalError("--ray needs Ray: pip install 'assay[ray]'") from error
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if pace.ray == "local":
            ray.init(num_cpus=pace.workers, include_dashboard=False, **options)
        else:
            ray.init(address=pace.ray, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EvalError(f"there must be a Ray cluster at {pace.ray}: {error}") from error
    return ray

"""Who does the work of a shard: processes beside this one, or a Ray cluster. What comes back is the same.

Nothing is known here of what the work is: a function of a module and plain arguments, so that it can be
sent anywhere.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from itertools import islice
from multiprocessing import connection, get_context
from typing import Any, Protocol, TypeVar

from eval.errors import EvalError

__all__ = ["Askers", "Pace", "askers"]

Done = TypeVar("Done")
SPAWN = get_context("spawn")


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


class Askers(Protocol):
    """Who works at shards.

    Attributes:
        count: how many at once, who together must keep to a limit.
    """

    @property
    def count(self) -> int: ...

    def share(
        self, work: Callable[..., Done], shards: Iterable[tuple[Any, ...]]
    ) -> AsyncGenerator[Done, None]:
        """What the work gives for each shard of arguments, as it comes.

        Raises:
            EvalError: a worker ended.
        """


@asynccontextmanager
async def askers(pace: Pace) -> AsyncIterator[Askers]:
    """The workers of a pace, started when they are first needed, for as much work as there is.

    Raises:
        EvalError: there is no Ray.
    """
    if pace.ray is None:
        ours, theirs = SPAWN.Pipe(duplex=False)
        pool = ProcessPoolExecutor(pace.workers, SPAWN, _leave_with_parent, (ours,))
        found = _Processes(pace.workers, pool)
        try:
            yield found
        finally:
            if found.under_way:  # nobody waits for their answers
                theirs.close()
            pool.shutdown(wait=True, cancel_futures=True)
            await asyncio.gather(*found.under_way, return_exceptions=True)
            theirs.close()
            ours.close()
        return
    ray = _ray(pace)
    try:
        yield _Ray(max(int(ray.cluster_resources().get("CPU", 1)), 1), ray)
    finally:
        ray.shutdown()


@contextmanager
def _unheard() -> Iterator[None]:
    """What is started meanwhile never hears an interrupt from the terminal; the parent decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(eq=False)
class _Processes:
    """Of this machine; shards that nobody works at yet, and what nobody has taken, wait here, so memory does
    not grow with the data."""

    count: int
    pool: ProcessPoolExecutor
    under_way: set[asyncio.Future[Any]] = field(default_factory=set)

    async def share(
        self, work: Callable[..., Done], shards: Iterable[tuple[Any, ...]]
    ) -> AsyncGenerator[Done, None]:
        loop, left = asyncio.get_running_loop(), iter(shards)
        try:
            while True:
                for shard in islice(left, 2 * self.count - len(self.under_way)):
                    with _unheard():  # this may start a worker
                        self.under_way.add(loop.run_in_executor(self.pool, work, *shard))
                if not self.under_way:
                    return
                done, _ = await asyncio.wait(self.under_way, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    self.under_way.discard(one)
                    yield one.result()
        except BrokenProcessPool as error:
            raise EvalError(f"a worker ended: {error}; go on with --resume") from error


def _leave_with_parent(parent: connection.Connection) -> None:
    """End this worker when nobody wants its answers: its parent hung up, or is gone, however it went."""

    def watch() -> None:
        connection.wait([parent])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True, eq=False)
class _Ray:
    """Of a cluster, whose workers must have Assay and the data."""

    count: int
    ray: Any

    async def share(
        self, work: Callable[..., Done], shards: Iterable[tuple[Any, ...]]
    ) -> AsyncGenerator[Done, None]:
        ray = self.ray
        try:
            task: Any = ray.remote(work)
            waiting = [task.remote(*shard) for shard in shards]
            while waiting:
                done, waiting = await asyncio.to_thread(partial(ray.wait, waiting, num_returns=1))
                yield await asyncio.to_thread(ray.get, done[0])
        except ray.exceptions.RayError as error:
            *_, last = str(error).splitlines() or [type(error).__name__]
            raise EvalError(f"a Ray worker failed: {last}; go on with --resume") from error


def _ray(pace: Pace) -> Any:
    """Ray, connected."""
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

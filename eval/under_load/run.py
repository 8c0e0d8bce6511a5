"""A whole check under load: ask in quiet, look for a cache, ask again while Locust hammers, compare.

After the idea of MLPerf's compliance test TEST01: what is answered when performance is measured must be
what is answered when accuracy is.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import TypeAlias, cast

from eval.collect import Asked, ask_all
from eval.data.dataset import Dataset
from eval.data.tables import open_data
from eval.endpoint import RemoteEndpoint
from eval.errors import EndpointError
from eval.parity.differences import TOLERANCE
from eval.remote.access import endpoint_of, target_of
from eval.remote.recording import Sent, recording
from eval.report.document import Cell, Report
from eval.runs import clock, command_of, manifest
from eval.target import Access, authorise, name_of
from eval.under_load.caching import look_for_cache
from eval.under_load.hammer import Load, hammering, require_locust
from eval.under_load.showing import shown
from eval.under_load.watching import Seen

__all__ = ["Hammer", "under_load"]

Hammer: TypeAlias = Callable[[Sequence[Sent], int], AbstractAsyncContextManager[Load]]
Progress: TypeAlias = Callable[[int, int], None]
SENT = 32  # requests that the load is made of
CACHED = 20  # pictures a cache is looked for with


async def under_load(
    access: Access | str,
    data_name: str,
    *,
    users: int = 8,
    seconds: float = 20.0,
    model: str | None = None,
    number: int | None = None,
    limit: int | None = None,
    tolerance: float = TOLERANCE,
    concurrency: int = 2,
    seed: int = 0,
    authorised: Sequence[str] = (),
    hammer: Hammer | None = None,
    progress: Progress | None = None,
) -> Report:
    """Every picture asked in quiet, twice; then again and again while Locust hammers the same endpoint.

    Args:
        users: of Locust, each with one request under way all the time.
        seconds: how long it hammers; longer where the pictures have not all been asked once by then.
        concurrency: requests of ours under way beside Locust's.
        authorised: hosts beside this machine whose owner agreed to be loaded.
        hammer: what makes the load; Locust by default.

    Raises:
        EvalError: the model, the data or Locust is not there, or the host is not authorised.
    """
    given = access if isinstance(access, Access) else Access(access)
    authorise(given.url, authorised)
    target, started = await target_of(given, model, number), time.time()
    authorise(target.url, authorised)
    data = open_data(data_name, target.task).in_classes_of(target.labels).first(limit)
    if hammer is None:
        require_locust()  # before anything is asked
        hammer = partial(hammering, max_qps=given.max_qps)
    seen, endpoint = Seen(target, data, users, tolerance), endpoint_of(target)
    recorder = recording(endpoint)
    async with endpoint:
        await _quiet(seen, endpoint, data, progress)
        sent = [heard.sent for heard in recorder.heard[:SENT]]
        answered = [one.sample.file for one in seen.pictures if one.quiet is not None]
        seen.caching = await look_for_cache(endpoint, recorder, answered[:CACHED], seed=seed)
        async with hammer(sent, users) as load:
            await _loaded(seen, endpoint, data, seconds, concurrency, progress)
    seen.load = load.told
    sections, timing, figures, verdict = shown(seen)
    told: dict[str, Cell] = {"users": users, "seconds": seconds, "tolerance": tolerance, "seed": seed}
    told |= {"verdict": verdict, "command": command_of("under-load", target, data_name, limit=limit, **told)}
    ended = clock(started, locust_requests=load.told.get("requests"))
    title = f"{name_of(target)} under load"
    return Report(title, manifest(target, data, **told), sections, figures, seen.valid, ended, timing)


async def _quiet(seen: Seen, endpoint: RemoteEndpoint, data: Dataset, progress: Progress | None) -> None:
    """Twice: a server that changes its mind in quiet does not change it because of load."""
    for turn, note in enumerate((seen.in_quiet, seen.again)):
        async for asked in ask_all(endpoint, data, batch=1, concurrency=1):
            note(asked)
            if progress is not None:
                progress(turn * len(data) + asked.place + 1, 3 * len(data))
    if all(one.quiet is None for one in seen.pictures):
        raise EndpointError(
            f"no image was answered: {seen.pictures[0].why}" if len(data) else "there is no data"
        )


async def _loaded(
    seen: Seen,
    endpoint: RemoteEndpoint,
    data: Dataset,
    seconds: float,
    concurrency: int,
    progress: Progress | None,
) -> None:
    """All pictures once, and on until the time is up, or nobody answers any more."""
    end = time.monotonic() + seconds

    def over() -> bool:
        return seen.loaded_asks >= len(data) and time.monotonic() >= end

    while not over():
        async with aclosing(_asks(endpoint, data, concurrency)) as answers:
            try:
                async for asked in answers:
                    seen.under_load(asked)
                    if progress is not None:
                        progress(2 * len(data) + min(seen.loaded_asks, len(data)), 3 * len(data))
                    if over():
                        return
            except EndpointError as error:
                seen.gone = str(error)
                return


def _asks(endpoint: RemoteEndpoint, data: Dataset, concurrency: int) -> AsyncGenerator[Asked]:
    """To be closed before it is over."""
    return cast("AsyncGenerator[Asked]", ask_all(endpoint, data, batch=1, concurrency=concurrency))

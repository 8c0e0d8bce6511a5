"""The engine refuses what it cannot hold, drops what nobody waits for, and passes failures on alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from service.batcher import Outcome
from service.engine import AT_ONCE_S, Engine
from service.errors import BadTensor, Expired, NotReady, Overloaded, TooLate, UndecodableImage
from service.settings import ServiceSettings
from tests.service.fakes import held, piece


def run(work: Callable[[Engine], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def whole() -> None:
        engine = Engine(ServiceSettings(**{"runs": 1, **settings}))
        try:
            await work(engine)
        finally:
            engine.close()

    asyncio.run(whole())


def later(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0)


def values(outcomes: list[Outcome]) -> list[float]:
    return [float(row) for outcome in outcomes for row in outcome.outputs[0][:, 0]]


def test_what_waits_shares_a_run(repository: Path) -> None:
    live, runner = held(repository)

    async def work(engine: Engine) -> None:
        tasks = [asyncio.create_task(engine.run(live, [piece(i)], deadline=later())) for i in range(1)]
        await until(runner.began.is_set)
        tasks += [
            asyncio.create_task(engine.run(live, [piece(i), piece(i + 10)], deadline=later())) for i in (1, 2)
        ]
        await until(lambda: live.queue.waiting == 4)
        runner.go.set()
        assert [values(await task) for task in tasks] == [[0], [1, 11], [2, 12]]
        assert runner.batches == [[0], [1, 11, 2, 12]]

    run(work)


def test_what_would_not_fit_is_refused_at_once(repository: Path) -> None:
    live, runner = held(repository, max_waiting=1)

    async def work(engine: Engine) -> None:
        first = asyncio.create_task(engine.run(live, [piece(1)], deadline=later()))
        await until(runner.began.is_set)
        second = asyncio.create_task(engine.run(live, [piece(2)], deadline=later()))
        await until(lambda: live.queue.waiting == 1)
        with pytest.raises(Overloaded):
            await engine.run(live, [piece(3)], deadline=later())
        runner.go.set()
        assert [values(await task) for task in (first, second)] == [[1], [2]]
        assert values(await engine.run(live, [piece(4)], deadline=later())) == [4]  # there is room again

    run(work)


def test_what_cannot_be_in_time_is_refused_at_once(repository: Path) -> None:
    live, runner = held(repository, max_batch=1)

    async def work(engine: Engine) -> None:
        live.queue.learn(1.0, 1)  # a second an image
        tasks = [asyncio.create_task(engine.run(live, [piece(1)], deadline=later())) for _ in range(3)]
        await until(lambda: runner.began.is_set() and live.queue.waiting == 1)  # one runs, one is next
        with pytest.raises(Overloaded, match=r"takes 3\.0 s"):
            await engine.run(live, [piece(2)], deadline=later(3.5))
        runner.go.set()
        await asyncio.gather(*tasks)

    run(work)


def test_what_is_late_is_told_and_never_run(repository: Path) -> None:
    live, runner = held(repository)

    async def work(engine: Engine) -> None:
        first = asyncio.create_task(engine.run(live, [piece(1)], deadline=later(0.05)))
        await until(runner.began.is_set)
        second = asyncio.create_task(engine.run(live, [piece(2)], deadline=later(0.05)))
        for task in (first, second):
            with pytest.raises((TooLate, Expired)):
                await task
        runner.go.set()
        assert values(await engine.run(live, [piece(3)], deadline=later())) == [3]
        assert runner.batches == [[1], [3]]

    run(work)


def test_nobody_waiting_means_nothing_run(repository: Path) -> None:
    """One client closed its connection, another's handler was cancelled."""
    live, runner = held(repository)

    async def work(engine: Engine) -> None:
        first = asyncio.create_task(engine.run(live, [piece(1)], deadline=later()))
        await until(runner.began.is_set)
        gone = asyncio.create_task(engine.run(live, [piece(2)], deadline=later(), gone=lambda: True))
        stopped = asyncio.create_task(engine.run(live, [piece(3)], deadline=later()))
        await until(lambda: live.queue.waiting == 2)
        stopped.cancel()
        runner.go.set()
        await first
        with pytest.raises(Expired):
            await gone
        assert values(await engine.run(live, [piece(4)], deadline=later())) == [4]
        assert runner.batches == [[1], [4]]

    run(work)


def test_one_bad_item_fails_alone(repository: Path) -> None:
    live, runner = held(repository, max_batch=8)

    def broken() -> Any:
        raise UndecodableImage("no picture")

    async def work(engine: Engine) -> None:
        first = asyncio.create_task(engine.run(live, [piece(0)], deadline=later()))
        await until(runner.began.is_set)
        bad = piece(5)
        bad.load = broken
        pieces = [piece(1), bad, piece(-1), piece(2)]
        tasks = [asyncio.create_task(engine.run(live, [p], deadline=later())) for p in pieces]
        await until(lambda: live.queue.waiting == 4)
        runner.go.set()
        await first
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(t) for t in told] == [list, UndecodableImage, RuntimeError, list]
        assert runner.batches == [[0], [1, -1, 2], [1], [-1], [2]]

    run(work)


def test_a_clients_own_tensor_that_cannot_be_run_is_the_clients(repository: Path) -> None:
    live, runner = held(repository)
    runner.go.set()

    async def work(engine: Engine) -> None:
        foreign = piece(-1)
        rows = foreign.load()
        rows.foreign = True
        with pytest.raises(BadTensor, match="cannot run"):
            await engine.run(live, [foreign], deadline=later())

    run(work)


def test_a_failed_piece_stops_the_rest_of_its_request(repository: Path) -> None:
    live, runner = held(repository, max_batch=1)
    runner.go.set()

    async def work(engine: Engine) -> None:
        with pytest.raises(RuntimeError, match="broke"):
            await engine.run(live, [piece(-1), piece(1), piece(2), piece(3)], deadline=later())
        await engine.run(live, [piece(4)], deadline=later())
        assert runner.batches in ([[-1], [4]], [[-1], [1], [4]])  # one may be in front of the slot already

    run(work)


def test_short_work_is_done_on_the_loop(repository: Path) -> None:
    """It was measured first, on a slot; a picture that is not light never is."""
    import threading

    live, runner = held(repository)
    runner.go.set()
    where: list[str] = []

    async def work(engine: Engine) -> None:
        for light in (True, True, False):
            live.queue.least_s = AT_ONCE_S / 2 if where else 0.0
            one = piece(1, light=light)
            rows = one.load()

            def load(rows: Any = rows) -> Any:
                where.append(threading.current_thread().name.split("-")[0])
                return rows

            one.load = load
            await engine.run(live, [one], deadline=later())

    run(work)
    assert where == ["slot", "MainThread", "slot"]


def test_a_slot_survives_what_no_batch_should_raise(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, runner = held(repository)
    runner.go.set()

    def no_memory(*_: Any) -> list[Any]:
        raise MemoryError("no room for the batch")

    async def work(engine: Engine) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("service.engine.run_batch", no_memory)
            with pytest.raises(MemoryError, match="no room"):
                await engine.run(live, [piece(1)], deadline=later(5))
        assert values(await engine.run(live, [piece(2)], deadline=later())) == [2]

    run(work)


def test_models_take_turns_by_age(repository: Path) -> None:
    one, first = held(repository)
    other, second = held(repository)

    async def work(engine: Engine) -> None:
        tasks = [asyncio.create_task(engine.run(one, [piece(0)], deadline=later()))]
        await until(first.began.is_set)
        tasks.append(asyncio.create_task(engine.run(other, [piece(1)], deadline=later())))
        await until(lambda: other.queue.waiting == 1)
        tasks.append(asyncio.create_task(engine.run(one, [piece(2)], deadline=later())))
        await until(lambda: one.queue.waiting == 1)
        first.go.set()
        await until(second.began.is_set)
        assert first.batches == [[0]]  # the other's came before the second of ours
        second.go.set()
        await asyncio.gather(*tasks)
        assert first.batches == [[0], [2]]

    run(work)


def test_an_end_settles_what_waits(repository: Path) -> None:
    live, runner = held(repository)

    async def whole() -> None:
        engine = Engine(ServiceSettings(runs=1))
        first = asyncio.create_task(engine.run(live, [piece(1)], deadline=later()))
        await until(runner.began.is_set)
        second = asyncio.create_task(engine.run(live, [piece(2)], deadline=later()))
        await until(lambda: live.queue.waiting == 1)
        runner.go.set()
        engine.close()
        with pytest.raises(NotReady, match="stopping"):
            await second
        assert values(await first) == [1]
        assert runner.batches == [[1]]

    asyncio.run(whole())

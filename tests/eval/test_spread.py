"""Workers: every row once, nothing lost when one ends, and never more of anything than was allowed."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval import pool, spread
from eval.errors import DatasetError, EndpointError, EvalError
from eval.journal import Row
from eval.pool import Pace
from eval.recorded import Request
from eval.spread import SHARD, Shard
from eval.target import Access, Target
from tests.eval.recordings import LABELS, pictures

TARGET = Target(
    "http://127.0.0.1:9", "toy", 1, "classification", LABELS, "", {}, Access("http://127.0.0.1:9", "assay")
)
PACE = Pace(batch=1, workers=2)
PLACES = range(10 * SHARD)
REQUEST = Request(TARGET, "none")
NO_DATA: Any = None  # workers have their own
Asks = Callable[[Request, Sequence[int], Pace], Shard]


def _row(place: int, told: str = "") -> Row:
    return Row(place, f"s{place}", "d", "t", None, told)


def answers(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    return [_row(place, f"{os.getpid()} {request.target.access.max_qps}") for place in places], None


def gives_up(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    kept = [_row(place) for place in places[:3]]
    return kept, EndpointError("no more is asked") if places[0] == 2 * SHARD else None


def crashes(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    if places[0] == 3 * SHARD:
        os._exit(9)
    return answers(request, places, pace)


def hangs(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    if places[0]:
        time.sleep(300)  # until it is ended: nobody waits so long
    return answers(request, places, pace)


def is_wrong(request: Request, places: Sequence[int], pace: Pace) -> Shard:
    raise ZeroDivisionError("a bug of ours")


def rows_of(asks: Asks, monkeypatch: pytest.MonkeyPatch, kept: list[Row], request: Request = REQUEST) -> None:
    monkeypatch.setattr(spread, "ask_shard", asks)

    async def run() -> None:
        told: AsyncGenerator[list[tuple[Row, Any]], None]
        async with aclosing(spread.ask(request, NO_DATA, PLACES, PACE)) as told:
            async for some in told:
                kept.extend(row for row, _ in some)

    asyncio.run(run())


def test_every_place_comes_back_once_from_processes_that_share_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[Row] = []
    allowed = replace(TARGET, access=replace(TARGET.access, max_qps=10.0))
    rows_of(answers, monkeypatch, kept, replace(REQUEST, target=allowed))
    assert sorted(row.place for row in kept) == list(PLACES)
    processes, rates = zip(*(row.error.split() for row in kept), strict=True)
    assert set(rates) == {"5.0"}
    assert str(os.getpid()) not in processes
    assert len(set(processes)) <= PACE.workers


def test_what_was_answered_before_a_worker_gave_up_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Row] = []
    with pytest.raises(EndpointError, match="no more is asked"):
        rows_of(gives_up, monkeypatch, kept)
    assert {2 * SHARD, 2 * SHARD + 1, 2 * SHARD + 2} <= {row.place for row in kept}


def test_a_worker_that_crashes_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvalError, match=r"a worker ended: .*--resume"):
        rows_of(crashes, monkeypatch, [])


def test_a_bug_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        rows_of(is_wrong, monkeypatch, [])


def test_who_leaves_does_not_wait_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "ask_shard", hangs)

    async def first() -> list[tuple[Row, Any]]:
        told = spread.ask(REQUEST, NO_DATA, PLACES, PACE)
        async with aclosing(told):
            return await anext(told)

    found = asyncio.run(asyncio.wait_for(first(), 60))
    assert len(found) == SHARD


def test_no_more_shards_wait_than_are_soon_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: deque[tuple[Future[Shard], Sequence[int]]] = deque()

    class Pool:
        def __init__(self, *_: object) -> None: ...

        def shutdown(self, **_: object) -> None: ...

        def submit(self, asks: Asks, request: Request, places: Sequence[int], pace: Pace) -> Future[Shard]:
            waiting.append((Future(), places))
            return waiting[-1][0]

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Pool)

    async def most() -> list[int]:
        told = spread.ask(REQUEST, NO_DATA, PLACES, PACE)
        counts: list[int] = []
        async with aclosing(told):
            while True:
                following = asyncio.ensure_future(anext(told, None))
                await asyncio.sleep(0)
                if not waiting:
                    assert await following is None
                    return counts
                counts.append(len(waiting))
                done, places = waiting.popleft()
                done.set_result(answers(REQUEST, places, PACE))
                assert await following is not None

    assert asyncio.run(most()) == [4, 4, 4, 4, 4, 4, 4, 3, 2, 1]


def test_a_shard_keeps_what_came_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures(tmp_path / "data", [2, 2, 2])

    async def here(*_: object) -> AsyncGenerator[list[tuple[Row, None]], None]:
        yield [(_row(0), None), (_row(1), None)]
        raise DatasetError("the third is gone")

    monkeypatch.setattr(spread, "_ask_here", here)
    rows, error = spread.ask_shard(replace(REQUEST, data=data), [0, 1, 2], PACE)
    assert [row.place for row in rows] == [0, 1]
    assert isinstance(error, DatasetError)
    assert str(error) == "the third is gone"
    rows, error = spread.ask_shard(replace(REQUEST, data=f"folder:{tmp_path / 'lost'}"), [0], PACE)
    assert rows == []
    assert isinstance(error, DatasetError)

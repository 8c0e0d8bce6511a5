"""How many at once: all the caller allows while all is well, fewer when the server says so."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.remote.pace import Pace


async def turns(pace: Pace, count: int) -> list[float]:
    return [await pace.turn(1) for _ in range(count)]


def test_there_is_no_limit_while_all_is_well() -> None:
    async def main() -> None:
        pace = Pace()
        await turns(pace, 200)
        for _ in range(200):
            pace.answered(0.01)
            pace.over()
        assert (pace.limit, pace.under_way) == (math.inf, 0)

    asyncio.run(main())


def test_trouble_halves_and_answers_bring_it_back() -> None:
    async def main() -> None:
        pace = Pace()
        began = await turns(pace, 16)
        pace.answered(0.01)
        pace.busy(began[0])
        assert pace.limit == 8
        for at in began[1:]:  # of the same round: nothing new
            pace.busy(at)
        assert pace.limit == 8
        pace.busy(time.perf_counter())
        assert pace.limit == 4
        rounds = 0
        while pace.limit < math.inf:
            before = pace.limit
            for _ in range(int(before)):
                pace.answered(0.01)
            assert pace.limit == math.inf or 0.5 < pace.limit - before <= 1
            rounds += 1
        assert 12 <= rounds <= 20  # from 4 to 16, about one a round

    asyncio.run(main())


def test_at_least_one_goes_on() -> None:
    async def main() -> None:
        pace = Pace()
        for _ in range(10):
            pace.busy(await pace.turn(1))
            assert pace.limit == 1
            pace.over()

    asyncio.run(main())


def test_answers_that_come_slowly_allow_no_more() -> None:
    async def main() -> None:
        pace = Pace()
        began = await turns(pace, 8)
        for _ in range(100):
            pace.answered(0.01)
        pace.busy(began[0])
        pace.answered(0.05)
        assert pace.limit == 4
        pace.answered(0.012)
        assert pace.limit == 4.25

    asyncio.run(main())


def test_who_waits_is_served_in_order() -> None:
    async def main() -> None:
        pace, order = Pace(), list[int]()
        pace.busy(await pace.turn(1))

        async def wait(number: int) -> None:
            await pace.turn(1)
            order.append(number)

        tasks = [asyncio.create_task(wait(i)) for i in range(5)]
        await asyncio.sleep(0)
        for number in range(5):
            assert order == list(range(number))
            pace.over()
            await asyncio.wait(tasks[: number + 1])
        assert pace.under_way == 1

    asyncio.run(main())


def test_who_gives_up_takes_no_turn() -> None:
    async def main() -> None:
        pace = Pace()
        pace.busy(await pace.turn(1))
        gone = [asyncio.create_task(pace.turn(1)) for _ in range(3)]
        await asyncio.sleep(0)
        gone[0].cancel()
        await asyncio.wait(gone[:1])
        pace.over()  # the second is woken ...
        gone[1].cancel()  # ... and gives up before it runs
        await asyncio.wait(gone)
        assert gone[2].result() > 0
        pace.over()
        assert pace.under_way == 0

    asyncio.run(main())


@given(st.lists(st.tuples(st.sampled_from("tabo"), st.integers(0, 9)), max_size=60))
def test_turns_are_counted(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: no turn is lost, none is given twice, none too many."""

    async def main() -> None:
        pace, tasks = Pace(), list[asyncio.Task[float]]()
        over = 0
        for step, number in steps:
            began = [task.result() for task in tasks if task.done() and not task.cancelled()]
            if step == "t":
                tasks.append(asyncio.create_task(pace.turn(1)))
            elif step == "a":
                pace.answered(0.001 * (number + 1))
            elif step == "b" and began:
                pace.busy(began[number % len(began)])
            elif step == "o" and len(began) > over:
                pace.over()
                over += 1
            elif tasks and number == 0:
                tasks[-1].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            have = sum(task.done() and not task.cancelled() for task in tasks) - over
            assert pace.under_way == have
            assert pace.limit >= 1
            if step == "o" and have + 1 <= pace.limit:
                assert all(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_a_batch_takes_as_long_as_its_images(
    no_waiting: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("eval.remote.pace.time.perf_counter", lambda: clock[0])

    async def main() -> Any:
        pace = Pace(max_qps=10)
        for images, now in ((5, 100.0), (1, 100.0), (0, 100.0), (1, 100.2), (1, 200.0), (1, 200.0)):
            clock[0] = now
            await pace.turn(images)

    asyncio.run(main())
    assert no_waiting == pytest.approx([0.5, 0.4, 0.1])

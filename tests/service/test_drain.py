"""SIGTERM is held back once; the second one is not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from service.drain import Drain


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """How often the server's own handler was called; the old handlers are put back."""
    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: calls.append(number))
    yield calls
    signal.signal(signal.SIGTERM, before)


def test_not_ready_first_and_stopped_after_the_wait(stopped: list[int]) -> None:
    async def run() -> None:
        drain = Drain(0.05)
        drain.install()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert drain.began
        assert stopped == []
        async with asyncio.timeout(10):
            while not stopped:
                await asyncio.sleep(0)

    asyncio.run(run())
    assert stopped == [signal.SIGTERM]


def test_a_second_signal_does_not_wait(stopped: list[int]) -> None:
    async def run() -> None:
        drain = Drain(1000)
        drain.install()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)

    asyncio.run(run())
    assert stopped == [signal.SIGTERM]


def test_without_a_window_nothing_is_changed(stopped: list[int]) -> None:
    async def run() -> None:
        drain = Drain(0)
        drain.install()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert not drain.began

    asyncio.run(run())
    assert stopped == [signal.SIGTERM]

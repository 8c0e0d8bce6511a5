"""A few connections that ask at a steady rate, a swapper and a watcher, all at once."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.bench.serving.client import FAILURES, Connection
from tests.bench.serving.processes import Process
from tests.fuzz.live import Loaded, exchange
from tests.fuzz.soak.mix import Good, Made, made
from tests.fuzz.soak.probe import Holding, held
from tests.fuzz.soak.swaps import Swaps

__all__ = ["Load", "Plan"]

CONNECTIONS = 4
WARM = 0.2
QUIET_S = 3.0  # without load, before files and threads are counted: what is closing has closed
PATIENCE_S = 15.0
SWAP_S = 60.0
TOLD_S = 30.0  # between two lines of progress


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard.

    Attributes:
        rate: requests a second over all connections, if the service can.
        warm: the share of the time that is not counted.
    """

    seconds: float
    rate: float
    seed: int
    warm: float = WARM

    @property
    def swap_s(self) -> float:
        """A new version a minute, more often in a short run."""
        return min(SWAP_S, self.seconds / 8)


class Load:
    """One run.

    Attributes:
        samples: one a second, warm-up included.
        quiet: what was held without load, behind the warm-up and at the end.
        asked, failed: requests by their kind; failed are right ones without their answer, and any that
            was answered 500, not in the one shape, or neither answered nor closed.
        troubles: what the failed ones ended with.
    """

    def __init__(self, process: Process, plan: Plan, live: Path, staged: Path) -> None:
        self._process, self._plan = process, plan
        self._swaps = Swaps(live, staged)
        self._open = asyncio.Event()
        self._seen = Loaded()
        self._over = False
        self.samples: list[Holding] = []
        self.quiet: list[Holding] = []
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.troubles: list[str] = []

    @property
    def swaps(self) -> int:
        return self._swaps.count

    async def run(self) -> None:
        """Load, swap and watch until the time is over."""
        plan = self._plan
        numbers = itertools.count()
        began = time.monotonic()
        askers = [asyncio.create_task(self._ask(numbers)) for _ in range(CONNECTIONS)]
        watcher = asyncio.create_task(self._watch())
        swapper = asyncio.create_task(self._swaps.run(plan.swap_s))
        self._open.set()
        await self._until(began + plan.seconds * plan.warm)
        await self._look()
        await self._until(began + plan.seconds)
        watcher.cancel()
        swapper.cancel()
        await self._look()
        self._over = True
        self._open.set()
        await asyncio.gather(*askers)
        await asyncio.gather(watcher, swapper, return_exceptions=True)

    async def _until(self, end: float) -> None:
        """Wait, and say now and then how it goes."""
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, TOLD_S))
            held_mb = self.samples[-1].rss_mb if self.samples else 0.0
            told = f"{sum(self.asked.values())} asked, {sum(self.failed.values())} failed, {held_mb:.0f} MB"
            print(f"{len(self.samples)} s of {self._plan.seconds:.0f}: {told}", file=sys.stderr, flush=True)

    async def _look(self) -> None:
        """Hold the load back for a moment and count what is still held."""
        self._open.clear()
        await asyncio.sleep(QUIET_S)
        self.quiet.append(held(self._process))
        self._open.set()

    async def _watch(self) -> None:
        due = time.monotonic()
        while True:
            self.samples.append(held(self._process))
            due += 1.0
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask(self, numbers: Iterator[int]) -> None:
        connection = Connection(self._process.port)
        due = time.monotonic()
        while not self._over:
            if not self._open.is_set():
                connection.close()
                await self._open.wait()
                continue
            # Behind by a little is made up for; behind by much, the service cannot do more.
            due = max(due, time.monotonic() - 0.5) + CONNECTIONS / self._plan.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            kind, request = made(Random(f"{self._plan.seed}/soak/{next(numbers)}"))
            self.asked[kind] += 1
            if trouble := await self._trouble(connection, request):
                self.failed[kind] += 1
                self.troubles.append(f"{kind}: {trouble}")
        connection.close()

    async def _trouble(self, connection: Connection, request: Made) -> str:
        """What is wrong about the answer; empty where nothing is."""
        if isinstance(request, Good):
            try:
                reply = await connection.ask(request.wire, timeout_s=PATIENCE_S)
            except FAILURES as error:
                return f"{error!r} of {request.wire[:200]!r}"
            return "" if reply.status == request.status else f"{reply.status} {reply.body[:300]!r}"
        how, told = await exchange(self._process.port, request, self._seen, patience_s=PATIENCE_S)
        return "" if how in ("answered", "closed") else f"{how}: {told} of {b''.join(request.pieces)[:300]!r}"

"""How many requests are under way at once, and how soon the next may leave.

Additive increase, multiplicative decrease (Chiu and Jain 1989): every sign that the server has too much
to do halves how many requests may be under way, every steady round of answers allows one more. While all
is well there is no limit but the caller's own concurrency, and nothing to wait for.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque

__all__ = ["Pace"]

STEADY = 2.0  # times the usual latency; slower answers allow no further request
WEIGHT = 1 / 16  # of the newest answer in the usual latency


class Pace:
    """Turns to send, in the order in which they were asked for.

    Args:
        max_qps: most images asked about in a second; None for no limit.

    Attributes:
        limit: most requests under way; infinite while all is well.
        under_way: requests that have their turn now.
    """

    def __init__(self, max_qps: float | None = None) -> None:
        self.limit, self.under_way = math.inf, 0
        self._most = 0  # that were under way at once, so what the caller allows
        self._usual_s: float | None = None
        self._slowed = -math.inf  # when the limit was last lowered
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._gap_s = 0.0 if max_qps is None else 1 / max_qps
        self._next = -math.inf  # when the next image may leave

    async def turn(self, images: int) -> float:
        """Wait until `images` may be asked about; the moment it began, for `over`."""
        if self.under_way + 1 > self.limit or self._waiting:
            await self._queued()
        else:
            self.under_way += 1
        if self.under_way > self._most:
            self._most = self.under_way
        now = time.perf_counter()
        if self._gap_s and images:
            begins = max(self._next, now)
            self._next = begins + images * self._gap_s
            if begins > now:
                try:
                    await asyncio.sleep(begins - now)
                except asyncio.CancelledError:
                    self.over()
                    raise
                now = time.perf_counter()
        return now

    async def _queued(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn  # whoever wakes us has counted us
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.over()
            raise

    def over(self) -> None:
        """A turn has ended, whatever came of it."""
        self.under_way -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self.under_way + 1 <= self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)

    def answered(self, seconds: float) -> None:
        """A turn ended well after so long."""
        usual = self._usual_s = (
            seconds if self._usual_s is None else self._usual_s + WEIGHT * (seconds - self._usual_s)
        )
        if self.limit < math.inf and seconds <= STEADY * usual:
            self.limit += 1 / self.limit
            if self.limit >= self._most:
                self.limit = math.inf

    def busy(self, began: float) -> None:
        """The server has too much to do. Requests that left before it was last spared say nothing new."""
        if began >= self._slowed:
            self.limit = max(1.0, min(self.limit, self.under_way) / 2)
            self._slowed = time.perf_counter()

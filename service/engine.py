"""Runs models off the event loop: bounded threads, a bounded queue, a deadline."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from models.results import Result
from service.errors import Overloaded, TooLate
from service.intake import decoded
from service.registry import Live
from service.settings import ServiceSettings
from service.telemetry import BATCH_IMAGES, IMAGES, STAGE_SECONDS

__all__ = ["Engine"]


class Engine:
    """Decodes and predicts on its own threads; one request is one piece of work.

    What waits longer than the timeout is dropped before it starts; what would make the queue
    longer than it may be is refused at once.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.runs, thread_name_prefix="engine")
        self._admitted = 0

    async def predict(self, live: Live, files: list[bytes]) -> list[Result]:
        """Encoded images -> results, same order.

        Raises:
            ServiceError: 413 and 422 from decoding, 429 when full, 504 when too late.
        """
        limit = self._settings.runs + self._settings.max_waiting
        if self._admitted >= limit:
            raise Overloaded(f"at most {limit} requests may be under way; try again soon")
        self._admitted += 1
        work = self._threads.submit(self._work, live, files, time.perf_counter())
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await asyncio.wrap_future(work)  # cancelled with us if it has not begun
        except TimeoutError as late:
            raise TooLate(f"the answer must be there within {self._settings.timeout_s:g} s") from late

    def _release(self) -> None:
        self._admitted -= 1

    def _work(self, live: Live, files: list[bytes], asked: float) -> list[Result]:
        began = time.perf_counter()
        images = decoded(files, self._settings.max_pixels)
        ready = time.perf_counter()
        if live.predictor is None:
            raise RuntimeError(f"{live.card.name} was chosen before it was ready")
        results = live.predictor.predict(images)
        ended = time.perf_counter()
        who = (live.card.name, str(live.card.version))
        stages = (("waiting", began - asked), ("decode", ready - began), ("predict", ended - ready))
        for stage, seconds in stages:
            STAGE_SECONDS.labels(*who, stage).observe(seconds)
        IMAGES.labels(*who).inc(len(images))
        BATCH_IMAGES.labels(*who).observe(len(images))
        return results

    def close(self) -> None:
        """Let what runs end; start nothing that waits."""
        self._threads.shutdown(cancel_futures=True)

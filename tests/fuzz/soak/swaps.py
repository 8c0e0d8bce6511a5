"""Versions that come and go under load: good ones, now and then a broken one, the oldest taken away."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from pathlib import Path

from tests.fuzz.served import lamp

__all__ = ["Swaps"]

KEEP = 2  # versions of the model at once
BROKEN_EVERY = 3


class Swaps:
    """New versions of `lamp`, made in one folder and renamed into another."""

    def __init__(self, live: Path, staged: Path) -> None:
        self._live, self._staged = live, staged
        self.count = 0

    async def run(self, every_s: float) -> None:
        """One every so many seconds, until it is cancelled."""
        for number in itertools.count(2):
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self._swap, number)
            self.count += 1

    def _swap(self, number: int) -> None:
        folder = lamp(self._staged, number)
        if number % BROKEN_EVERY == 0:
            graph = folder / "model.onnx"
            graph.write_bytes(graph.read_bytes()[:-1])
        served = self._live / folder.parent.name
        folder.rename(served / folder.name)
        for old in sorted(served.iterdir(), key=lambda path: int(path.name))[:-KEEP]:
            gone = self._staged / f"gone-{old.name}"
            old.rename(gone)  # at once, so that nobody sees half of it
            shutil.rmtree(gone)

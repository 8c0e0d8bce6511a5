"""The in-process inputs, spread over processes: one that dies is a finding, and the rest goes on without it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from ctypes import c_longlong
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from tests.fuzz.edge import Served
from tests.fuzz.findings import Finding, Tally, keep
from tests.fuzz.inprocess import LIMIT_S, feed, made
from tests.fuzz.served import repository
from tests.fuzz.targets import targets

__all__ = ["Job", "spread"]

MEMORY_BYTES = 6 << 30  # of address space: what wants more fails here instead of taking the machine down
STUCK_S = 4 * LIMIT_S + 10  # C code that does not come back never sees the signal
DONE = -1


@dataclass(frozen=True)
class Job:
    """Every `step`-th index from `first` to before `stop`."""

    seed: int
    first: int
    stop: int
    step: int
    failures: Path


class _Worker:
    """One process and what it is at; started again behind an input that ended it."""

    def __init__(self, job: Job) -> None:
        self._context = multiprocessing.get_context("spawn")
        self.job, self.tally = job, Tally()
        self._start(job.first)

    def _start(self, first: int) -> None:
        self._first = first
        self.at: Synchronized[int] = self._context.Value(c_longlong, first, lock=True)
        self._ours, theirs = self._context.Pipe(duplex=False)
        rest = Job(self.job.seed, first, self.job.stop, self.job.step, self.job.failures)
        self._process = self._context.Process(target=_work, args=(rest, self.at, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._moved, self._last = time.monotonic(), first

    @property
    def fed(self) -> int:
        """Inputs behind it."""
        at = self.at.value
        return len(range(self.job.first, self.job.stop if at == DONE else at, self.job.step))

    def look(self) -> bool:
        """Whether it is over; a process that died or is stuck is replaced."""
        if self.at.value != self._last:
            self._moved, self._last = time.monotonic(), self.at.value
        if self._process.is_alive() and time.monotonic() - self._moved < STUCK_S:
            return False
        if self.at.value == DONE or self._ours.poll():
            self.tally.add(self._ours.recv())
            self._process.join()
            return True
        self._bury()
        return False

    def _bury(self) -> None:
        stuck = self._process.is_alive()
        if stuck:
            self._process.kill()
        self._process.join()
        index, kind = self.at.value, "hang" if stuck else "crash"
        told = (
            f"the process was stuck for {STUCK_S:.0f} s" if stuck else f"exit code {self._process.exitcode}"
        )
        keep(
            self.job.failures,
            Finding("hang" if stuck else "crash", "process", index, told),
            self.job.seed,
            b"",
        )
        # What it had counted is lost with it; the inputs were fed all the same.
        self.tally.ended["process.fed"] += len(range(self._first, index, self.job.step))
        self.tally.note("process", kind, 0.0, index)
        self._start(index + self.job.step)


def spread(seed: int, inputs: int, failures: Path, workers: int, said: Callable[[int], None]) -> Tally:
    """Feed indexes 0 to `inputs`; `said` is told now and then how many are done."""
    crew = [_Worker(Job(seed, first, inputs, workers, failures)) for first in range(min(workers, inputs))]
    total, busy = Tally(), list(crew)
    while busy:
        time.sleep(0.5)
        busy = [worker for worker in busy if not worker.look()]
        said(sum(worker.fed for worker in crew))
    for worker in crew:
        total.add(worker.tally)
    return total


def _work(job: Job, at: Synchronized[int], told: multiprocessing.connection.Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # the access log of every input
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        served = Served(repository(folder / "repository"), folder)

        def begin(index: int) -> None:
            at.value = index

        found = targets(served, folder)
        tally = feed(found, job.seed, range(job.first, job.stop, job.step), job.failures, begin=begin)
        served.close()
    told.send(tally)
    at.value = DONE


def again(seed: int, index: int) -> None:
    """Feed one input once more, here, with no limit and nothing caught."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        served = Served(repository(folder / "repository"), folder)
        target, given = made(targets(served, folder), seed, index)
        print(f"{target.name}: {given!r}"[:3000])
        try:
            print(target.run(given))
        finally:
            served.close()

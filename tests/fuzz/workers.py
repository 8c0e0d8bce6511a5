"""The in-process inputs, spread over processes: one that dies is a finding, and the rest goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from ctypes import c_longlong
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from tests.fuzz.edge import Served
from tests.fuzz.findings import Finding, Kind, Tally, keep
from tests.fuzz.inprocess import feed, made
from tests.fuzz.served import repository
from tests.fuzz.targets import Target, targets

__all__ = ["Job", "again", "spread"]

MEMORY_BYTES = 2 << 30  # of address space: what wants more fails here instead of taking the machine down
STUCK_S = 30.0  # C code that does not come back never sees the signal
WAITING, DONE = -2, -1  # in the place of an index


Entrances = Callable[[Path], AbstractContextManager[Sequence[Target]]]


@contextlib.contextmanager
def real(folder: Path) -> Iterator[Sequence[Target]]:
    """Every entrance of a service that serves its models in this process."""
    served = Served(repository(folder / "repository"), folder)
    try:
        yield targets(served, folder)
    finally:
        served.close()


@dataclass(frozen=True)
class Job:
    """Every `step`-th index from `first` to before `stop`.

    Attributes:
        entrances: opens the targets in the process that feeds them; a function of a module.
    """

    seed: int
    first: int
    stop: int
    step: int
    failures: Path
    entrances: Entrances


class _Worker:
    """One process and what it is at; started again behind an input that ended it."""

    def __init__(self, job: Job) -> None:
        self._context = multiprocessing.get_context("spawn")
        self.job, self.tally = job, Tally()
        self._start(job.first)

    def _start(self, first: int) -> None:
        self._first = first
        self.at: Synchronized[int] = self._context.Value(c_longlong, WAITING, lock=True)
        self._ours, theirs = self._context.Pipe(duplex=False)
        rest = replace(self.job, first=first)
        self._process = self._context.Process(target=_work, args=(rest, self.at, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._moved, self._last = time.monotonic(), WAITING

    @property
    def fed(self) -> int:
        """Inputs behind it."""
        at = {DONE: self.job.stop, WAITING: self._first}.get(self.at.value, self.at.value)
        return len(range(self.job.first, at, self.job.step))

    def look(self) -> bool:
        """Whether it is over; a process that died or is stuck is replaced."""
        if self.at.value != self._last:
            self._moved, self._last = time.monotonic(), self.at.value
        if self._process.is_alive() and time.monotonic() - self._moved < STUCK_S:
            return False
        if self.at.value == DONE:
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
        index, code = self.at.value, self._process.exitcode
        if index == WAITING:
            raise RuntimeError(f"a process did not get to its first input: exit code {code}")
        kind: Kind = "hang" if stuck else "crash"
        told = f"the process was stuck for {STUCK_S:.0f} s" if stuck else f"exit code {code}"
        keep(self.job.failures, Finding(kind, "process", index, told), self.job.seed, b"")
        # What it had counted is lost with it; the inputs were fed all the same.
        self.tally.ended["process.fed"] += len(range(self._first, index, self.job.step))
        self.tally.note("process", kind, 0.0, index)
        self._start(index + self.job.step)


def spread(
    seed: int,
    inputs: int,
    failures: Path,
    workers: int,
    said: Callable[[int], None],
    entrances: Entrances = real,
) -> Tally:
    """Feed indexes 0 to `inputs`; `said` is told now and then how many are done."""
    firsts = range(min(workers, inputs))
    crew = [_Worker(Job(seed, first, inputs, workers, failures, entrances)) for first in firsts]
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

    def begin(index: int) -> None:
        at.value = index

    indexes = range(job.first, job.stop, job.step)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, job.entrances(Path(name)) as found:
        tally = feed(found, job.seed, indexes, job.failures, begin=begin)
    told.send(tally)
    at.value = DONE


def again(seed: int, index: int) -> None:
    """Feed one input once more, here, with no limit and nothing caught."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, real(Path(name)) as found:
        target, given = made(found, seed, index)
        print(f"{target.name}: {given!r}"[:3000])
        print(target.run(given))

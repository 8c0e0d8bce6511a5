"""Runs the queue: a process for each job, tied to this one, in a group of its own.

One runner works on a home at a time, whatever number of servers stand on it: it holds a lock the kernel
gives back when it dies, however it dies. What was running then is found by its successor and goes on
from its journal.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from eval.jobs.asked import ASKED
from eval.jobs.commands import Commands
from eval.jobs.errors import Conflict, JobError, UnknownJob
from eval.jobs.settings import PROJECT, JobSettings
from eval.jobs.states import End, end_of
from eval.jobs.status import LOG, answered, tail
from eval.jobs.store import Job, Store
from eval.jobs.tied import command

__all__ = ["Runner"]

LOOK_S = 0.25  # between two looks at what other processes may have changed
log = logging.getLogger("assay.jobs")


@dataclass(slots=True)
class _Live:
    """A job whose process is ours.

    Attributes:
        over: when it has taken too long, seconds of the monotonic clock.
        stopping: as what it ends, once it was told to.
        killed: when it is killed, having been told.
    """

    job: Job
    process: subprocess.Popen[bytes]
    over: float
    stopping: End | None = None
    killed: float = 0.0


class Runner:
    """`tick` does what there is to do; `start` has a thread of its own do it until `close`."""

    def __init__(self, store: Store, commands: Commands, settings: JobSettings) -> None:
        self._store, self._commands, self._settings = store, commands, settings
        self._live: dict[str, _Live] = {}
        self._lease: int | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="assay-jobs", daemon=True)
        self.healthy = True

    def start(self) -> None:
        """Begin; the thread that starts processes must live as long as they (see `eval.jobs.tied`)."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something was asked."""
        self._wake.set()

    def close(self) -> None:
        """Stop every job where it is, so that whoever comes next goes on with it."""
        self._closing.set()
        self._wake.set()
        if self._thread.ident is None:
            self._release()
        else:
            self._thread.join()

    def folder(self, job_id: str) -> Path:
        """Where a job's journal, reports and log are."""
        return self._settings.home / "jobs" / job_id

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                self.tick()
                self.healthy = True
            except Exception:  # a full disk, say: tell, and try again
                self.healthy = False
                log.exception("the queue could not be worked on")
            self._wake.wait(LOOK_S)
            self._wake.clear()
        self._release()

    def tick(self) -> bool:
        """One round; False when another process works on this home."""
        if self._lease is None and not self._take_over():
            return False
        for live in list(self._live.values()):
            self._look_after(live)
        for job in self._store.oldest(self._settings.jobs - len(self._live), "queued"):
            self._begin(job)
        for job in self._store.superfluous(self._settings.keep):
            self.forget(job.id)
        return True

    def _take_over(self) -> bool:
        """Take the lock, and what a runner that died left behind."""
        held = os.open(self._settings.home / "lease", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return False
        self._lease = held
        for job in self._store.oldest(-1, "running", "cancelling"):
            if job.state == "cancelling":
                self._store.move(job.id, "cancelled")
                continue
            further = answered(self.folder(job.id)) > job.before  # it did something, so it is not to blame
            attempts = job.attempts - further
            if attempts >= self._settings.attempts:
                self._store.move(job.id, "failed", why=f"the service died {attempts} times while it ran")
            else:
                self._store.move(job.id, "queued", attempts=attempts, why="the service died; it goes on")
        return True

    def _begin(self, job: Job) -> None:
        folder = self.folder(job.id)
        try:
            asked = ASKED[job.kind].model_validate_json(job.asked)
            arguments = self._commands.of(job.kind, asked, folder)  # what is allowed may have changed since
        except (JobError, KeyError, ValidationError) as error:
            self._store.move(job.id, "failed", why=str(error)[:300])
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._commands.lay(asked, folder)
        changes = {"attempts": job.attempts + 1, "before": answered(folder), "started": time.time()}
        with contextlib.suppress(Conflict, UnknownJob):  # cancelled just now
            job = self._store.move(job.id, "running", why=None, **changes)
            try:
                process = self._spawn(arguments, folder)
            except OSError as error:
                self._store.move(job.id, "failed", why=f"no process could be started for it: {error}")
                return
            self._live[job.id] = _Live(job, process, time.monotonic() + self._settings.job_timeout_s)
            log.info("job %s began, attempt %d", job.id, job.attempts)

    def _spawn(self, arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
        environment = {name: told for name, told in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
        with (folder / LOG).open("ab") as stderr:
            return subprocess.Popen(  # noqa: S603  # a list of our own making, no shell
                command(arguments, lock=str(folder / "lock")),
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )

    def _look_after(self, live: _Live) -> None:
        """Notice its end; tell it to stop; kill it when it does not."""
        now, settings = time.monotonic(), self._settings
        if _ended(live):
            self._end(live)
        elif live.stopping is not None:
            if now > live.killed:
                _signal(live, signal.SIGKILL)
        elif self._store.get(live.job.id).state == "cancelling":
            self._stop(live, End("cancelled"))
        elif now > live.over:
            self._stop(live, End("failed", why=f"stopped: it took longer than {settings.job_timeout_s:g} s"))

    def _stop(self, live: _Live, end: End) -> None:
        live.stopping, live.killed = end, time.monotonic() + self._settings.grace_s
        _signal(live, signal.SIGTERM)

    def _end(self, live: _Live) -> None:
        _signal(live, signal.SIGKILL)  # what it may have left in its group
        code, folder = live.process.wait(), self.folder(live.job.id)
        end = live.stopping or end_of(
            live.job.kind,
            code,
            reported=(folder / "report.json").is_file(),
            tail=tail(folder),
            attempts=live.job.attempts,
            most=self._settings.attempts,
        )
        try:
            self._store.move(live.job.id, end.state, verdict=end.verdict, why=end.why)
        except Conflict:  # it was cancelled when it had ended already
            self._store.move(live.job.id, "cancelled")
        del self._live[live.job.id]
        log.info("job %s ended: %s", live.job.id, end)

    def forget(self, job_id: str) -> None:
        """Remove a job that has ended, and its folder. Raises UnknownJob, or Conflict if it has not."""
        self._store.remove(job_id)
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def _release(self) -> None:
        """Every job back into the queue, this attempt forgiven; then the lock."""
        for live in self._live.values():
            _signal(live, signal.SIGTERM)
        end = time.monotonic() + self._settings.grace_s
        for live in list(self._live.values()):
            while not _ended(live) and time.monotonic() < end:
                time.sleep(0.02)
            _signal(live, signal.SIGKILL)
            live.process.wait()
            with contextlib.suppress(JobError):
                again = {"attempts": live.job.attempts - 1, "why": "the service was stopped; it goes on"}
                cancelled = self._store.get(live.job.id).state == "cancelling"
                self._store.move(
                    live.job.id, "cancelled" if cancelled else "queued", **({} if cancelled else again)
                )
        self._live.clear()
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None


def _ended(live: _Live) -> bool:
    """Whether its process has; it is not reaped, so that its id, and its group's, stay its own."""
    process = live.process
    return (
        process.returncode is not None
        or os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    )


def _signal(live: _Live, number: int) -> None:
    if live.process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(live.process.pid, number)

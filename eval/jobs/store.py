"""The queue on disk: an SQLite file in which no job can take a step its life does not have."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from eval.jobs.errors import Conflict, KeyReused, QueueFull, UnknownJob
from eval.jobs.states import ENDED, FOLLOWS, KINDS, STATES, Kind, State

__all__ = ["Job", "Store", "StoreError"]

SCHEMA = 1
TABLES = f"""
CREATE TABLE jobs (
  place INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order they came
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  asked TEXT NOT NULL,                      -- the body, JSON; without secrets
  key TEXT UNIQUE,                          -- Idempotency-Key
  created REAL NOT NULL,
  started REAL,                             -- of the last attempt
  ended REAL,
  attempts INTEGER NOT NULL DEFAULT 0,
  before INTEGER NOT NULL DEFAULT 0,        -- images answered when the last attempt began
  verdict TEXT,
  why TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, place);
CREATE TABLE ended (kind TEXT, state TEXT, jobs INTEGER NOT NULL, PRIMARY KEY (kind, state)) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA};
"""


class StoreError(ValueError):
    """The file of the queue cannot be used; the service does not start."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the queue; times in seconds of the epoch."""

    place: int
    id: str
    kind: Kind
    state: State
    asked: str
    key: str | None
    created: float
    started: float | None
    ended: float | None
    attempts: int
    before: int
    verdict: str | None
    why: str | None


COLUMNS = ", ".join(field.name for field in fields(Job))


class Store:
    """Every method is one transaction, from any thread and any process of this machine.

    Raises:
        StoreError: the file is of another edition, or no file of ours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with self._opened() as connection:
                (edition,) = connection.execute("PRAGMA user_version").fetchone()
                if edition == 0:
                    for statement in TABLES.split(";\n"):
                        connection.execute(statement)
                elif edition != SCHEMA:
                    raise StoreError(f"{path} must be of edition {SCHEMA}, got {edition}; use another home")
        except sqlite3.Error as error:
            raise StoreError(f"the queue {path} cannot be used: {error}") from error

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # what was not committed is undone

    def add(self, kind: Kind, asked: str, key: str | None, most_waiting: int) -> tuple[Job, bool]:
        """A new job at the end of the queue, and True; or the one that came with the same key, and False.

        Raises:
            KeyReused: the key came with something else.
            QueueFull: `most_waiting` jobs wait already.
        """
        with self._opened() as connection:
            if key is not None:
                for job in _jobs(connection, "WHERE key = ?", key):
                    if (job.kind, job.asked) != (kind, asked):
                        raise KeyReused(f"this Idempotency-Key came with something else, for job {job.id}")
                    return job, False
            count = "SELECT COUNT(*) FROM jobs WHERE state = 'queued'"
            if connection.execute(count).fetchone()[0] >= most_waiting:
                raise QueueFull(f"{most_waiting} jobs wait already; try again later")
            row = (secrets.token_hex(16), kind, asked, key, time.time())
            connection.execute(
                "INSERT INTO jobs (id, kind, state, asked, key, created) VALUES (?, ?, 'queued', ?, ?, ?)",
                row,
            )
            return _jobs(connection, "WHERE id = ?", row[0])[0], True

    def of_key(self, key: str) -> Job | None:
        """The job that came with a key; None when there is none."""
        with self._opened() as connection:
            found = _jobs(connection, "WHERE key = ?", key)
        return found[0] if found else None

    def get(self, job_id: str) -> Job:
        """Raises UnknownJob."""
        with self._opened() as connection:
            found = _jobs(connection, "WHERE id = ?", job_id)
        if not found:
            raise UnknownJob(f"there is no job {job_id}")
        return found[0]

    def newest(self, most: int, *, state: State | None = None, before: int | None = None) -> list[Job]:
        """Up to `most` jobs, the newest first; of one state, and before a place, where asked for."""
        where = "WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR place < ?2) ORDER BY place DESC LIMIT ?3"
        with self._opened() as connection:
            return _jobs(connection, where, state, before, most)

    def oldest(self, most: int, *states: State) -> list[Job]:
        """Up to `most` jobs of some states, in the order they came."""
        marks = ", ".join("?" * len(states))
        with self._opened() as connection:
            return _jobs(connection, f"WHERE state IN ({marks}) ORDER BY place LIMIT ?", *states, most)

    def move(self, job_id: str, state: State, **changes: object) -> Job:
        """The job in its next state.

        Raises:
            UnknownJob: there is none.
            Conflict: its state does not lead there.
        """
        if state in ENDED:
            changes = {"ended": time.time(), **changes}
        values: Mapping[str, object] = {"state": state, **changes}
        sets = ", ".join(f"{name} = ?" for name in values)
        leading = [before for before in STATES if state in FOLLOWS[before]]
        marks = ", ".join("?" * len(leading))
        with self._opened() as connection:
            moved = connection.execute(
                f"UPDATE jobs SET {sets} WHERE id = ? AND state IN ({marks})",  # noqa: S608  # our own names
                (*values.values(), job_id, *leading),
            )
            found = _jobs(connection, "WHERE id = ?", job_id)
            if not found:
                raise UnknownJob(f"there is no job {job_id}")
            if not moved.rowcount:
                raise Conflict(f"the job is {found[0].state}; it cannot be {state} from there")
            if state in ENDED:
                count = "INSERT INTO ended VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1"
                connection.execute(count, (found[0].kind, state))
        return found[0]

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended. Raises UnknownJob, or Conflict for one that has not."""
        job = self.get(job_id)
        if job.state not in ENDED:
            raise Conflict(f"the job is {job.state}; cancel it first")
        with self._opened() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def superfluous(self, keep: int) -> list[Job]:
        """Ended jobs beyond the newest `keep`, some at a time."""
        marks = ", ".join(f"'{state}'" for state in sorted(ENDED))
        with self._opened() as connection:
            return _jobs(connection, f"WHERE state IN ({marks}) ORDER BY place DESC LIMIT 100 OFFSET ?", keep)

    def counts(self) -> tuple[dict[tuple[Kind, State], int], dict[tuple[Kind, State], int]]:
        """Jobs there are, and jobs that ever ended, by kind and state; every pair is there."""
        now = {(kind, state): 0 for kind in KINDS for state in STATES}
        ever = {(kind, state): 0 for kind in KINDS for state in STATES if state in ENDED}
        with self._opened() as connection:
            for kind, state, jobs in connection.execute(
                "SELECT kind, state, COUNT(*) FROM jobs GROUP BY kind, state"
            ):
                now[kind, state] = jobs
            for kind, state, jobs in connection.execute("SELECT kind, state, jobs FROM ended"):
                ever[kind, state] = jobs
        return now, ever


def _jobs(connection: sqlite3.Connection, where: str, *values: object) -> list[Job]:
    rows = connection.execute(f"SELECT {COLUMNS} FROM jobs {where}", values)  # noqa: S608  # our own words
    return [Job(*row) for row in rows]

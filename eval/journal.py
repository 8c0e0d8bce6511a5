"""What was asked and what came back, as it came: an SQLite file that survives being killed.

Every answer is committed before the next question of its slot goes out (write-ahead log), so that a run
that ends at any moment goes on where it stopped. The scores are read from here and from nowhere else:
they are the same whoever asked, in whatever order, in however many pieces.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eval.errors import EvalError

__all__ = ["Journal", "Progress", "Row", "progress"]

SCHEMA = 1
TABLES = f"""
CREATE TABLE told (body TEXT NOT NULL);
CREATE TABLE answers (
  place INTEGER PRIMARY KEY,  -- of the sample in the data
  id TEXT NOT NULL,
  digest TEXT NOT NULL,       -- of the file that was sent
  truth TEXT NOT NULL,        -- digest of what is expected
  answer BLOB,                -- packed; NULL where there was none
  error TEXT NOT NULL,        -- why not
  tags TEXT NOT NULL,         -- JSON: slice -> value
  seconds REAL NOT NULL       -- of the request it came with
) WITHOUT ROWID;
CREATE TABLE marks (name TEXT PRIMARY KEY, at REAL NOT NULL);
PRAGMA user_version = {SCHEMA};
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One sample, and what became of it.

    Attributes:
        place: of the sample in the data.
        digest, truth: of the file and of what is expected.
        answer: packed (`eval.packed`), or None with the reason in `error`.
        seconds: of the request it came with.
    """

    place: int
    id: str
    digest: str
    truth: str
    answer: bytes | None
    error: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    done: int
    total: int
    errors: int
    finished: bool


class Journal:
    """A run's record, open for reading and writing. Use as a context manager.

    Attributes:
        told: what was asked for, as JSON values; has `images`, their number.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection
        self.told: dict[str, Any] = json.loads(connection.execute("SELECT body FROM told").fetchone()[0])

    @classmethod
    def create(cls, path: Path, told: Mapping[str, Any]) -> Self:
        """A new, empty record of what is asked for."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in (path, *_beside(path)):
            old.unlink(missing_ok=True)
        connection = _connected(path)
        connection.executescript(f"BEGIN; {TABLES}")
        connection.execute("INSERT INTO told VALUES (?)", (json.dumps(told, allow_nan=False),))
        connection.commit()
        return cls(path, connection)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A record that is there.

        Raises:
            EvalError: there is none, or it is of another kind or edition.
        """
        if not path.is_file():
            raise EvalError(f"there is no run in {path.parent}; it must hold {path.name}")
        with contextlib.ExitStack() as undone:
            try:
                connection = undone.enter_context(contextlib.closing(_connected(path)))
                (edition,) = connection.execute("PRAGMA user_version").fetchone()
                if edition != SCHEMA:
                    raise EvalError(f"{path} must be of edition {SCHEMA}, got {edition}; run it anew")
                journal = cls(path, connection)
            except (sqlite3.Error, TypeError, ValueError) as error:
                raise EvalError(f"{path} cannot be read as the record of a run: {error}") from error
            undone.pop_all()
            return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows for good; all of them or none."""
        values = [
            (r.place, r.id, r.digest, r.truth, r.answer, r.error, json.dumps(dict(r.tags)), r.seconds)
            for r in rows
        ]
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
            )

    def rows(self) -> Iterator[Row]:
        """Every row so far, in the order of the data; one at a time."""
        told = self._connection.execute("SELECT * FROM answers ORDER BY place")
        for *facts, tags, seconds in told:
            place, sample, digest, truth, answer, error = facts
            yield Row(place, sample, digest, truth, answer, error, json.loads(tags), seconds)

    def missing(self) -> list[int]:
        """The places that have no answer yet, in order; what failed is asked again."""
        there = self._connection.execute("SELECT place FROM answers WHERE answer IS NOT NULL")
        done = {place for (place,) in there}
        return [place for place in range(int(self.told["images"])) if place not in done]

    def seconds(self) -> list[float]:
        """How long every answered image took, as its sender saw it: the request it was in."""
        told = "SELECT seconds FROM answers WHERE answer IS NOT NULL ORDER BY place"
        return [seconds for (seconds,) in self._connection.execute(told)]

    def mark(self, name: str, at: float) -> float:
        """The time of that name, seconds of the epoch; `at` when it has none yet."""
        with self._connection:
            self._connection.execute("INSERT OR IGNORE INTO marks VALUES (?, ?)", (name, at))
        (kept,) = self._connection.execute("SELECT at FROM marks WHERE name = ?", (name,)).fetchone()
        return float(kept)

    def marked(self, name: str) -> float | None:
        """The time of that name, or None."""
        kept = self._connection.execute("SELECT at FROM marks WHERE name = ?", (name,)).fetchone()
        return None if kept is None else float(kept[0])

    def progress(self) -> Progress:
        """How far the run is."""
        count = "SELECT COUNT(*), COUNT(*) - COUNT(answer) FROM answers"
        done, errors = self._connection.execute(count).fetchone()
        return Progress(done, int(self.told["images"]), errors, self.marked("finished") is not None)


def progress(path: Path) -> Progress | None:
    """How far the run at `path` is, while another process writes it; None where there is none yet."""
    try:
        with Journal.open(path) as journal:
            return journal.progress()
    except (EvalError, sqlite3.Error):
        return None


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    with contextlib.suppress(sqlite3.OperationalError):  # a folder that may only be read
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "PRAGMA synchronous = NORMAL"
    )  # safe against kill -9; a power cut may lose the last rows
    return connection


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")]

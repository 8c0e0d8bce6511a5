"""What was asked and what came back, as it came: an SQLite file that survives being killed.

Every answer is committed before the next question of its slot goes out (write-ahead log), so that a run
that ends at any moment goes on where it stopped. The scores are read from here and from nowhere else:
they are the same whoever asked, in whatever order, in however many pieces.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from eval.errors import EvalError

__all__ = ["Journal", "Progress", "Record", "Row", "alone", "begun", "one_line", "progress"]

COMMON = """
DROP TABLE IF EXISTS told;
DROP TABLE IF EXISTS marks;
CREATE TABLE told (body TEXT NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, at REAL NOT NULL);
"""
ANSWERS = """
DROP TABLE IF EXISTS answers;
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


class Record:
    """What a run asks for and when it began, open for reading and writing. Use as a context manager.

    Attributes:
        SCHEMA, TABLES: of a kind of run, whose edition no other kind has.
        told: what was asked for, as JSON values; has `images`, their number.
    """

    SCHEMA: ClassVar[int]
    TABLES: ClassVar[str]

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self.connection = path, connection
        self.told: dict[str, Any] = json.loads(connection.execute("SELECT body FROM told").fetchone()[0])
        self.images = int(self.told["images"])

    @classmethod
    def create(cls, path: Path, told: Mapping[str, Any]) -> Self:
        """A new, empty record of what is asked for; an old one stays until the new one is there.

        Raises:
            EvalError: nothing can be written there.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {COMMON} {cls.TABLES} PRAGMA user_version = {cls.SCHEMA};"
                )
                connection.execute("INSERT INTO told VALUES (?)", (json.dumps(told, allow_nan=False),))
                connection.commit()
        except (OSError, sqlite3.Error) as error:
            raise EvalError(
                f"no run can be recorded in {path.parent}: {error}; choose another --out"
            ) from error
        return cls.open(path)

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
                if edition != cls.SCHEMA:
                    raise EvalError(
                        f"{path} must be of edition {cls.SCHEMA}, got {edition}: it is the record of another "
                        "kind of run, or of another release; choose another --out"
                    )
                journal = cls(path, connection)
            except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
                raise EvalError(
                    f"{path} cannot be read as the record of a run: {error}; choose another folder"
                ) from error
            undone.pop_all()
            return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def mark(self, name: str, at: float) -> float:
        """The time of that name, seconds of the epoch; `at` when it has none yet."""
        with one_line(self.path), self.connection:
            self.connection.execute("INSERT OR IGNORE INTO marks VALUES (?, ?)", (name, at))
        kept = self.marked(name)
        return at if kept is None else kept

    def marked(self, name: str) -> float | None:
        """The time of that name, or None."""
        kept = self.read("SELECT at FROM marks WHERE name = ?", name)
        return float(kept[0][0]) if kept else None

    def read(self, query: str, *values: Any) -> list[Any]:
        with one_line(self.path):
            return self.connection.execute(query, values).fetchall()


class Journal(Record):
    """An evaluation's record: every answer."""

    SCHEMA = 1
    TABLES = ANSWERS

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows for good; all of them or none.

        Raises:
            EvalError: the disk takes no more.
        """
        values = [
            (r.place, r.id, r.digest, r.truth, r.answer, r.error, json.dumps(dict(r.tags)), r.seconds)
            for r in rows
        ]
        with one_line(self.path), self.connection:
            self.connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
            )

    def rows(self) -> Iterator[Row]:
        """Every row so far, in the order of the data; one at a time."""
        with one_line(self.path):
            told = self.connection.execute("SELECT * FROM answers ORDER BY place")
            for *facts, tags, seconds in told:
                place, sample, digest, truth, answer, error = facts
                yield Row(place, sample, digest, truth, answer, error, json.loads(tags), seconds)

    def missing(self) -> list[int]:
        """The places that have no answer yet, in order; what failed is asked again."""
        done = {place for (place,) in self.read("SELECT place FROM answers WHERE answer IS NOT NULL")}
        return [place for place in range(self.images) if place not in done]

    def seconds(self) -> list[float]:
        """How long every answered image took, as its sender saw it: the request it was in."""
        told = "SELECT seconds FROM answers WHERE answer IS NOT NULL ORDER BY place"
        return [seconds for (seconds,) in self.read(told)]

    def progress(self) -> Progress:
        """How far the run is."""
        ((done, errors),) = self.read("SELECT COUNT(*), COUNT(*) - COUNT(answer) FROM answers")
        return Progress(done, self.images, errors, self.marked("finished") is not None)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else records in a folder meanwhile; the kernel gives it back however this process ends.

    Raises:
        EvalError: somebody does, or there can be no such folder.
    """
    with contextlib.ExitStack() as given_back:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = os.open(folder, os.O_RDONLY)
            given_back.callback(os.close, held)
        except OSError as error:
            raise EvalError(
                f"no run can be recorded in {folder}: {error.strerror}; choose another --out"
            ) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EvalError(
                f"another process records a run in {folder} now; let it end, or choose another --out"
            ) from error
        except OSError:  # some network file systems lock no folders
            pass
        yield


def begun(path: Path) -> bool:
    """Whether there is a record, or anything else; what was killed before it held a run is none."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as opened:
            (tables,) = opened.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
            return bool(tables)
    except sqlite3.Error:
        return path.exists()


def progress(path: Path) -> Progress | None:
    """How far the run at `path` is, while another process writes it; None where there is none yet."""
    try:
        with Journal.open(path) as journal:
            return journal.progress()
    except (EvalError, sqlite3.Error):
        return None


def _connected(path: Path) -> sqlite3.Connection:
    written = path.with_name(f"{path.name}-wal").exists()  # and not yet put into its place
    if not written and not all(os.access(place, os.W_OK) for place in (path, path.parent)):
        return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
    connection = sqlite3.connect(path, timeout=30)
    with contextlib.suppress(sqlite3.OperationalError):  # somebody is at it just now
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "PRAGMA synchronous = NORMAL"
    )  # safe against kill -9; a power cut may lose the last rows
    return connection


@contextlib.contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Tell what is wrong with the disk or the file, and not where in our code it was noticed."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):  # our own mistakes
        raise
    except sqlite3.DatabaseError as error:
        raise EvalError(
            f"{path} failed: {error}; what it holds stays: mend the cause and go on with --resume, or run "
            "anew with another --out"
        ) from error

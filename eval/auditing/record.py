"""An audit's record: verdicts of dialogues under way, outcomes of those that ended, and whatever else was
asked; an audit that was killed at any moment goes on from here to the very same end.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from eval.attacks.base import Verdict
from eval.attacks.book import Columns, Turn
from eval.attacks.results import KINDS, Facts, Outcome
from eval.errors import EvalError
from eval.journal import Record, one_line
from eval.packed import pack, unpack
from models.results import Array, Result

__all__ = ["AttackBook", "AuditRecord", "CellBook", "Row", "undamaged"]

VERDICT = struct.Struct("<d?i?")  # loss, fooled, label, right
FACTS = struct.Struct("<" + "".join({np.int64: "q", np.bool_: "?", np.float64: "d"}[kind] for kind in KINDS))
TABLES = """
DROP TABLE IF EXISTS turns;
DROP TABLE IF EXISTS outcomes;
DROP TABLE IF EXISTS cells;
DROP TABLE IF EXISTS found;
CREATE TABLE turns (
  attack TEXT NOT NULL, place INTEGER NOT NULL, turn INTEGER NOT NULL,
  verdicts BLOB NOT NULL,     -- of the pictures that went out, in order
  PRIMARY KEY (attack, place, turn)
) WITHOUT ROWID;
CREATE TABLE outcomes (
  attack TEXT NOT NULL, place INTEGER NOT NULL,
  facts BLOB NOT NULL,
  failed INTEGER NOT NULL,
  picture BLOB,               -- compressed; NULL for the picture as it is
  answer BLOB,                -- packed; NULL where there was none
  PRIMARY KEY (attack, place)
);
CREATE TABLE cells (
  cell TEXT NOT NULL, place INTEGER NOT NULL, answer BLOB NOT NULL,
  PRIMARY KEY (cell, place)
) WITHOUT ROWID;
CREATE TABLE found (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
SOME = """
SELECT EXISTS (SELECT 1 FROM turns) OR EXISTS (SELECT 1 FROM outcomes)
    OR EXISTS (SELECT 1 FROM cells) OR EXISTS (SELECT 1 FROM found)
"""


class AuditRecord(Record):
    """Everything that was asked in an audit."""

    SCHEMA = 1001
    TABLES = TABLES

    @property
    def empty(self) -> bool:
        """Whether nothing was answered yet, so that nothing would be lost."""
        ((some,),) = self.read(SOME)
        return not some

    def found(self, name: str) -> Any:
        """What was found under that name, as JSON values; None where nothing was yet."""
        kept = self.read("SELECT body FROM found WHERE name = ?", name)
        with undamaged(self.path):
            return json.loads(kept[0][0]) if kept else None

    def keep(self, name: str, body: Any) -> None:
        """Keep JSON values for good."""
        with one_line(self.path), self.connection:
            self.connection.execute(
                "INSERT OR REPLACE INTO found VALUES (?, ?)", (name, json.dumps(body, allow_nan=False))
            )


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Tell that the record is damaged, and not where in our code it was noticed."""
    try:
        yield
    except (struct.error, zlib.error, ValueError) as error:
        raise EvalError(f"{path} is damaged: {error}; run anew with another --out") from error


class Row(NamedTuple):
    """An outcome as it is kept, and sent from one process to another."""

    place: int
    facts: bytes
    failed: bool
    picture: bytes | None
    answer: bytes | None

    @staticmethod
    def of(place: int, outcome: Outcome, original: Array) -> Row:
        """The row of an outcome."""
        facts = FACTS.pack(*(getattr(outcome.facts, name) for name in Facts.__slots__))
        same = np.array_equal(outcome.picture, original)
        picture = None if same else zlib.compress(outcome.picture.tobytes(), 1)
        answer = None if outcome.answer is None else pack(outcome.answer)
        return Row(place, facts, outcome.facts.error, picture, answer)

    @property
    def told(self) -> Facts:
        """The facts."""
        return Facts(*FACTS.unpack(self.facts))


class AttackBook:
    """What one attack was told, of a record.

    Args:
        attack: by which it is known in the record.
        originals: the pictures that are attacked, by place.
    """

    def __init__(self, record: AuditRecord, attack: str, originals: Sequence[Array]) -> None:
        self._record, self._attack, self._originals = record, attack, originals
        self._turns: dict[int, int] = {}  # turns noted, of dialogues under way

    def ended(self) -> Collection[int]:
        rows = self._record.read(
            "SELECT place FROM outcomes WHERE attack = ? AND NOT failed ORDER BY place", self._attack
        )
        return {place for (place,) in rows}

    def turns(self, place: int) -> Iterable[Sequence[Verdict]]:
        rows = self._record.read(
            "SELECT verdicts FROM turns WHERE attack = ? AND place = ? ORDER BY turn", self._attack, place
        )
        self._turns[place] = len(rows)
        with undamaged(self._record.path):
            return [[Verdict(*verdict) for verdict in VERDICT.iter_unpack(row)] for (row,) in rows]

    def note(self, turns: Sequence[Turn], outcomes: Sequence[tuple[int, Outcome]]) -> None:
        told = [(self._attack, place, self._next(place), _packed(verdicts)) for place, verdicts in turns]
        rows = [Row.of(place, outcome, self._originals[place]) for place, outcome in outcomes]
        self._write(told, rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Keep outcomes that came from elsewhere."""
        self._write([], rows)

    def _write(self, told: Sequence[tuple[str, int, int, bytes]], rows: Sequence[Row]) -> None:
        done = [(self._attack, row.place) for row in rows if not row.failed]
        connection = self._record.connection
        with one_line(self._record.path), connection:
            connection.executemany("INSERT INTO turns VALUES (?, ?, ?, ?)", told)
            connection.executemany(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
                [(self._attack, *row) for row in rows],
            )
            connection.executemany("DELETE FROM turns WHERE attack = ? AND place = ?", done)

    def _next(self, place: int) -> int:
        turn = self._turns.get(place, 0)
        self._turns[place] = turn + 1
        return turn

    def columns(self) -> Columns:
        rows = self._record.read("SELECT facts FROM outcomes WHERE attack = ? ORDER BY place", self._attack)
        with undamaged(self._record.path):
            facts = [Facts(*FACTS.unpack(row)) for (row,) in rows]
        return facts, _Pictures(self, len(rows)), _Answers(self, len(rows))

    def picture(self, place: int) -> Array:
        """The picture of an outcome."""
        original, (packed, _) = self._originals[place], self._kept(place)
        if packed is None:
            return original
        with undamaged(self._record.path):
            return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(original.shape).copy()

    def answer(self, place: int) -> Result | None:
        """The answer of an outcome."""
        _, packed = self._kept(place)
        with undamaged(self._record.path):
            return None if packed is None else unpack(packed)

    def _kept(self, place: int) -> tuple[bytes | None, bytes | None]:
        query = "SELECT picture, answer FROM outcomes WHERE attack = ? AND place = ?"
        ((picture, answer),) = self._record.read(query, self._attack, place)
        return picture, answer


class CellBook:
    """Answers to pictures that are no attack's, of a record; see `eval.auditing.cells.Cells`.

    Args:
        of: whose answers these are, where there are those of several models.
    """

    def __init__(self, record: AuditRecord, of: str = "") -> None:
        self._record, self._of = record, of

    def kept(self, cell: str) -> Iterator[tuple[int, bytes]]:
        query = "SELECT place, answer FROM cells WHERE cell = ? ORDER BY place"
        return iter(self._record.read(query, self._of + cell))

    def keep(self, cell: str, rows: Iterable[tuple[int, bytes]]) -> None:
        values = [(self._of + cell, place, answer) for place, answer in rows]
        with one_line(self._record.path), self._record.connection:
            self._record.connection.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?)", values)


class _Lazy:
    """Of all places, read one at a time."""

    def __init__(self, book: AttackBook, count: int) -> None:
        self._book, self._count = book, count

    def __len__(self) -> int:
        return self._count


class _Pictures(_Lazy, Sequence[Array]):
    @overload
    def __getitem__(self, place: int) -> Array: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Array]: ...
    def __getitem__(self, place: int | slice) -> Array | Sequence[Array]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return self._book.picture(range(len(self))[place])


class _Answers(_Lazy, Sequence[Result | None]):
    @overload
    def __getitem__(self, place: int) -> Result | None: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Result | None]: ...
    def __getitem__(self, place: int | slice) -> Result | Sequence[Result | None] | None:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return self._book.answer(range(len(self))[place])


def _packed(verdicts: Sequence[Verdict]) -> bytes:
    return b"".join(VERDICT.pack(*verdict) for verdict in verdicts)

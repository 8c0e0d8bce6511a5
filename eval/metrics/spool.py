"""Rows of float32 that may be too many for memory: written one after the other, read by columns."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np

from models.results import Array

__all__ = ["Spool"]

MOST_BYTES = 16 << 20  # in memory; what goes beyond lies in a temporary file
BLOCK_BYTES = 32 << 20  # read at once


class Spool:
    """Float32 rows of one width, every bit kept. Memory stays bounded however many there are.

    Args:
        width: columns.
    """

    def __init__(self, width: int) -> None:
        self.width, self._rows = width, 0
        self._file = SpooledTemporaryFile(max_size=MOST_BYTES)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._rows

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.width, list(self._blocks()))

    def append(self, rows: Array) -> None:
        """Add rows `(n, width)`; they are kept as float32."""
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self._rows += len(rows)

    def extend(self, other: Spool) -> None:
        """Add the rows of another, which may be this one."""
        for block in list(other._blocks()) if other is self else other._blocks():
            self.append(block)

    def columns(self) -> Iterator[tuple[int, Array]]:
        """Every column `(rows,)` with its number, left to right; some are read at once."""
        many = max(1, BLOCK_BYTES // (4 * max(1, self._rows)))
        for start in range(0, self.width, many):
            stop = min(start + many, self.width)
            block = np.empty((stop - start, self._rows), np.float32)
            row = 0
            for rows in self._blocks():
                block[:, row : row + len(rows)] = rows[:, start:stop].T
                row += len(rows)
            yield from enumerate(block, start)

    def _blocks(self) -> Iterator[Array]:
        """All rows in order, some at a time."""
        size = 4 * self.width
        many = max(1, BLOCK_BYTES // size)
        for start in range(0, self._rows, many):
            self._file.seek(start * size)
            held = self._file.read(size * min(many, self._rows - start))
            yield np.frombuffer(held, np.float32).reshape(-1, self.width)


def _restored(width: int, blocks: list[Array]) -> Spool:
    spool = Spool(width)
    for block in blocks:
        spool.append(block)
    return spool

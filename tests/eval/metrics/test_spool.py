"""Rows come back as columns, bit for bit, from memory or from a file."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from eval.metrics import spool
from eval.metrics.spool import Spool
from models.results import Array


def columns(one: Spool) -> Array:
    numbered = list(one.columns())
    assert [place for place, _ in numbered] == list(range(one.width))
    return np.array([column.copy() for _, column in numbered])


@pytest.mark.parametrize(("memory", "block"), [(1 << 20, 1 << 20), (64, 1 << 20), (64, 48), (1 << 20, 1)])
def test_columns_are_the_rows_turned(monkeypatch: pytest.MonkeyPatch, memory: int, block: int) -> None:
    monkeypatch.setattr(spool, "MOST_BYTES", memory)
    monkeypatch.setattr(spool, "BLOCK_BYTES", block)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 7)).astype(np.float32)
    rows[3, 2], rows[5, 1] = np.finfo(np.float32).tiny / 3, -0.0
    kept = Spool(7)
    assert columns(kept).shape == (7, 0)
    for part in np.array_split(rows, [1, 1, 9, 30]):
        kept.append(part)
    assert len(kept) == 40
    assert columns(kept).tobytes() == rows.T.tobytes()
    more = rng.normal(size=(3, 7)).astype(np.float32)
    kept.append(more)  # reading does not end writing
    assert columns(kept).tobytes() == np.concatenate([rows, more]).T.tobytes()


def test_rows_of_another_and_of_itself_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BLOCK_BYTES", 16)
    one, other = Spool(2), Spool(2)
    one.append(np.array([[1, 2]]))
    other.append(np.array([[3, 4], [5, 6]]))
    one.extend(other)
    one.extend(one)
    assert columns(one).tolist() == [[1, 3, 5, 1, 3, 5], [2, 4, 6, 2, 4, 6]]
    assert columns(other).tolist() == [[3, 5], [4, 6]]


def test_rows_are_added_at_the_end_wherever_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BLOCK_BYTES", 8)
    one = Spool(2)
    one.append(np.array([[1, 2], [3, 4], [5, 6]]))
    next(one._blocks())
    one.append(np.array([[7, 8]]))
    assert columns(one).tolist() == [[1, 3, 5, 7], [2, 4, 6, 8]]


def test_it_is_pickled_with_its_rows() -> None:
    one = Spool(3)
    one.append(np.arange(12).reshape(4, 3))
    restored = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert columns(restored).tolist() == columns(one).tolist()
    restored.append(np.zeros((1, 3)))
    assert (len(restored), len(one)) == (5, 4)


def test_what_is_large_lies_in_a_file_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_BYTES", 1000)
    kept = Spool(10)
    kept.append(np.zeros((20, 10)))
    assert not kept._file._rolled  # type: ignore[attr-defined]
    kept.append(np.zeros((10, 10)))
    assert kept._file._rolled  # type: ignore[attr-defined]

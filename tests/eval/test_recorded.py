"""A record is believed only as far as the data is what was sent, and its bytes are what was written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from eval.errors import DatasetError, EvalError
from eval.recorded import JOURNAL, recorded
from eval.scoring import score
from tests.eval.recordings import classified, pictures, recording


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return recording(tmp_path / "run", pictures(tmp_path / "data", [2, 2, 0]), classified([0, 0, 1, 1]))


def test_an_answer_that_is_damaged_is_told_in_one_line(folder: Path) -> None:
    with sqlite3.connect(folder / JOURNAL) as connection:
        connection.execute("UPDATE answers SET answer = substr(answer, 1, 40) WHERE place = 2")
    connection.close()
    run = recorded(folder)
    with run.journal, pytest.raises(EvalError, match=r"damaged at bee/00000\.png: not a packed answer"):
        score(run)


@pytest.mark.parametrize("change", ["swap", "move"])
def test_data_that_changed_is_not_scored(folder: Path, tmp_path: Path, change: str) -> None:
    root = tmp_path / "data"
    if change == "swap":
        first, second = root / "ape" / "00000.png", root / "ape" / "00001.png"
        first.rename(root / "kept")
        second.rename(first)
        (root / "kept").rename(second)
    else:
        (root / "ape" / "00001.png").rename(root / "bee" / "00009.png")
    run = recorded(folder)
    with run.journal, pytest.raises(DatasetError, match=r"(ape|bee)/0000\d.png of .* is not what was sent"):
        score(run)


def test_data_that_grew_is_not_scored(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "cat").mkdir(exist_ok=True)
    (tmp_path / "data" / "ape" / "00000.png").rename(tmp_path / "data" / "kept.txt")
    with pytest.raises(DatasetError, match="had 4 images when the run began, now 3"):
        recorded(folder)


def test_places_that_are_known_are_not_read_again(folder: Path) -> None:
    run = recorded(folder)
    with run.journal:
        assert [row.place for row, _ in run.rows(but={0, 3})] == [1, 2]

"""The record of a run: nothing that was added is lost, nothing else is believed."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError
from eval.journal import Journal, Progress, Row, alone, progress

TOLD = {"images": 5, "data": "d"}


def row(place: int, answer: bytes | None = b"a", error: str = "") -> Row:
    return Row(place, f"s{place}", "digest", "truth", answer, error, {"size": "small"}, 0.5)


def test_rows_come_back_in_order_whatever_the_order_they_came_in(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        journal.add([row(3), row(1)])
        journal.add([row(0)])
        assert list(journal.rows()) == [row(0), row(1), row(3)]
    with Journal.open(tmp_path / "j.sqlite") as journal:
        assert list(journal.rows()) == [row(0), row(1), row(3)]
        assert journal.told == TOLD
        assert journal.missing() == [2, 4]
        assert journal.seconds() == [0.5, 0.5, 0.5]


def test_what_failed_is_missing_and_may_succeed(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        journal.add([row(0), row(1, None, "gone")])
        assert journal.missing() == [1, 2, 3, 4]
        assert journal.progress() == Progress(2, 5, 1, False)
        journal.add([row(1)])
        assert journal.progress() == Progress(2, 5, 0, False)


def test_marks_keep_their_first_time(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        assert journal.marked("finished") is None
        assert journal.mark("finished", 1.0) == 1.0
        assert journal.mark("finished", 2.0) == 1.0
        assert journal.progress().finished


def test_progress_of_what_another_process_writes(tmp_path: Path) -> None:
    assert progress(tmp_path / "j.sqlite") is None
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        journal.add([row(0)])
        assert progress(tmp_path / "j.sqlite") == Progress(1, 5, 0, False)


def test_a_new_record_takes_the_place_of_the_old(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        journal.add([row(0)])
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        assert list(journal.rows()) == []


def test_who_reads_does_not_hold_up_who_writes(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal, Journal.open(tmp_path / "j.sqlite") as other:
        journal.add([row(0), row(1)])
        reading = other.rows()
        assert next(reading) == row(0)
        journal.add([row(2)])
        assert list(reading) == [row(1)]


def test_an_old_record_stays_until_the_new_one_is_there(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        journal.add([row(0)])
    with pytest.raises(ValueError, match="not JSON compliant"):
        Journal.create(tmp_path / "j.sqlite", {"images": math.nan})
    with Journal.open(tmp_path / "j.sqlite") as journal:
        assert list(journal.rows()) == [row(0)]


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        journal.add([row(0)])
        journal.connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(EvalError, match=r"j\.sqlite failed: .*full.*--resume"):
            journal.add([row(1), row(2, b"x" * 100_000)])
        assert list(journal.rows()) == [row(0)]
        journal.add([row(1)])
    with Journal.open(tmp_path / "j.sqlite") as journal:
        assert journal.missing() == [2, 3, 4]


def test_a_damaged_record_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Journal.create(path, TOLD) as journal:
        journal.add([row(place, bytes(9000)) for place in range(5)])
    whole = path.read_bytes()
    path.write_bytes(whole[:16_384] + b"\xff" * (len(whole) - 16_384))
    with Journal.open(path) as journal, pytest.raises(EvalError, match="malformed"):
        list(journal.rows())


@pytest.mark.parametrize("told", [[], {}, {"images": "many"}, {"images": None}])
def test_a_record_that_does_not_know_its_images_is_refused(tmp_path: Path, told: Any) -> None:
    path = tmp_path / "j.sqlite"
    with pytest.raises(EvalError, match="cannot be read as the record of a run"):
        Journal.create(path, told)
    with pytest.raises(EvalError, match="cannot be read as the record of a run"):
        Journal.open(path)
    assert progress(path) is None


def test_one_at_a_time_records_in_a_folder(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from eval.journal import alone\n"
    code += "with alone(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(EvalError, match="another process records a run"), alone(tmp_path):
            pass
        other.kill()
        other.wait()
        with alone(tmp_path):
            assert list(tmp_path.iterdir()) == []


def test_a_record_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run" / "j.sqlite"
    with Journal.create(path, TOLD) as journal:
        journal.add([row(0), row(1)])
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with Journal.open(path) as journal:
        assert list(journal.rows()) == [row(0), row(1)]
        assert [found.name for found in path.parent.iterdir()] == ["j.sqlite"]  # nothing is laid beside it
        with pytest.raises(EvalError, match="readonly"):
            journal.add([row(2)])
    assert progress(path) == Progress(2, 5, 0, False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EvalError, match="choose another --out"):
        Journal.create(tmp_path / "j.sqlite", TOLD)
    tmp_path.chmod(0o700)


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.sqlite", TOLD) as journal:
        with pytest.raises(sqlite3.Error):
            journal.add([row(0), Row(1, "s", "d", "t", object())])  # type: ignore[arg-type]
        assert journal.missing() == [0, 1, 2, 3, 4]


WRITER = """
import sys
from pathlib import Path
from eval.journal import Journal, Row
with Journal.create(Path(sys.argv[1]), {"images": 1000000}) as journal:
    for place in range(1000000):
        journal.add([Row(place, str(place), "d", "t", b"x" * 500)])
        print(place, flush=True)
"""


def test_what_was_added_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(200)]
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().split()]
    with Journal.open(path) as journal:
        kept = [r.place for r in journal.rows()]
    assert kept[: len(told)] == told
    assert len(kept) <= len(told) + 1


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to have a header" * 10])
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "j.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EvalError, match=r"there is no run|edition|cannot be read"):
        Journal.open(path)


def test_another_edition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    Journal.create(path, TOLD).__exit__(None, None, None)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(EvalError, match="edition 1, got 99"):
        Journal.open(path)

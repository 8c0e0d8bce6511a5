"""An audit that is killed, told to stop, or spread over processes ends with the bytes of one that was not."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eval.recorded import JOURNAL
from eval.served import ROOT, served
from tests.bench.evaluation.killed import parts

pytestmark = pytest.mark.slow
WORDS = (
    "--model", "digits", "--version", "1", "--data", "digits:test", "--suite", "standard", "--epsilon", "40",
    "--samples", "12", "--budget", "60", "--corruptions", "fog", "--severities", "3", "--no-stability",
    "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as address:
        yield address


def command(url: str, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "eval", "audit", url, *WORDS, "--out", str(out), *more]


def audited(url: str, out: Path, *more: str) -> dict[str, str]:
    subprocess.run(command(url, out, *more), check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return parts(out)


@pytest.fixture(scope="module")
def whole(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return audited(url, tmp_path_factory.mktemp("whole"))


def kept(out: Path) -> tuple[int, int]:
    """Attacks that have begun, and dialogues that have ended."""
    try:
        with closing(sqlite3.connect(f"file:{out / JOURNAL}?mode=ro", uri=True)) as record:
            begun = "SELECT attack FROM turns UNION SELECT attack FROM outcomes"
            attacks = len(record.execute(begun).fetchall())
            ((ended,),) = record.execute("SELECT COUNT(*) FROM outcomes")
            return attacks, ended
    except sqlite3.OperationalError:  # not there yet
        return 0, 0


def stopped(url: str, out: Path, number: signal.Signals, attacks: int, *more: str) -> tuple[int, str]:
    """Send a signal once so many attacks have begun: the exit code, and what was said."""
    line = command(url, out, "--batch", "4", "--in-flight", "2", *more)
    with subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while kept(out)[0] < attacks:
            assert process.poll() is None
        process.send_signal(number)
        assert process.stderr is not None
        told = process.stderr.read()
    return process.returncode, told


def test_killed_in_several_attacks(url: str, whole: dict[str, str], tmp_path: Path) -> None:
    ended = [0]
    for attacks in (1, 2, 4):
        code, _ = stopped(url, tmp_path, signal.SIGKILL, attacks, *(["--resume"] if attacks > 1 else []))
        assert code == -signal.SIGKILL
        ended.append(kept(tmp_path)[1])
    assert ended == sorted(ended)
    assert ended[-1] >= 12
    assert audited(url, tmp_path, "--resume") == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop(url: str, whole: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    code, told = stopped(url, tmp_path, number, 2)
    assert code == 128 + number
    assert re.fullmatch(r"stopped; go on with the same command and --resume\n", told), told
    assert audited(url, tmp_path, "--resume") == whole


@pytest.mark.parametrize(
    "words",
    [("--workers", "2", "--batch", "4"), ("--workers", "4"), ("--ray", "local", "--workers", "2")],
    ids=["2", "4", "ray"],
)
def test_spread(url: str, whole: dict[str, str], tmp_path: Path, words: tuple[str, ...]) -> None:
    if "--ray" in words:
        pytest.importorskip("ray", reason="Ray is not installed")
    assert audited(url, tmp_path, *words) == whole

"""A run that is killed, or asked by several processes, ends with the bytes of one that was not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.journal import progress
from eval.recorded import JOURNAL
from eval.served import served
from tests.bench.evaluation.killed import command, evaluated, killed, parts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def whole(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("whole")
    evaluated(url, out)
    return parts(out)


def test_killed_twice(url: str, whole: dict[str, str], tmp_path: Path) -> None:
    first = killed(url, tmp_path, 1, "--batch", "1", "--concurrency", "2")
    second = killed(url, tmp_path, 400, "--batch", "1", "--concurrency", "2", "--resume")
    assert 0 < first < second < 1000
    evaluated(url, tmp_path, "--resume")
    assert parts(tmp_path) == whole


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["one", "workers"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop(
    url: str, whole: dict[str, str], tmp_path: Path, number: signal.Signals, words: tuple[str, ...]
) -> None:
    line = command(url, tmp_path, *words, "--batch", "1", "--concurrency", "2")
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, start_new_session=True, text=True, **pipes) as process:  # type: ignore[call-overload]
        while (found := progress(tmp_path / JOURNAL)) is None or not found.done:
            assert process.poll() is None
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to the workers too
        else:
            process.send_signal(number)
        told = process.stderr.read()
    assert process.returncode == 128 + number
    assert re.fullmatch(r"stopped at \d+ of 1000 images; go on with the same command and --resume\n", told), (
        told
    )
    assert _ends(process.pid)
    evaluated(url, tmp_path, "--resume")
    assert parts(tmp_path) == whole


def test_workers_go_with_a_run_that_is_killed(url: str, tmp_path: Path) -> None:
    line = command(url, tmp_path, "--workers", "2", "--batch", "1")
    with subprocess.Popen(line, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        while (found := progress(tmp_path / JOURNAL)) is None or not found.done:
            assert process.poll() is None
        process.kill()
    assert _ends(process.pid)


@pytest.mark.parametrize(
    "words",
    [("--workers", "2", "--batch", "4"), ("--ray", "local", "--workers", "2", "--batch", "4")],
    ids=["processes", "ray"],
)
def test_spread(url: str, whole: dict[str, str], tmp_path: Path, words: tuple[str, ...]) -> None:
    if "--ray" in words:
        pytest.importorskip("ray", reason="Ray is in the ray extra")
    evaluated(url, tmp_path, *words)
    assert parts(tmp_path) == whole


def _ends(group: int) -> bool:
    """Whether no process of a group is left, within a few seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
    os.killpg(group, signal.SIGKILL)
    return False

"""The load sends what it says, notices wrong answers, and its exit code tells the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.load.payloads import BOUNDARY, ROUTES, Slo, bodies, is_near, verdict, wrong
from tests.e2e.processes import ROOT, running_service


def test_bodies_are_the_same_for_a_seed() -> None:
    one, other = bodies(3, seed=1), bodies(3, seed=1)
    assert one == other
    assert one != bodies(3, seed=2)
    for body in one:
        assert body.data.count(b"\x89PNG") == body.images
        assert body.data.endswith(f"--{BOUNDARY}--\r\n".encode())


RIGHT: dict[str, Any] = {"predictions": [{}, {}]}


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (200, RIGHT, None),
        (200, {"predictions": [{}]}, "2 predictions expected, got 1"),
        (200, {}, "got none"),
        (200, None, "got none"),
        (429, {"code": "overloaded"}, "429 overloaded"),
        (500, None, "500"),
    ],
)
def test_a_wrong_answer_is_a_failure(status: int, answer: Any, told: str | None) -> None:
    found = wrong(status, answer, 2)
    assert found is None if told is None else told in (found or "")


@pytest.mark.parametrize(
    ("requests", "failures", "p99_ms", "kept"),
    [(100, 0, 50, True), (100, 1, 50, True), (100, 2, 50, False), (100, 0, 51, False), (0, 0, 0, False)],
)
def test_the_promise(requests: int, failures: int, p99_ms: float, kept: bool) -> None:
    found = verdict(Slo(50, 0.01), requests=requests, failures=failures, p99_ms=p99_ms)
    assert (found is None) is kept


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:3000", True),
        ("http://localhost", True),
        ("http://example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_load_stays_here(host: str, near: bool) -> None:
    assert is_near(host) is near


def locust(url: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", "deploy/load/locustfile.py", "--headless", "--host", url]
    where = ["--csv", str(out / "load"), "--html", str(out / "load.html"), "--only-summary"]
    shape = ["-u", "3", "-r", "3", "-t", "5s"]
    return subprocess.run([*command, *shape, *where, *options], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_a_real_run_keeps_and_breaks_its_promise(tmp_path: Path) -> None:
    with running_service(tmp_path / "home") as url:
        kept = locust(url, tmp_path, "--slo-p99-ms", "60000")
        assert kept.returncode == 0, kept.stdout + kept.stderr
        assert "SLO kept" in kept.stdout
        final = kept.stdout + kept.stderr  # the table; the CSV may be a second older
        assert all(re.search(rf"POST +{route} +[1-9]", final) for route in ROUTES), final
        assert "Aggregated" in (tmp_path / "load_stats.csv").read_text()
        assert "<html" in (tmp_path / "load.html").read_text()
        broken = locust(url, tmp_path, "--slo-p99-ms", "0.001")
        assert broken.returncode == 1
        assert "SLO broken" in broken.stdout
    assert locust("http://example.com", tmp_path).returncode != 0

"""Several processes behind one socket: counts add up, a dead one is replaced, nothing of it lingers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest

from models.decoding import encode_png
from tests.e2e.processes import running_service

LIGHT = encode_png(np.full((10, 20, 3), 230, np.uint8))
pytestmark = pytest.mark.slow


def workers(besides: Sequence[int] = ()) -> list[int]:
    """The worker processes below this one, but for those of other tests."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("worker.service" in word for word in child.cmdline()):
                found.append(child.pid)
    return sorted(set(found) - set(besides))


def until(holds: Callable[[], bool], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)  # asking again, not waiting for luck


def ask(url: str) -> int:
    """One request on a connection of its own, so that any worker may get it."""
    with contextlib.suppress(httpx2.HTTPError):
        return int(httpx2.post(f"{url}/classify", files={"image": ("i", LIGHT)}, timeout=20).status_code)
    return 0


def told(url: str, name: str) -> float:
    text = httpx2.get(f"{url}/metrics", timeout=20).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, flags=re.M))


def test_counts_add_up_over_workers(repository: Path, tmp_path: Path) -> None:
    others = workers()
    with running_service(tmp_path, model_repository=repository, workers=2) as url:
        until(lambda: len(workers(others)) == 2 and told(url, "assay_model_ready") >= 4)
        answered = sum(ask(url) == 200 for _ in range(60))
        until(lambda: told(url, "assay_images_total") == answered)
        assert answered >= 50  # a worker may still load its models: 503
        assert httpx2.post(f"{url}/v2/repository/models/lamp/unload", timeout=20).status_code == 403


def test_a_killed_worker_is_replaced_and_forgotten(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container BentoML itself would leave it dead."""
    monkeypatch.setenv("BENTOML_CONTAINERIZED", "true")
    others = workers()
    with running_service(tmp_path, model_repository=repository, workers=2) as url:
        until(lambda: len(workers(others)) == 2 and all(ask(url) == 200 for _ in range(10)))
        before = workers(others)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(workers(others)) == 2 and before[0] not in workers(others))
        until(lambda: all(ask(url) == 200 for _ in range(10)))
        httpx2.get(f"{url}/metrics", timeout=20)
        left = [
            path.name for path in (tmp_path / "prometheus_multiproc_dir").glob(f"gauge_live*_{before[0]}.db")
        ]
        assert left == []

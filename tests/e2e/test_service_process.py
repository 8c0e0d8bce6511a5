"""A real server process: bad input over real HTTP, BentoML's own client. Attacks are in tests/security."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from models.decoding import encode_png
from tests.contract.test_service import BAD_BODIES, BAD_FILES, TASKS
from tests.e2e.processes import ROOT, running_service

LIGHT = encode_png(np.full((10, 20, 3), 230, np.uint8))


@pytest.fixture(scope="module")
def url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with running_service(
        home, model_repository=repository, max_body_bytes=200_000, max_images=8, max_pixels=1_000_000
    ) as url:
        yield url


def test_bad_input_is_never_a_500(url: str) -> None:
    with httpx2.Client(base_url=url, timeout=30) as client:
        for route in TASKS:
            for data, status, code in BAD_FILES.values():
                response = client.post(route, files={"image": ("i", data)})
                assert (response.status_code, response.json()["code"]) == (status, code)
            for kind, data, _, _ in BAD_BODIES.values():
                if len(kind) > 1000:  # the HTTP server itself ends such a connection
                    continue
                response = client.post(route, content=data, headers={"content-type": kind} if kind else {})
                assert 400 <= response.status_code < 500
            assert client.get(route).json()["code"] == "wrong_method"
        assert client.get("/livez").status_code == 200
        good = client.post("/classify", files={"image": ("i", LIGHT)})
        assert good.json()["predictions"][0]["name"] == "light"


def test_bentomls_own_client(url: str, tmp_path: Path) -> None:
    """In a process of its own, because it leaves its temporary folder to the garbage collector."""
    path = tmp_path / "light.png"
    path.write_bytes(LIGHT)
    script = (
        "import bentoml, sys, pathlib\n"
        "with bentoml.SyncHTTPClient(sys.argv[1]) as client:\n"
        "    picture = pathlib.Path(sys.argv[2])\n"
        "    body = client.classify(image=[picture, picture], top_k=1)\n"
        "told = body if isinstance(body, dict) else body.model_dump()\n"
        "print([p['name'] for p in told['predictions']])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, url, str(path)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.strip() == "['light', 'light']"


def test_serving_loads_no_torch() -> None:
    probe = "import service.app, sys; print('torch' in sys.modules, 'eval.runs' in sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", probe]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", "False"]


def test_a_broken_repository_never_becomes_ready(tmp_path: Path) -> None:
    """Alive, and saying why: an operator must be able to look."""
    with (
        running_service(tmp_path / "home", until="/livez", model_repository=tmp_path / "nowhere") as url,
        httpx2.Client(base_url=url, timeout=30) as client,
    ):
        while not (told := client.get("/models").json()["error"]):
            pass  # it is told as soon as it is known
        assert "the model repository must be a folder" in told
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        asked = client.post("/classify", files={"image": ("i", LIGHT)})
        assert (asked.status_code, asked.json()["code"]) == (503, "not_ready")
        assert int(asked.headers["retry-after"]) > 0
    line = next(
        line for line in (tmp_path / "home" / "log").read_text().splitlines() if "cannot be served" in line
    )
    assert json.loads(line)["level"] == "error"

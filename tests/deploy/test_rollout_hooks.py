"""Flagger's part, played against a real gate server and real canaries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from eval.served import ROOT, served
from tests.deploy.gate_models import canaries, rules

pytestmark = pytest.mark.slow
PATIENCE_S = 240.0
FAST = rules(pairs="50", samples="40")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(model_repository=canaries(tmp_path_factory.mktemp("canaries"))) as url:
        yield url


@pytest.fixture(scope="module")
def server(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gate server with a gate for each canary; `gone` is one that nobody serves."""
    folder = tmp_path_factory.mktemp("gates")
    (folder / "rollout.yaml").write_text(FAST)
    for name in ("good", "fragile", "gone"):
        gate = {
            "endpoint": {"url": service if name != "gone" else "http://127.0.0.1:1"},
            "subject": {"model": name},
            "baseline": {"url": service, "model": "digits"},
            "data": "digits:test",
            "rules": "rollout.yaml",
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(gate))
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ, "ASSAY_EVAL_HOME": str(home), "ASSAY_EVAL_GATES_DIR": str(folder),
        "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "eval.jobs", "--port", "0"]
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        try:
            ready(url)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def ready(url: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=2).close()  # noqa: S310  # loopback
            return
        except OSError:
            time.sleep(0.2)  # asking again, not waiting for luck
    raise AssertionError("the gate server is not ready")


def hook(server: str, gate: str, path: str = "", checksum: str = "7f6d") -> tuple[int, str]:
    """What Flagger hears: status and body."""
    told = {
        "name": "assay", "namespace": "shop", "phase": "Progressing", "checksum": checksum,
        "metadata": {"gate": gate},
    }  # fmt: skip
    request = urllib.request.Request(  # noqa: S310  # loopback
        f"{server}/v1/rollouts{path}", json.dumps(told).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until_decided(server: str, gate: str, **more: str) -> list[int]:
    """The statuses that Flagger hears, tick by tick, until it is no longer told to wait."""
    heard: list[int] = []
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        heard.append(hook(server, gate, **more)[0])
        if heard[-1] != 425:
            return heard
        time.sleep(0.3)  # Flagger's interval
    raise AssertionError(heard)


def test_a_good_canary_goes_on(server: str) -> None:
    heard = until_decided(server, "good")
    assert heard[0] == 425
    assert heard[-1] == 200, hook(server, "good")
    assert hook(server, "good", "/rollback")[0] == 409


def test_a_bad_one_goes_back_and_stays_there(server: str) -> None:
    assert until_decided(server, "fragile")[-1] == 412
    status, body = hook(server, "fragile")
    assert status == 412
    assert "fail: audit.robust_accuracy against digits/1" in json.loads(body)["error"]
    assert hook(server, "fragile", "/rollback")[0] == 200
    assert until_decided(server, "fragile") == [412]  # at once: it is not asked again


def test_one_that_is_not_there_is_asked_again_and_again(server: str) -> None:
    assert until_decided(server, "gone")[-1] == 503
    again = until_decided(server, "gone")
    assert again[-1] == 503
    assert hook(server, "gone", "/rollback")[0] in (425, 503)

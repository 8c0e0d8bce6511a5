"""The container of production as a process: its settings, its probes, its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.deploy.rendered import Document, number, overlay, settings, the
from tests.e2e.processes import PATIENCE_S, ROOT

pytestmark = pytest.mark.slow
KEY = "a key that only this test knows"
POD: Document = the(overlay("production"), "Deployment")["spec"]["template"]["spec"]
CONTAINER: Document = POD["containers"][0]


def status(url: str, **headers: str) -> int:
    """Of a GET; 0 where nobody listens or the connection is cut."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def until(url: str, wanted: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while status(url) != wanted:
        assert process.poll() is None
        assert time.monotonic() < end, f"{url} was never {wanted}"
        time.sleep(0.05)  # asking again, not waiting for luck


@contextmanager
def started(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """As the image's entry point starts it, on a port of this machine; what is written goes to `folder`."""
    (folder / "keys").write_text(f"{KEY}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    own = {e["name"]: e["value"].replace("/tmp", str(folder)) for e in CONTAINER["env"]}  # noqa: S108
    here = {
        "ASSAY_API_KEYS_FILE": str(folder / "keys"),
        "ASSAY_DRAIN_S": "3",  # not the 10 of a cluster: nobody here has an endpoint to forget
    }
    told = {**settings(overlay("production")), **here}
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "PROMETHEUS_"))
    }
    there = {"3000": port, "0.0.0.0": "127.0.0.1"}  # noqa: S104
    arguments = [there.get(word, word) for word in CONTAINER["args"]]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            cwd=ROOT,
            env={**kept, **own, **told},
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            if process.poll() is None:
                process.terminate()
                process.terminate()  # the second ends the wait
                process.wait(PATIENCE_S)


def test_probes_and_the_end(tmp_path: Path) -> None:
    paths = {
        kind: CONTAINER[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")
    }
    with started(tmp_path) as (url, process):
        until(url + paths["startup"], 200, process)
        assert {status(url + path) for path in (*paths.values(), "/metrics")} == {200}  # without a key
        parent = psutil.Process(process.pid)
        held = sum(p.memory_info().rss for p in (parent, *parent.children(recursive=True)))
        assert held <= number(CONTAINER["resources"]["requests"]["memory"])
        assert status(f"{url}/models") == 401
        assert status(f"{url}/models", **{"X-API-Key": KEY}) == 200
        process.send_signal(signal.SIGTERM)
        until(url + paths["readiness"], 503, process)
        assert status(url + paths["liveness"]) == 200  # it ends, and must not be killed for it
        assert status(f"{url}/models", **{"X-API-Key": KEY}) == 200  # and serves on
        assert process.wait(POD["terminationGracePeriodSeconds"]) == 0
        assert status(url + paths["liveness"]) == 0

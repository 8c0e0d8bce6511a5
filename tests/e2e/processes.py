"""Real processes for tests: a service on a free loopback port that is always stopped again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


@contextlib.contextmanager
def running_service(
    home: Path, *, python: str = sys.executable, until: str = "/readyz", **settings: object
) -> Iterator[str]:
    """The address of a service once `until` is 200; SIGTERM at the end, and its exit code must be 0.

    Settings are those of `ServiceSettings`.
    """
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"},
        "BENTOML_HOME": str(home),
        **{f"ASSAY_{name.upper()}": str(value) for name, value in settings.items()},
    }
    with (home / "log").open("wb") as log:
        service = subprocess.Popen(
            [python, "-m", "service", "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            assert service.stdout is not None
            url = service.stdout.readline().decode().split()[-1]
            _wait(url + until, service, home / "log")
            yield url
        finally:
            service.send_signal(signal.SIGTERM)
            code = service.wait(PATIENCE_S)
            if service.stdout is not None:
                service.stdout.close()
    assert code == 0, (home / "log").read_text()[-2000:]


def _wait(url: str, service: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert service.poll() is None, log.read_text()[-2000:]
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  # loopback
            return
        time.sleep(0.1)  # asking again, not waiting for luck
    raise AssertionError(f"{url} was not 200 in {PATIENCE_S} s: {log.read_text()[-2000:]}")

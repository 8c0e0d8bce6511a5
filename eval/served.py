"""A service of our own to measure: a process on a free loopback port, ready when its address is given."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from eval.errors import EvalError
from eval.remote.assay import is_ready

__all__ = ["ROOT", "served"]

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0


@contextlib.contextmanager
def served(**settings: object) -> Iterator[str]:
    """The address of a service on a free loopback port; stopped at the end.

    Args:
        settings: of the service, e.g. `model_repository=...`, `runs=2`; by default it serves the zoo.

    Raises:
        EvalError: it did not start, or a model is still loading after two minutes.
    """
    command = [sys.executable, "-m", "service", "--host", "127.0.0.1", "--port", "0"]
    with tempfile.TemporaryDirectory() as home, (Path(home) / "service.log").open("wb") as log:
        told = {f"ASSAY_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {**os.environ, "BENTOML_DO_NOT_TRACK": "True", **told, "BENTOML_HOME": home}
        environment.pop("PROMETHEUS_MULTIPROC_DIR", None)  # of the process that starts it, if any
        with (
            _terminated_in_order(),
            subprocess.Popen(  # noqa: S603  # our own words only
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log
            ) as process,
        ):
            try:
                first = process.stdout.readline().decode().split() if process.stdout else []
                if not first:
                    raise EvalError(f"the service did not start: {Path(log.name).read_text()[-1000:]}")
                asyncio.run(_ready(first[-1], process, Path(log.name)))
                yield first[-1]
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)


@contextlib.contextmanager
def _terminated_in_order() -> Iterator[None]:
    """SIGTERM ends this process by an exception meanwhile, so that the service is stopped with it."""
    if threading.current_thread() is not threading.main_thread():  # only that one may say what signals do
        yield
        return

    def leave(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until every model is loaded, proven and warm."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if await is_ready(url):  # what is listed may grow until the first look is over
            return
        await asyncio.sleep(0.2)
    raise EvalError(f"the service is not ready: {log.read_text()[-1000:]}")

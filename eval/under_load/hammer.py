"""Locust as a process of its own: started, waited for, and always ended."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eval.errors import EvalError
from eval.remote.recording import Sent
from eval.under_load.users import BEGUN, LOCUSTFILE, TOLD, write_requests

__all__ = ["Load", "hammering", "require_locust"]

ROOT = Path(__file__).resolve().parents[2]  # where `eval` is found, checked out or installed
PATIENCE_S = 60.0  # until it has begun
ENDS_S = 15.0  # until it has ended by itself when it is told to


@dataclass(slots=True)
class Load:
    """A load that is on.

    Attributes:
        pid: of Locust.
        told: what it says of itself when it has ended: `requests`, `failures`, `per_second`, `p50_ms`,
            `p95_ms`, `p99_ms`, `errors`.
    """

    pid: int
    told: dict[str, Any] = field(default_factory=dict)


def require_locust() -> None:
    """Raises EvalError when it is not installed."""
    if importlib.util.find_spec("locust") is None:
        raise EvalError("load comes from Locust, which is not installed: pip install 'assay[load]'")


@contextlib.asynccontextmanager
async def hammering(
    requests: Sequence[Sent], users: int, *, max_qps: float | None = None
) -> AsyncIterator[Load]:
    """Locust's users send the requests until the block is left, however it is left.

    Raises:
        EvalError: Locust is not installed, or does not begin.
    """
    require_locust()
    if not requests:
        raise EvalError("there is nothing to send: no request was recorded")
    with tempfile.TemporaryDirectory(prefix="assay-load-") as home:  # readable by its owner only
        folder = Path(home)
        write_requests(folder, requests, per_second=None if max_qps is None else max_qps / users)
        (folder / "locustfile.py").write_text(LOCUSTFILE, encoding="utf-8")
        parts = urlsplit(requests[0].url)
        command = [
            "-m", "locust", "--locustfile", "locustfile.py", "--headless", "--only-summary",
            "--host", f"{parts.scheme}://{parts.netloc}", "--users", str(users), "--spawn-rate", str(users),
            "--loglevel", "WARNING", "--exit-code-on-error", "0",
        ]  # fmt: skip
        log = folder / "locust.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=home, env=_environment(), stdout=out, stderr=out
            )
        load = Load(process.pid)
        try:
            await _begun(process, folder, log)
            yield load
        finally:
            await _ended(process)
            with contextlib.suppress(OSError, ValueError):
                load.told.update(json.loads((folder / TOLD).read_text(encoding="utf-8")))


def _environment() -> dict[str, str]:
    """Ours, without settings of another Locust, and so that `eval` is found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    paths = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


async def _begun(process: asyncio.subprocess.Process, folder: Path, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not (folder / BEGUN).exists():
        if process.returncode is not None or time.monotonic() > end:
            said = log.read_text(encoding="utf-8", errors="replace")[-600:]
            raise EvalError(f"Locust did not begin: {' '.join(said.split())}")
        await asyncio.sleep(0.05)


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), ENDS_S)
    except (TimeoutError, asyncio.CancelledError):
        process.kill()
        raise

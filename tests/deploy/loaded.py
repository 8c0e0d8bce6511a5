"""A run of Locust with our locustfile, and its figures."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tests.e2e.processes import ROOT

__all__ = ["Done", "free_port", "locust", "workers"]

Done: TypeAlias = subprocess.CompletedProcess[str]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def locust(url: str, out: Path, *options: str, seconds: float = 4) -> tuple[Done, dict[str, Any]]:
    """A run and its figures; files go to `out`."""
    command = [sys.executable, "-m", "locust", "-f", "deploy/load/locustfile.py", "--headless", "--host", url]
    where = ["--csv", f"{out}/load", "--html", f"{out}/load.html", "--figures", f"{out}/figures.json"]
    shape = ["-u", "4", "-r", "4", "-t", f"{seconds}s", "--only-summary", "--json-file", f"{out}/load"]
    out.mkdir(exist_ok=True)
    done = subprocess.run([*command, *shape, *where, *options], cwd=ROOT, capture_output=True, text=True)
    figures = out / "figures.json"
    return done, json.loads(figures.read_text()) if figures.exists() else {}


def workers(count: int) -> Sequence[str]:
    """Options for a master and its workers here, reached by nobody else."""
    port = str(free_port())
    bound = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)
    return ("--processes", str(count), *bound)

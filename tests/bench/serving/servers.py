"""How each server is started on one published model: Assay by its own command, peers in their own venv."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from models.repository import Version
from tests.bench.serving.answers import Ask, read_answer
from tests.bench.serving.processes import ROOT, BenchError, Process, free_port, started

__all__ = [
    "Server",
    "assay",
    "cpus",
    "infer_path",
    "litserve",
    "once",
    "peer_versions",
    "starlette",
    "stock_bentoml",
]

PEERS = "tests.bench.serving.peers"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PACKAGES = ("bentoml", "litserve", "numpy", "onnxruntime", "pillow", "starlette", "uvicorn")


@dataclass(frozen=True)
class Server:
    """A running server and what it is asked."""

    name: str
    process: Process
    ask: Ask

    def must_answer(self, label: int) -> None:
        """Raises BenchError unless the ask is answered with this class: speed of a wrong answer is none."""
        status, headers, body = once(self.process, "POST", self.ask.path, self.ask)
        if status != 200 or read_answer(headers, body).label != label:
            raise BenchError(f"{self.name} must answer class {label}, got {status}: {body[:500]!r}")


def once(
    process: Process, method: str, path: str, ask: Ask | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers with lower-case names, and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
    try:
        connection.request(method, path, ask.body if ask else None, dict(ask.headers) if ask else {})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()
    finally:
        connection.close()


def cpus() -> int:
    """CPUs this run may use."""
    return len(os.sched_getaffinity(0))


def infer_path(version: Version, *, numbered: bool = False) -> str:
    """Where the Open Inference Protocol asks a model, or one version of it."""
    one = f"/versions/{version.card.version}" if numbered else ""
    return f"/v2/models/{version.card.name}{one}/infer"


def assay(
    repository: Path, home: Path, *, port: int | None = None, **settings: object
) -> AbstractContextManager[Process]:
    """Our service on a whole repository; settings are those of `ServiceSettings`. No drain unless told."""
    port = port or free_port()
    told = {"drain_s": 0, **settings, "model_repository": repository}
    return started(
        [sys.executable, "-m", "service", "--port", str(port)],
        port=port,
        home=home,
        environment={f"ASSAY_{name.upper()}": str(value) for name, value in told.items()},
        ready="/readyz",
    )


def starlette(version: Version, home: Path, *, pool: int = 0) -> AbstractContextManager[Process]:
    """Bare Starlette; `pool` threads with a run of one thread each, 0: in the handler."""
    port = free_port()
    command = ["-m", f"{PEERS}.bare_starlette"]
    return _peer(command, version, home, port, "/health", BENCH_POOL=pool)


def stock_bentoml(version: Version, home: Path, *, threads: int = 1) -> AbstractContextManager[Process]:
    """BentoML as it comes: it runs one request at a time, on `threads` of onnxruntime (0: its default)."""
    port = free_port()
    serve = ["-m", "bentoml", "serve", f"{PEERS}.stock_bentoml:Stock", "--host", "127.0.0.1"]
    return _peer([*serve, "--port", str(port)], version, home, port, "/readyz", BENCH_THREADS=threads)


def litserve(version: Version, home: Path, *, workers: int = 1) -> AbstractContextManager[Process]:
    """LitServe with so many worker processes, each with runs of one thread."""
    port = free_port()
    return _peer(["-m", f"{PEERS}.lit"], version, home, port, "/health", BENCH_WORKERS=workers)


def _peer(
    command: list[str], version: Version, home: Path, port: int, ready: str, **settings: int
) -> AbstractContextManager[Process]:
    if not PEER_PYTHON.exists():
        raise BenchError("the peers must be installed in .venv-bench: run `make bench-serving`")
    numbers = {"BENCH_PORT": port, **settings}
    environment = {
        "BENCH_MODEL": str(version.folder),
        **{name: str(value) for name, value in numbers.items()},
    }
    return started([str(PEER_PYTHON), *command], port=port, home=home, environment=environment, ready=ready)


def peer_versions() -> dict[str, str]:
    """Distribution -> version, in the peers' environment; empty where that is missing."""
    if not PEER_PYTHON.exists():
        return {}
    look = f"from importlib.metadata import version\nfor name in {PACKAGES}: print(name, version(name))"
    told = subprocess.run([PEER_PYTHON, "-c", look], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in told.splitlines())

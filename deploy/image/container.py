"""An image run as production runs it: no privilege, a root nobody can write, limits."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from deploy.image.engine import Engine, EngineError, last_lines

__all__ = ["HARDENED", "MEMORY_BYTES", "PIDS", "PORT", "Container", "Way", "running"]

PORT = 3000  # of the image's own command
MEMORY_BYTES, PIDS = 2 * 1024**3, 256  # as the Deployment has it, and far above what is needed
HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp:size=256m,mode=1777",
    f"--memory={MEMORY_BYTES}",
    f"--pids-limit={PIDS}",
)
READY_S, POLL_S = 120.0, 0.05
FAILURES = (OSError, HTTPException)


@dataclass(frozen=True, slots=True)
class Way:
    """How this machine reaches the container: a published port, or from inside its own network.

    Attributes:
        process: whose network a thread enters before it asks; None where the port is published.
    """

    port: int
    process: int | None = None

    def enter(self) -> None:
        """Let this thread, and no other, ask inside the container's network."""
        if self.process is not None:
            with Path(f"/proc/{self.process}/ns/net").open() as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), 0):
                    reason = os.strerror(ctypes.get_errno())
                    raise OSError(f"the container's network cannot be entered: {reason}")

    def connect(self, timeout_s: float = 30.0) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def threads(self, count: int = 1) -> ThreadPoolExecutor:
        """Threads that may ask."""
        return ThreadPoolExecutor(count, initializer=self.enter)

    def status(self, path: str) -> int | None:
        """Of a GET; None where nobody answers. Only in one of its threads."""
        connection = self.connect(timeout_s=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except FAILURES:
            return None
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Container:
    """One that runs.

    Attributes:
        began: when it was started, of time.monotonic.
    """

    engine: Engine
    name: str
    way: Way
    began: float

    def inspect(self, field: str) -> str:
        return self.engine.ask("inspect", "--type", "container", "--format", field, self.name)

    def python(self, source: str) -> str:
        """What a Python program says that is run in it, beside the service."""
        return self.engine.ask("exec", self.name, "python", "-c", source)

    def is_healthy(self, image: str) -> bool:
        """Whether the image's own health check says so."""
        field = "{{json .Config.Healthcheck.Test}}"
        kind, *words = json.loads(self.engine.ask("inspect", "--type", "image", "--format", field, image))
        return kind == "CMD" and self.engine.run("exec", self.name, *words, check=False).returncode == 0

    def ready(self) -> float:
        """Seconds from its start until `/readyz` is 200. Raises EngineError when that does not come."""
        with self.way.threads() as threads:
            while time.monotonic() - self.began < READY_S:
                if threads.submit(self.way.status, "/readyz").result() == 200:
                    return time.monotonic() - self.began
                if self.inspect("{{.State.Running}}") != "true":
                    break
                time.sleep(POLL_S)
        raise EngineError(f"{self.name} is not ready: {self.log()}")

    def log(self) -> str:
        told = self.engine.run("logs", self.name, check=False)
        return last_lines(told.stdout + told.stderr)

    def processes(self) -> list[int]:
        """All of it, as this machine numbers them; none where the engine runs elsewhere."""
        found = [int(self.inspect("{{.State.Pid}}"))]
        for process in found:
            with contextlib.suppress(OSError):
                for children in Path(f"/proc/{process}/task").glob("*/children"):
                    found += map(int, children.read_text().split())
        return [process for process in found if Path(f"/proc/{process}").exists()]


def _way(engine: Engine, name: str, *, alone: bool) -> Way:
    """Raises EngineError where it has ended already, or nothing is published."""
    process = int(engine.ask("inspect", "--type", "container", "--format", "{{.State.Pid}}", name))
    port = (
        PORT if alone else engine.run("port", name, str(PORT), check=False).stdout.strip().rpartition(":")[2]
    )
    if not process or not port:
        told = engine.run("logs", name, check=False)
        raise EngineError(f"{name} ended, or published no port: {last_lines(told.stdout + told.stderr)}")
    return Way(int(port), process if alone else None)


@contextlib.contextmanager
def running(engine: Engine, image: str, environment: Mapping[str, str]) -> Iterator[Container]:
    """The image with its own command, hardened; removed at the end.

    Raises:
        EngineError: there is no such image, or it does not start.
    """
    if not engine.has_image(image):
        raise EngineError(f"there is no image {image}; `make image` builds it")
    name = f"assay-smoke-{uuid.uuid4().hex[:8]}"
    variables = [f"--env={key}={value}" for key, value in environment.items()]
    # Without systemd podman has no timers for health checks; they are asked by hand.
    alone = engine.has_host_network
    network = ["--network=none", "--no-healthcheck"] if alone else [f"--publish=127.0.0.1::{PORT}"]
    began = time.monotonic()
    try:
        engine.run("run", "--detach", f"--name={name}", *HARDENED, *network, *variables, image)
        yield Container(engine, name, _way(engine, name, alone=alone), began)
    finally:
        engine.run("rm", "--force", name, check=False)

"""Server processes: started on a free loopback port, waited for, weighed, always stopped, children too."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "BenchError", "Process", "free_port", "started", "wait_until_ready"]

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0  # to become ready
GRACE_S = 15.0  # to end after SIGTERM
# What one server of ours is told must not reach another.
PRIVATE = ("ASSAY_", "BENTOML_", "BENCH_", "PROMETHEUS_MULTIPROC_DIR")


class BenchError(Exception):
    """The measurement cannot be made; says what to do."""


@dataclass(frozen=True)
class Process:
    """A running server.

    Attributes:
        url: `http://127.0.0.1:<port>`.
        log: what it wrote.
    """

    popen: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def pids(self) -> list[int]:
        """The process and all below it, parents first."""
        return _tree(self.popen.pid)

    def rss_mb(self) -> float:
        """Resident megabytes (1e6 bytes) of the process and all below it; shared pages count in each."""
        page = os.sysconf("SC_PAGE_SIZE")
        pages = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * page / 1e6

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(
    command: Sequence[str], *, port: int, home: Path, environment: Mapping[str, str], ready: str
) -> Iterator[Process]:
    """The process once `ready` is 200. Afterwards SIGTERM, then SIGKILL to whatever of it is left.

    Args:
        home: a folder for its log and its BentoML.
        environment: added to this process's own.
        ready: a path.
    """
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}
    bento = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    with (home / "log").open("ab") as log:
        popen = subprocess.Popen(
            command, cwd=ROOT, env={**kept, **bento, **environment}, stdout=log, stderr=log
        )
    process = Process(popen, f"http://127.0.0.1:{port}", home / "log")
    try:
        wait_until_ready(process, ready)
        yield process
    finally:
        _stop(popen)


def wait_until_ready(process: Process, path: str) -> None:
    """Return once `path` is 200. Raises BenchError if the process ends or PATIENCE_S pass."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.popen.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(process.url + path, timeout=2).close()  # noqa: S310  # loopback
            return
        time.sleep(0.1)
    raise BenchError(f"{' '.join(map(str, process.popen.args))} is not ready:\n{process.told()}")  # type: ignore[arg-type]


def _tree(root: int) -> list[int]:
    """A process and all below it, parents first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _born(pid: int) -> str | None:
    """When a process began, so that its number is not mistaken for a later process's; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _stop(popen: subprocess.Popen[bytes]) -> None:
    below = {pid: _born(pid) for pid in _tree(popen.pid)[1:]}
    popen.terminate()
    try:
        popen.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()
    for pid, born in below.items():  # some peers leave their workers behind
        if born is not None and _born(pid) == born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

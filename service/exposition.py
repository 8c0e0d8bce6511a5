"""The metrics as they are scraped: of this process, or of all workers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from service.tally import flush

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]


def exposition() -> bytes:
    """All metrics in Prometheus's text form, of every worker where there are several."""
    flush()
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    _forget_the_dead(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """A worker that was killed leaves its gauges behind, and its requests would be in flight for ever."""
    for pid in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*_*.db")}:
        if pid.isdecimal() and not _runs(pid):
            with contextlib.suppress(FileNotFoundError):  # another worker is asked for metrics, too
                multiprocess.mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]


def _runs(pid: str) -> bool:
    """Whether there is such a process, and it has not ended: its parent may look after it seconds later."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return not Path("/proc/self").exists()  # where nothing is told of processes, each may run
    return state not in ("Z", "X")

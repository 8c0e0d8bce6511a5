"""What a job tells of itself: state, progress, time to go, last words."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.jobs.reaching import SECRET
from eval.jobs.states import ENDED
from eval.jobs.store import Job
from eval.journal import Progress, progress
from eval.recorded import JOURNAL

__all__ = ["END", "LOG", "REPORTS", "answered", "far", "status", "tail"]

LOG = "stderr.log"
LINES, LINE_BYTES = 20, 500
LEAST_HIDDEN = 4  # characters: a shorter value may stand in any text by chance
REPORTS: Mapping[str, str] = {  # suffix -> media type
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
END: Mapping[str, str] = {
    suffix: "" if suffix == "json" else f".{suffix}" for suffix in REPORTS
}  # of their paths


def far(folder: Path) -> Progress | None:
    """How far a job's runs are, together: it has one, or one for each side; None before the first began."""
    runs = [told for path in (folder, *folder.glob("*/")) if (told := progress(path / JOURNAL)) is not None]
    if not runs:
        return None
    done, total, errors = (sum(getattr(run, name) for run in runs) for name in ("done", "total", "errors"))
    return Progress(done, total, errors, all(run.finished for run in runs))


def answered(folder: Path) -> int:
    """Images that have an answer, or an error, so far."""
    told = far(folder)
    return 0 if told is None else told.done


def tail(folder: Path) -> list[str]:
    """The last lines of a job's stderr, without control characters and without the operator's secrets."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LINES * LINE_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    for name, secret in os.environ.items():
        if name.startswith(SECRET) and len(secret) >= LEAST_HIDDEN:
            text = text.replace(secret, f"${name}")
    lines = ["".join(c for c in line if c.isprintable()) for line in text.splitlines()]
    return [line[:LINE_BYTES] for line in lines if line][-LINES:]


def status(job: Job, folder: Path, *, whole: bool = True) -> dict[str, Any]:
    """As JSON values.

    Args:
        whole: with what only one job's page tells: progress and log.
    """
    here = f"/v1/jobs/{job.id}"
    reports = {name: f"{here}/report{END[name]}" for name in REPORTS}
    told = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "verdict": job.verdict,
        "why": job.why,
        "asked": json.loads(job.asked),
        "created": _stamp(job.created),
        "started": _stamp(job.started),
        "ended": _stamp(job.ended),
        "attempts": job.attempts,
        "links": {"self": here, "reports": reports if job.state == "done" else {}},
    }
    if not whole:
        return told
    run = far(folder)
    shown = None if run is None else {"done": run.done, "total": run.total, "errors": run.errors}
    eta = None if run is None else _eta_s(job, run.done, run.total)
    return {**told, "progress": shown, "eta_s": eta, "log": tail(folder)}


def _eta_s(job: Job, done: int, total: int) -> float | None:
    """Seconds to go, at the pace of this attempt; None where it has no pace yet, or has ended."""
    since = done - job.before
    if job.state in ENDED or job.state == "queued" or job.started is None or since <= 0:
        return None
    return round((time.time() - job.started) / since * (total - done), 1)


def _stamp(seconds: float | None) -> str | None:
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    )

"""A desk whose jobs run the stand-in program, and bodies to ask it with."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.jobs.desk import Desk
from eval.jobs.settings import PROJECT, JobSettings

PROGRAM = (sys.executable, "-m", "tests.eval.jobs.program")
PATIENCE_S = 120.0


def desk_at(home: Path, **settings: Any) -> Desk:
    """A desk in `home`; its runner is not started: call `tick`, or `start`."""
    assert (PROJECT / "tests").is_dir()
    return Desk(JobSettings(home=home, **{"grace_s": 30.0, **settings}), PROGRAM)


def body(model: str | None = "done", *, url: str = "http://127.0.0.1:3000", **fields: Any) -> bytes:
    """An evaluation of the digits by the stand-in that is called `model`."""
    return json.dumps({"endpoint": {"url": url}, "data": "digits:test", "model": model, **fields}).encode()


def until(what: Callable[[], Any], *, turn: Callable[[], Any] = lambda: None) -> Any:
    """What `what` gives once it is something; `turn` is done in between."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        turn()
        if found := what():
            return found
        time.sleep(0.02)  # asking again, not waiting for luck
    raise AssertionError("it never came")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has, too."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True

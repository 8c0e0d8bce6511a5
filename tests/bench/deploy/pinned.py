"""One core for the server and one for who asks, so that neither takes the other's time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from eval.served import ROOT
from tests.bench.serving.processes import Process
from tests.bench.serving.servers import assay

__all__ = ["CORES", "pinned", "served_on_one_core"]

CORES = sorted(os.sched_getaffinity(0))
ZOO = ROOT / "models" / "zoo"


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started meanwhile runs on one core, and so does this process."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def served_on_one_core(folder: Path, name: str, number: int | None = None) -> Iterator[Process]:
    """A model of the zoo, all its versions or one, served from the last core; we stay on the first."""
    models = folder / "models" / name
    models.mkdir(parents=True, exist_ok=True)
    for version in (ZOO / name).iterdir():
        if number in (None, int(version.name)) and not (models / version.name).exists():
            (models / version.name).symlink_to(version)
    with contextlib.ExitStack() as stack:
        with pinned(CORES[-1]):
            process = stack.enter_context(assay(models.parent, folder / "home"))
        with pinned(CORES[0]):
            yield process

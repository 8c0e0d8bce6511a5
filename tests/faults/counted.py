"""How runs through every fault end, counted."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import running_service
from tests.faults.cases import CASES
from tests.faults.running import RUNS, Outcome, pictures, through, whole
from tests.graphs import repository

__all__ = ["counted"]


def counted(seeds: int) -> dict[str, int]:
    """Runs through faults: those with wrong numbers, and how the others ended; each is told on stderr.

    Args:
        seeds: most of a case that are tried.
    """
    counts = {"runs": 0, "same": 0, "told": 0, "wrong_numbers": 0}
    for name, outcome, clean in _outcomes(seeds):
        same = not outcome.why and outcome.report == clean
        kind = "wrong_numbers" if outcome.wrong(clean) else "same" if same else "told"
        counts["runs"] += 1
        counts[kind] += 1
        sys.stderr.write(f"{kind:13} {name} {outcome.why[:120]}\n")
    return counts


def _outcomes(seeds: int) -> Iterator[tuple[str, Outcome, str]]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        data, models = pictures(folder / "data"), repository(folder / "models")
        with running_service(folder / "home", model_repository=models) as url:
            for name, run in RUNS.items():
                clean = asyncio.run(whole(run, url, data))
                for number, case in enumerate(CASES):
                    for seed in range(min(case.seeds, seeds)):
                        out = folder / f"{name}-{number}-{seed}"
                        outcome = asyncio.run(through(run, case, seed, url, data, out))
                        yield f"{name}: {case.name}, seed {seed}", outcome, clean

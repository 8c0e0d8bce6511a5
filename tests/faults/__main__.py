"""`python -m tests.faults`: every fault, and how many runs gave wrong numbers, as flat JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import running_service
from tests.faults.cases import CASES
from tests.faults.running import RUNS, Outcome, pictures, through, whole
from tests.graphs import repository

__all__ = ["measure"]


def measure() -> dict[str, int]:
    """Runs through faults, those with wrong numbers, and how the others ended."""
    counts = {f"network_faults.{name}": 0 for name in ("runs", "same", "told", "wrong_numbers")}
    for name, outcome, clean in _outcomes():
        same = not outcome.why and outcome.report == clean
        kind = "wrong_numbers" if outcome.wrong(clean) else "same" if same else "told"
        counts["network_faults.runs"] += 1
        counts[f"network_faults.{kind}"] += 1
        sys.stderr.write(f"{kind:13} {name} {outcome.why[:120]}\n")
    return counts


def _outcomes() -> Iterator[tuple[str, Outcome, str]]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        data, models = pictures(folder / "data"), repository(folder / "models")
        with running_service(folder / "home", model_repository=models) as url:
            for name, run in RUNS.items():
                clean = asyncio.run(whole(run, url, data))
                for number, case in enumerate(CASES):
                    for seed in range(case.seeds if case.ends(name) is not None else 0):
                        out = folder / f"{name}-{number}-{seed}"
                        outcome = asyncio.run(through(run, case, seed, url, data, out))
                        yield f"{name}: {case.name}, seed {seed}", outcome, clean


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=2) + "\n")

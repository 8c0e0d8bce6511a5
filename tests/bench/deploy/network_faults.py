"""Evaluations and audits through a bad network: do any give wrong numbers?

Every fault of `tests.faults.cases` for both, with its first seed (`python -m tests.faults` takes more), and
what the kernel does to packets in a network of its own, with thirty in a hundred of them lost each way.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.faults.counted import counted
from tests.faults.lossy import alone, impossible

__all__ = ["measure"]

SEEDS = 1  # of each fault: the whole is to take two minutes


def measure() -> dict[str, float | int | None]:
    """`network_faults.*`: runs, how they ended, and how many of them the kernel lost packets of."""
    counts = counted(SEEDS)
    lossy = _lossy()
    for ended in (lossy or {}).values():
        counts["runs"] += 1
        counts[ended] += 1
    told: dict[str, float | int | None] = {f"network_faults.{name}": n for name, n in counts.items()}
    return {**told, "network_faults.lossy_runs": None if lossy is None else len(lossy)}


def _lossy() -> dict[str, str] | None:
    """How each run in the kernel's weather ended; None where that cannot be made."""
    if why := impossible():
        sys.stderr.write(f"network_faults.lossy_runs: {why}\n")
        return None
    with tempfile.TemporaryDirectory() as folder:
        told = alone(Path(folder), brief=False)
    ended = {
        name: "wrong_numbers" if one["wrong"] else "same" if one["same"] else "told"
        for name, one in told.items()
    }
    for name, kind in ended.items():
        sys.stderr.write(f"{kind:13} {name} {told[name]['why'][:120]}\n")
    return ended

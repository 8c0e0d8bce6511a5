"""Measure audits: `python -m tests.bench.audit [case ...]`; flat, `runs/bench/audit.json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from eval.served import ROOT
from tests.bench.audit import art, ceiling, control, disturbed, flags, lattice, linear, memory, recorded
from tests.bench.cases import run

OUT = ROOT / "runs" / "bench" / "audit.json"
CASES: Mapping[str, Callable[[], Mapping[str, float | int | None]]] = {
    "ceiling": ceiling.measure,
    "art": art.measure,
    "recorded": recorded.measure,
    "linear": linear.measure,
    "lattice": lattice.measure,
    "control": control.measure,
    "flags": flags.measure,
    "disturbed": disturbed.measure,
    "memory": memory.measure,
}


if __name__ == "__main__":
    sys.exit(run("tests.bench.audit", __doc__, CASES, OUT))

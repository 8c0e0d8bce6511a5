"""Measure evaluation: `python -m tests.bench.evaluation [case ...]`; flat, `runs/bench/evaluation.json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from eval.served import ROOT
from tests.bench.cases import Figures, run
from tests.bench.evaluation import coco, cost, foreign, killed, parity
from tests.bench.models import real, zoo

OUT = ROOT / "runs" / "bench" / "evaluation.json"


def _real() -> Figures:
    """Published graphs on real pictures, live: how many of their stated scores are within our interval."""
    rows = real.measure(zoo.DATA)
    for row in rows:
        interval = "" if row.low is None else f" [{row.low:.4f}, {row.high:.4f}]"
        told = f"stated {row.claimed:.3f}, live {row.measured:.4f}{interval}"
        print(f"{row.name:20} {row.metric:16} {told}, {'within' if row.within else 'NOT WITHIN'}")
    return {
        "real.scores": len(rows) or None,
        "real.within": sum(row.within for row in rows) if rows else None,
    }


CASES: Mapping[str, Callable[[], Mapping[str, float | int | None]]] = {
    "coco": coco.measure,
    "killed": killed.measure,
    "cost": cost.measure,
    "memory": cost.memory,
    "parity": parity.measure,
    "real": _real,
    "foreign": foreign.measure,
}


if __name__ == "__main__":
    sys.exit(run("tests.bench.evaluation", __doc__, CASES, OUT))

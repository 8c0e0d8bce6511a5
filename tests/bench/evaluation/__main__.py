"""Measure evaluation: `python -m tests.bench.evaluation [case ...]`; flat, `runs/bench/evaluation.json`."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping

from eval.served import ROOT
from tests.bench.evaluation import coco, cost, foreign, killed, parity
from tests.bench.models import real, zoo

OUT = ROOT / "runs" / "bench" / "evaluation.json"
Figures = dict[str, float | int | None]


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


def main() -> int:
    """Run the cases; 1 when one broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.evaluation", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)} (default: all)")
    wanted = parser.parse_args().cases or list(CASES)
    if unknown := set(wanted) - CASES.keys():
        parser.error(f"cases must be of {', '.join(CASES)}, got {', '.join(sorted(unknown))}")
    told: Figures = json.loads(OUT.read_text()) if OUT.exists() else {}
    failed = 0
    for name in wanted:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            told |= CASES[name]()
        except Exception:  # the other cases are still worth measuring
            traceback.print_exc()
            failed += 1
        print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n")
    for name, value in told.items():
        print(f"{name:36} {value}")
    print(f"wrote {OUT.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

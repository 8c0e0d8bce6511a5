"""Measure the models: `python -m tests.bench.models [case ...]`, flat figures in `runs/bench/models.json`."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping

from eval.served import ROOT
from tests.bench.models import int8, real, robust, zoo
from tests.models.families.fuzz import mismatches

OUT = ROOT / "runs" / "bench" / "models.json"
FUZZ = 500  # cases of each family
Figures = dict[str, float | int | None]


def _real() -> Figures:
    """How many of the given graphs came in, and how many are within a point of what is said of them."""
    rows = real.measure(zoo.DATA)
    if not rows:
        print(f"import: null, {zoo.DATA / 'models'} is not there; set ASSAY_DATA_DIR")
        return {"import.models": None, "import.within_claim": None}
    for row in rows:
        print(
            f"{row.name:28} {row.metric:16} claimed {row.claimed:.3f}, live {row.measured:.4f}, {row.within}"
        )
    names = {row.name for row in rows}
    within = [name for name in names if all(row.within for row in rows if row.name == name)]
    return {"import.models": len(names), "import.within_claim": len(within)}


def _fuzz() -> Figures:
    found = mismatches(FUZZ)
    print(", ".join(f"{family}: {wrong} of {FUZZ}" for family, wrong in found.items()))
    return {"decode.fuzz_mismatches": sum(found.values()), "decode.families": len(found)}


CASES: Mapping[str, Callable[[], Mapping[str, float | int | None]]] = {
    "zoo": zoo.measure,
    "int8": int8.measure,
    "robust": robust.measure,
    "import": _real,
    "decode": _fuzz,
}


def main() -> int:
    """Run the cases; 1 when one broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.models", description=__doc__)
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
        print(f"{name:32} {value}")
    print(f"wrote {OUT.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

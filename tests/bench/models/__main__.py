"""Measure the models: `python -m tests.bench.models [case ...]`, flat figures in `runs/bench/models.json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from eval.served import ROOT
from tests.bench.cases import Figures, run
from tests.bench.models import int8, real, robust, zoo
from tests.models.families.fuzz import mismatches

OUT = ROOT / "runs" / "bench" / "models.json"
FUZZ = 500  # cases of each family


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


if __name__ == "__main__":
    sys.exit(run("tests.bench.models", __doc__, CASES, OUT))

"""Runs the cases of a bench and keeps their figures: flat JSON, what was measured before stays."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from eval.served import ROOT

__all__ = ["Figures", "run"]

Figures = dict[str, float | int | None]


def run(
    program: str, what: str, cases: Mapping[str, Callable[[], Mapping[str, float | int | None]]], out: Path
) -> int:
    """The cases named on the command line, or all; 1 when one broke."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=what)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(cases)} (default: all)")
    wanted = parser.parse_args().cases or list(cases)
    if unknown := set(wanted) - cases.keys():
        parser.error(f"cases must be of {', '.join(cases)}, got {', '.join(sorted(unknown))}")
    told: Figures = json.loads(out.read_text()) if out.exists() else {}
    failed = 0
    for name in wanted:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            told |= cases[name]()
        except Exception:  # the other cases are still worth measuring
            traceback.print_exc()
            failed += 1
        print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n")
    for name, value in told.items():
        print(f"{name:36} {value}")
    print(f"wrote {out.relative_to(ROOT)}")
    return 1 if failed else 0

"""Measure Assay beside its peers on one machine: `python -m tests.bench.serving [case ...]`.

Prints a table and merges flat figures into `runs/bench/serving.json`. `QUICK=1` in the
environment shortens every measurement: under 5 minutes for all, and rougher.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from tests.bench.serving.drain import drain
from tests.bench.serving.load import need_wrk
from tests.bench.serving.nets import SEED
from tests.bench.serving.overload import overload
from tests.bench.serving.plan import Plan
from tests.bench.serving.processes import ROOT, BenchError
from tests.bench.serving.rounds import Figures
from tests.bench.serving.scan import scan
from tests.bench.serving.servers import cpus, peer_versions
from tests.bench.serving.speed import resnet_jpeg640, resnet_jpeg2000, tensor, tiny_png, typed
from tests.bench.serving.swap import swap
from tests.bench.serving.table import lines

OUT = ROOT / "runs" / "bench" / "serving.json"
CASES: Mapping[str, Callable[[Plan], Figures]] = {
    case.__name__: case
    for case in (tiny_png, typed, tensor, resnet_jpeg640, resnet_jpeg2000, overload, swap, drain, scan)
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serving", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)} (default: all)")
    wanted = parser.parse_args().cases or list(CASES)
    if unknown := set(wanted) - CASES.keys():
        parser.error(f"cases must be of {', '.join(CASES)}, got {', '.join(sorted(unknown))}")
    told: Figures = {}
    quick = os.environ.get("QUICK", "") not in ("", "0")
    failed = 0
    need_wrk()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in wanted:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            began = time.monotonic()
            try:
                told |= CASES[name](Plan(Path(folder) / name, quick))
            except BenchError as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)
                failed += 1
            except Exception:  # the other cases are still worth measuring
                traceback.print_exc()
                failed += 1
            print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(lines(told)))
    _merge(wanted, told | _circumstances(quick))
    return 1 if failed else 0


def _circumstances(quick: bool) -> Figures:
    """What the figures were measured on."""
    peers = {f"version.peer.{name}": number for name, number in peer_versions().items()}
    ours = {f"version.{name}": version(name) for name in ("bentoml", "onnxruntime", "pillow")}
    return {"cpus": cpus(), "quick": int(quick), "seed": SEED, **ours, **peers}


def _merge(cases: list[str], figures: Figures) -> None:
    """Into the JSON; what it held of the cases that were just run is forgotten."""
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    ran = (*(f"{case}." for case in cases), *(("rss_mb.",) if "tiny_png" in cases else ()))
    kept = {key: value for key, value in kept.items() if not key.startswith(ran)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(kept | figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

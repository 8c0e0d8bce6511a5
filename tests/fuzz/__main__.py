"""Feed everything that reads what strangers send: `python -m tests.fuzz [--inputs N] [--seed S]`.

First functions in this process, then a live service over HTTP, then, where `.venv-fuzz` is, schemathesis
over the live service's OpenAPI document. Writes `runs/fuzz/serving.json`; inputs that went wrong are
kept in `runs/fuzz/failures/`, and the exit code is 1. The same seed makes the same inputs; `--again
INDEX` feeds one of the first kind once more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.serving.processes import ROOT
from tests.bench.serving.servers import assay, cpus
from tests.fuzz.asks import ADMIN_KEY
from tests.fuzz.contract import contract
from tests.fuzz.findings import Tally
from tests.fuzz.live import SETTINGS, Loaded, load
from tests.fuzz.served import repository
from tests.fuzz.workers import again, spread

OUT = ROOT / "runs" / "fuzz"
INPUTS, SEED = 500_000, 20261125
OVER_HTTP = 0.08  # of the inputs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="how many (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="the same, the same inputs (default: %(default)s)"
    )
    parser.add_argument(
        "--again", type=int, metavar="INDEX", help="feed this one once more, and nothing else"
    )
    options = parser.parse_args()
    if options.again is not None:
        again(options.seed, options.again)
        return 0
    failures = OUT / "failures"
    shutil.rmtree(failures, ignore_errors=True)
    began = time.monotonic()
    wired = int(options.inputs * OVER_HTTP)
    fed = options.inputs - wired
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        tally = spread(options.seed, fed, failures, cpus(), _saying("in process", fed))
        keys = folder / "keys"
        keys.write_text(f"{ADMIN_KEY}\n")
        served = repository(folder / "repository")
        with assay(served, folder / "home", port=None, admin_keys_file=keys, **SETTINGS) as process:
            loaded = load(process, options.seed, wired, failures, _saying("over HTTP", wired))
        checked = contract(folder, options.seed, options.inputs)
    tally.add(loaded.tally)
    figures = _figures(tally, loaded) | checked
    figures |= {"seed": options.seed, "seconds": round(time.monotonic() - began, 1)}
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "serving.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 1 if any(figures[name] for name in WRONG if name in figures) else 0


WRONG = (
    "responses_500",
    "hangs",
    "unexpected_exceptions",
    "crashes",
    "wrong_shapes",
    "unanswered",
    "dead",
    "schemathesis_failures",
)


def _figures(tally: Tally, loaded: Loaded) -> dict[str, float]:
    """Flat: what must be 0 first, then how deep the inputs got."""
    told: dict[str, float] = {
        "inputs": tally.inputs,
        "responses_500": tally.count("status_500"),
        "hangs": tally.count("hang"),
        "unexpected_exceptions": tally.count("exception"),
        "crashes": tally.count("crash"),
        "wrong_shapes": tally.count("wrong_shape"),
        "unanswered": tally.count("unanswered"),
        "dead": tally.count("dead"),
    }
    told |= {f"ended.{name}": count for name, count in sorted(tally.ended.items())}
    told |= {f"status.{status}": count for status, count in sorted(loaded.statuses.items())}
    return told | {f"slowest_ms.{name}": round(s * 1e3, 1) for name, (s, _) in sorted(tally.slowest.items())}


def _saying(what: str, total: int) -> Callable[[int], None]:
    """One line that is written over where somebody watches, and now and then where nobody does."""
    watched, last = sys.stderr.isatty(), 0.0

    def said(count: int) -> None:
        nonlocal last
        if watched or time.monotonic() - last > 15 or count >= total:
            last = time.monotonic()
            end = "\n" if not watched or count >= total else ""
            print(
                f"\r{what}: {count} of {total}"[0 if watched else 1 :], end=end, file=sys.stderr, flush=True
            )

    return said


if __name__ == "__main__":
    sys.exit(main())

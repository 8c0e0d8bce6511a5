"""Load a live service with everything at once: `python -m tests.fuzz.soak [--minutes 30]`.

Right requests and wrong ones, uploads that break off, versions that come and go, unknown paths, scrapes;
meanwhile the memory of the whole process tree is looked at once a second. Writes
`runs/soak/serving.json` and the samples beside it. `QUICK=1` in the environment makes it 2 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import sys
import tempfile
from dataclasses import astuple
from pathlib import Path

from tests.bench.serving.processes import ROOT
from tests.bench.serving.servers import assay
from tests.fuzz.asks import ADMIN_KEY
from tests.fuzz.served import repository
from tests.fuzz.soak.load import Load, Plan
from tests.fuzz.soak.probe import means

OUT = ROOT / "runs" / "soak"
MINUTES, QUICK_MINUTES, SEED, RATE = 30.0, 2.0, 20261125, 150.0
MOST_GROWTH, MOST_MORE = 0.10, 8  # of memory, as a share; of files and of threads
SETTLED_MINUTES = 10.0  # a shorter run ends before the allocator has what it needs; its memory is only told
SETTINGS = {"timeout_s": 3, "header_timeout_s": 1}


def main() -> int:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.soak", description=__doc__)
    minutes = QUICK_MINUTES if quick else MINUTES
    parser.add_argument("--minutes", type=float, default=minutes, help="how long (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the requests (default: %(default)s)")
    options = parser.parse_args()
    plan = Plan(options.minutes * 60, options.rate, options.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        keys, live = folder / "keys", repository(folder / "live")
        keys.write_text(f"{ADMIN_KEY}\n")
        with assay(live, folder / "home", poll_s=1, port=None, admin_keys_file=keys, **SETTINGS) as process:
            load = Load(process, plan, live, folder / "staged")
            asyncio.run(load.run())
            alive = process.popen.poll() is None
            told = process.told()
    figures = _figures(load, plan)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "serving.json").write_text(json.dumps(figures, indent=2) + "\n")
    with (OUT / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("second", "rss_mb", "fds", "threads"))
        writer.writerows((second, *astuple(sample)) for second, sample in enumerate(load.samples))
    print(json.dumps(figures, indent=2))
    for trouble in load.troubles[:20]:
        print(trouble, file=sys.stderr)
    if not alive:
        print(f"the service has ended:\n{told}", file=sys.stderr)
    return 0 if alive and _is_steady(figures) else 1


def _figures(load: Load, plan: Plan) -> dict[str, float]:
    start_mb, end_mb = means([sample.rss_mb for sample in load.samples], plan.warm)
    first, last = load.quiet
    return {
        "minutes": round(plan.seconds / 60, 2),
        "memory_growth": round(end_mb / start_mb - 1, 4),
        "requests": sum(load.asked.values()),
        "failed": sum(load.failed.values()),
        "rss_start_mb": round(start_mb, 1),
        "rss_end_mb": round(end_mb, 1),
        "rss_peak_mb": round(max(sample.rss_mb for sample in load.samples), 1),
        "fds_growth": last.fds - first.fds,
        "threads_growth": last.threads - first.threads,
        "swaps": load.swaps,
        **{f"asked.{kind}": count for kind, count in sorted(load.asked.items())},
        **{f"failed.{kind}": count for kind, count in sorted(load.failed.items())},
        "seed": plan.seed,
    }


def _is_steady(figures: dict[str, float]) -> bool:
    more = max(figures["fds_growth"], figures["threads_growth"])
    grown = figures["minutes"] >= SETTLED_MINUTES and figures["memory_growth"] > MOST_GROWTH
    return not figures["failed"] and not grown and more <= MOST_MORE


if __name__ == "__main__":
    sys.exit(main())

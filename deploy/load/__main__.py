"""Find the highest rate a running service serves within an SLO: `python -m deploy.load URL`.

Every probe is a run of Locust in an open loop. Arguments this command does not know are Locust's and the
locustfile's: the classes of the mix, `--models`, `--slo-error-share` ... `--out` gets `search.json`, of each
rate `probes/<rate>/` with `figures.json`, `load.html`, `load.json` and `load_*.csv`, and those of the rate
that was found once more.

Exit codes: 0 found, 1 not even the lowest rate keeps the SLO, 3 inconclusive: the generator or `--high` was
the limit, not the service.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from deploy.load.promise import BROKEN, Verdict, is_near
from deploy.load.search import Found, highest

__all__ = ["main"]

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
LEAST_REQUESTS = 150  # a probe is longer where the rate is low: fewer say nothing about 99 % of them


def main(words: Sequence[str] | None = None) -> int:
    """Search, print and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m deploy.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--slo-p99-ms", type=float, default=500.0, help="most milliseconds for 99 %%")
    parser.add_argument("--low", type=float, default=5.0, help="first rate, requests a second")
    parser.add_argument("--high", type=float, default=2000.0, help="no rate above it is asked")
    parser.add_argument("--tolerance", type=float, default=0.05, help="of the rate, as a share")
    parser.add_argument("--seconds", type=int, default=8, help="of a probe")
    parser.add_argument("--workers", type=int, default=1, help="processes of Locust; 1 is no workers")
    parser.add_argument("--out", type=Path, default=Path("runs/load"))
    told, others = parser.parse_known_args(words)
    if not is_near(told.url) and "--allow-host" not in others:
        parser.error(f"load goes to this machine only, got {told.url}; see --allow-host")
    shutil.rmtree(told.out / "probes", ignore_errors=True)

    def probe(rate: float) -> Verdict:
        verdict, figures = _run(told, others, rate)
        p99, lag = figures.get("p99_ms"), figures.get("lag_p99_ms")
        print(f"{rate:8.1f}/s  p99 {p99} ms  lag {lag} ms  {verdict}", flush=True)  # noqa: T201
        return verdict

    found = highest(probe, low=told.low, high=told.high, tolerance=told.tolerance)
    shutil.copytree(_folder(told, found.rate or found.limit or told.low), told.out, dirs_exist_ok=True)
    (told.out / "search.json").write_text(json.dumps(_plain(found), indent=1) + "\n", encoding="utf-8")
    print(_line(found, told.slo_p99_ms))  # noqa: T201
    return found.verdict.code


def _folder(told: argparse.Namespace, rate: float) -> Path:
    """Where the last probe of a rate is told."""
    folder: Path = told.out / "probes" / f"{rate:.2f}"
    return folder


def _run(told: argparse.Namespace, others: Sequence[str], rate: float) -> tuple[Verdict, dict[str, object]]:
    """One probe: a run of Locust, and what it came to."""
    seconds, streams = max(told.seconds, math.ceil(LEAST_REQUESTS / rate)), max(4, told.workers)
    folder = _folder(told, rate)
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / "figures.json"
    figures.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", told.url,
        "-u", str(streams), "-r", str(streams), "-t", f"{seconds}s", "--rate", str(rate), "--only-summary",
        "--slo-p99-ms", str(told.slo_p99_ms), "--figures", str(figures), "--csv", str(folder / "load"),
        "--html", str(folder / "load.html"), "--json-file", str(folder / "load"),
        *(_spread(told.workers) if told.workers > 1 else []), *others,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603  # our own words
    if not figures.exists():
        raise SystemExit(f"Locust did not run: {(done.stderr or done.stdout)[-2000:]}")
    known = json.loads(figures.read_text(encoding="utf-8"))
    return Verdict(known["exit_code"], known["verdict"].partition(": ")[2]), known


def _spread(workers: int) -> list[str]:
    """Words for a master and its workers on this machine, that nobody else can reach."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    bound = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    return ["--processes", str(workers), *bound]


def _plain(found: Found) -> dict[str, object]:
    return asdict(found) | {"probes": [{"rate": rate, **asdict(each)} for rate, each in found.probes]}


def _line(found: Found, p99_ms: float) -> str:
    if found.verdict.code == BROKEN or found.rate is None:
        return f"not even {found.limit:g}/s keeps 99 % within {p99_ms:g} ms: {found.verdict.why}"
    above = f"not {found.limit:.1f}/s" if found.limit is not None else "nothing above was asked"
    return f"{found.rate:.1f}/s keep 99 % within {p99_ms:g} ms, {above}" + (
        f"; inconclusive: {found.verdict.why}" if found.verdict.code else ""
    )


if __name__ == "__main__":
    sys.exit(main())

"""`make load` held against what the service can do, and what an open loop sees that a closed one does not."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deploy.load.payloads import asks
from eval.served import ROOT
from tests.bench.deploy.pinned import CORES, ZOO, served_on_one_core
from tests.bench.serving.answers import Ask
from tests.bench.serving.load import closed_loop
from tests.bench.serving.processes import BenchError
from tests.deploy.loaded import locust, workers
from tests.deploy.stalling import Stalling, stalling

__all__ = ["measure"]

MODEL, KIND = "imagenet", "file"  # a JPEG as the whole body
ROUNDS, CLOSED_S, CONNECTIONS = 2, 5, 16
SEARCH = ("--low", "40", "--high", "2000", "--seconds", "8", "--tolerance", "0.05", "--slo-p99-ms", "500")
AFTER_S, STALL_S, RUN_S, RATE = 3.0, 2.0, 5, 40


def _capacity(url: str) -> float:
    """Answers a second in a closed loop over enough connections, by wrk."""
    one = asks("/classify", MODEL, KIND, count=1, seed=0)[0]
    sent = Ask(one.path, one.data, dict(one.headers))
    speed = closed_loop(url, sent, connections=CONNECTIONS, seconds=CLOSED_S)
    if speed.errors:
        raise BenchError(f"{speed.errors} requests of the closed loop failed")
    return speed.rps


def _search(url: str, out: Path) -> float:
    """What `make load` finds for the same requests."""
    models = ",".join([MODEL, "scenes-detector", "scenes-segmenter"])
    mix = ("--only", f"/classify {KIND}", "--models", models, "Protocol")
    command = [sys.executable, "-m", "deploy.load", url, "--out", str(out), *SEARCH, *mix]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout, end="", flush=True)
    found = json.loads((out / "search.json").read_text()) if (out / "search.json").exists() else {}
    if not found.get("rate"):
        raise BenchError(f"the search found nothing: {done.stdout[-300:]}{done.stderr[-300:]}")
    return float(found["rate"])


def _against_the_bench(folder: Path) -> dict[str, float | int | None]:
    """Search and closed loop in turn, on one live service; `bench` is the mean of before and after."""
    names = ("load.max_rate_vs_bench", "load.max_rate_rps", "load.bench_rps")
    if why := _missing():
        print(f"load.max_rate_vs_bench: {why}", file=sys.stderr)
        return dict.fromkeys(names)
    rounds = []
    with served_on_one_core(folder, MODEL) as server:
        _capacity(server.url)  # warm
        before = _capacity(server.url)
        for _ in range(ROUNDS):
            rate = _search(server.url, folder / "search")
            after = _capacity(server.url)
            bench, before = (before + after) / 2, after
            print(f"search {rate:.1f}/s, closed loop {bench:.1f}/s, {rate / bench:.3f}", flush=True)
            rounds.append((rate / bench, rate, bench))
    return dict(zip(names, map(statistics.median, zip(*rounds, strict=True)), strict=True))


def _missing() -> str:
    if len(CORES) < 2:
        return "server and generator need a core each"
    if shutil.which("wrk") is None:
        return "wrk is not installed (Debian's package `wrk`)"
    return "" if (ZOO / MODEL).is_dir() else f"{MODEL} is not built (`assay-models get {MODEL}`)"


def _stalled(folder: Path, *options: str) -> tuple[dict[str, Any], int]:
    """Figures of a run over a planted stall, and the requests that really came."""
    with stalling(Stalling(after_s=AFTER_S, stall_s=STALL_S, pause_s=0.005)) as server:
        done, told = locust(server.url, folder, *options, "--slo-p99-ms", "500", "Classifier", seconds=RUN_S)
    if not told:
        raise BenchError(f"Locust did not run: {done.stderr[-500:]}")
    return told, server.asked


def _over_a_stall(folder: Path) -> dict[str, float | int | None]:
    """The same stall of two seconds, seen by users who wait, and by requests that are due, of two workers."""
    with ThreadPoolExecutor() as both:
        closed = both.submit(_stalled, folder / "closed")
        opened = both.submit(_stalled, folder / "open", "--rate", str(RATE), *workers(2))
        (hidden, _), (shown, came) = closed.result(), opened.result()
    by_locust = sum(row["num_requests"] for row in json.loads((folder / "open" / "load.json").read_text()))
    return {
        "load.open_loop_p99_ms": shown["p99_ms"],
        "load.closed_loop_p99_ms": hidden["p99_ms"],
        "load.stall_seen_open": int(shown["p99_ms"] > STALL_S * 500),
        "load.stall_hidden_closed": int(hidden["p99_ms"] < STALL_S * 100),
        "load.workers": shown["workers"],
        "load.lost_or_doubled": abs(came - shown["requests"]) + abs(came - by_locust),
    }


def measure() -> dict[str, float | int | None]:
    """`load.max_rate_vs_bench`: the rate found over what a closed loop gets, the median of the rounds."""
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        return {**_over_a_stall(Path(folder)), **_against_the_bench(Path(folder))}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

"""Three times as much as the service can do: how much of what it can do it still does, and how it refuses."""

from __future__ import annotations

import time

import numpy as np

from tests.bench.serving.answers import as_picture
from tests.bench.serving.load import closed_loop
from tests.bench.serving.nets import SEED
from tests.bench.serving.openloop import Orders, Outcome, open_loop
from tests.bench.serving.plan import Plan, scores_of
from tests.bench.serving.processes import BenchError
from tests.bench.serving.rounds import Figures
from tests.bench.serving.servers import Server, assay, infer_path

__all__ = ["overload"]

TIMES, DEADLINE_S, MAX_WAITING, CONNECTIONS = 3, 1.0, 32, 16
SETTLE_S = 2.0


def overload(plan: Plan) -> Figures:
    """Capacity in a closed loop, then Poisson arrivals at three times that."""
    version, jpeg = plan.material.resnet18, plan.material.jpeg640
    wire = plan.folder / "overload.wire"
    seconds = plan.seconds(60, 10)
    root = version.folder.parents[1]
    with assay(root, plan.home(), timeout_s=DEADLINE_S, max_waiting=MAX_WAITING) as process:
        server = Server("assay", process, as_picture(infer_path(version), jpeg, raw=True))
        server.must_answer(int(scores_of(version, jpeg).argmax()))
        _capacity(server, plan.seconds(2, 1))  # warm
        before_it = _capacity(server, plan.seconds(10, 3))
        wire.write_bytes(server.ask.on_wire("127.0.0.1"))
        before = process.rss_mb()
        rate = TIMES * before_it
        outcome = open_loop(Orders(process.port, str(wire), rate, seconds, DEADLINE_S, SEED))
        time.sleep(SETTLE_S)
        growth = process.rss_mb() / before - 1
        after_it = _capacity(server, plan.seconds(10, 3))
    # The better of the two: a slow moment of the machine must not flatter the ratio.
    capacity = max(before_it, after_it)
    told = _told(outcome)
    told["capacity_rps"], told["offered_rps"] = capacity, rate
    told["goodput_ratio"] = outcome.good / seconds / capacity
    told["rss_growth"] = growth
    return {f"overload.{name}": value for name, value in told.items()}


def _capacity(server: Server, seconds: float) -> float:
    """Requests/s in a closed loop."""
    speed = closed_loop(server.process.url, server.ask, connections=CONNECTIONS, seconds=seconds)
    if speed.errors:
        raise BenchError(f"{speed.errors} requests failed without any overload")
    return speed.rps


def _told(outcome: Outcome) -> Figures:
    """Percentiles are left out where there was nothing to take them of."""
    told: Figures = {
        "deadline_ms": DEADLINE_S * 1e3,
        "accepted": len(outcome.accepted_s),
        "refused": len(outcome.refused_s),
        "unanswered": outcome.statuses["0"],
        "errors_not_503": sum(n for s, n in outcome.statuses.items() if int(s) >= 500 and int(s) != 503),
        "refusals_without_retry_after": outcome.without_retry_after,
    }
    for name, seconds in (("accepted", outcome.accepted_s), ("refusal", outcome.refused_s)):
        if seconds:
            told[f"{name}_p99_ms"] = float(np.percentile(seconds, 99)) * 1e3
    return told | {f"status_{status}": count for status, count in outcome.statuses.items() if status != "0"}

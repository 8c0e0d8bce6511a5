"""Counts of a run that merge over workers without loss: latencies to three digits, failures, pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["Tally", "bucket", "percentile"]

CLOCKS = ("latency", "service", "lag")


def bucket(ms: float) -> int:
    """Microseconds, rounded up to three digits: a percentile is never told smaller than it is."""
    us = max(0, math.ceil(ms * 1000))
    step: int = 10 ** max(0, len(str(us)) - 3)
    return -(-us // step) * step


def percentile(counts: Mapping[int, int], q: float) -> float | None:
    """The least value, milliseconds, that a share `q` of all does not exceed; None of nothing."""
    rank, seen = math.ceil(q * sum(counts.values()) - 1e-9), 0
    for us in sorted(counts):
        seen += counts[us]
        if seen >= max(rank, 1):
            return us / 1000
    return None


class Tally:
    """What happened to every request of a run.

    Three clocks: `latency` from the moment the request was due (open loop) or sent (closed loop) to its
    answer; `service` from the moment it was sent; `lag` from due to sent, which is the generator's own delay.
    Latencies are those of right answers; what failed is counted apart.
    """

    def __init__(self) -> None:
        self.clocks: dict[str, Counter[int]] = {name: Counter() for name in CLOCKS}
        self.requests = self.failures = self.images = 0
        self.span: list[float] = []  # first due, last due, last answer; seconds since the epoch

    def add(self, *, due: float, latency_ms: float, lag_ms: float, images: int, failed: bool) -> None:
        """Count one request that was due at `due`, seconds since the epoch."""
        self.requests += 1
        self.clocks["lag"][bucket(lag_ms)] += 1
        self._widen(due, due, due + latency_ms / 1000)
        if failed:
            self.failures += 1
            return
        self.images += images
        self.clocks["latency"][bucket(latency_ms)] += 1
        self.clocks["service"][bucket(latency_ms - lag_ms)] += 1

    def _widen(self, first: float, last: float, end: float) -> None:
        old = self.span or [first, last, end]
        self.span = [min(first, old[0]), max(last, old[1]), max(end, old[2])]

    def taken(self) -> dict[str, Any]:
        """All counts, as plain values to be sent; they are none here afterwards."""
        told = {
            "clocks": {name: dict(counts) for name, counts in self.clocks.items()},
            "counts": [self.requests, self.failures, self.images],
            "span": self.span,
        }
        vars(self).update(vars(Tally()))
        return told

    def merge(self, told: Mapping[str, Any]) -> None:
        """Add what another has `taken`."""
        for name, counts in told["clocks"].items():
            self.clocks[name].update({int(us): n for us, n in counts.items()})
        requests, failures, images = told["counts"]
        self.requests, self.failures = self.requests + requests, self.failures + failures
        self.images += images
        if told["span"]:
            self._widen(*told["span"])

    def figures(self, *, within_ms: float) -> dict[str, float | None]:
        """Flat figures; `goodput_rps` counts right answers that took at most `within_ms`."""
        latency = self.clocks["latency"]
        good = sum(n for us, n in latency.items() if us <= within_ms * 1000)
        first, last, end = self.span or (0.0, 0.0, 0.0)
        seconds = end - first

        def a_second(count: int) -> float | None:
            return count / seconds if seconds > 0 else None

        return {
            "requests": self.requests,
            "failures": self.failures,
            "images": self.images,
            "error_share": self.failures / self.requests if self.requests else None,
            "seconds": seconds,
            "sending_seconds": last - first,
            "rps": a_second(self.requests - self.failures),
            "images_per_s": a_second(self.images),
            "goodput_rps": a_second(good),
            "p50_ms": percentile(latency, 0.5),
            "p90_ms": percentile(latency, 0.9),
            "p99_ms": percentile(latency, 0.99),
            "p999_ms": percentile(latency, 0.999),
            "max_ms": percentile(latency, 1.0),
            "service_p99_ms": percentile(self.clocks["service"], 0.99),
            "lag_p99_ms": percentile(self.clocks["lag"], 0.99),
        }

"""The highest rate that keeps a promise, found by doubling and halving. Each probe is a run of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.load.promise import BROKEN, INCONCLUSIVE, KEPT, Verdict

__all__ = ["Found", "highest"]


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate that kept the promise twice, and the lowest above it that did not.

    `rate` is None where even the lowest did not keep it; `limit` is None where nothing broke it. `verdict`
    says whether to believe it: inconclusive where the generator, not the service, was the limit.
    """

    rate: float | None
    limit: float | None
    verdict: Verdict
    probes: list[tuple[float, Verdict]] = field(default_factory=list)


def highest(probe: Callable[[float], Verdict], *, low: float, high: float, tolerance: float = 0.05) -> Found:
    """Find the highest rate between `low` and `high` that keeps the promise, to `tolerance` of itself.

    A rate counts as kept when it was kept twice, as chance lets a rate at the edge pass once. An inconclusive
    probe is an upper end too, but of the generator.

    Args:
        probe: runs one rate, requests a second.
    """
    if not 0 < low <= high or not 0 < tolerance < 1:
        raise ValueError(f"must be 0 < low <= high and 0 < tolerance < 1, got {low}, {high}, {tolerance}")
    probes: list[tuple[float, Verdict]] = []

    def passed(rate: float) -> bool:
        probes.append((rate, probe(rate)))
        return probes[-1][1].code == KEPT

    good, bad = 0.0, math.inf
    while bad > low:
        between = bad > good * (1 + tolerance) and good != high
        if between:
            rate = min(high, 2 * good or low) if bad == math.inf else math.sqrt(good * bad)
            good, bad = (rate, bad) if passed(rate) else (good, rate)
        elif sum(rate == good for rate, _ in probes) > 1:
            break
        elif not passed(good):  # it had passed by luck
            good, bad = max((r for r, v in probes if v.code == KEPT and r < good), default=0.0), good
    return _found(good, bad, probes)


def _found(good: float, bad: float, probes: list[tuple[float, Verdict]]) -> Found:
    limits = [v for rate, v in probes if rate == bad and v.code != KEPT]
    if not good:
        return Found(None, bad, limits[-1], probes)
    if bad == math.inf:
        return Found(good, None, Verdict(INCONCLUSIVE, f"kept at {good:g}/s, the highest asked"), probes)
    if limits[-1].code != BROKEN:
        return Found(good, bad, Verdict(INCONCLUSIVE, f"at {bad:g}/s {limits[-1].why}"), probes)
    return Found(good, bad, Verdict(KEPT, ""), probes)

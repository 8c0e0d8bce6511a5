"""The highest rate that keeps a promise, found by doubling and halving. Each probe is a run of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.load.promise import BROKEN, INCONCLUSIVE, KEPT, Verdict

__all__ = ["Found", "highest"]

Probes = Sequence[tuple[float, Verdict]]


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate that kept the promise twice, and the lowest above it that twice did not.

    `rate` is None where even the lowest did not keep it; `limit` is None where nothing broke it. `verdict`
    says whether to believe it: inconclusive where the generator, not the service, was the limit.
    """

    rate: float | None
    limit: float | None
    verdict: Verdict
    probes: list[tuple[float, Verdict]] = field(default_factory=list)


def highest(probe: Callable[[float], Verdict], *, low: float, high: float, tolerance: float = 0.05) -> Found:
    """Find the highest rate between `low` and `high` that keeps the promise, to `tolerance` of itself.

    Chance lets a rate at the edge pass once, and a moment of a busy machine breaks one far below it, so both
    ends of what is left are asked until two probes of three agree. An inconclusive probe is repeated at once;
    two are an upper end too, but of the generator.

    Args:
        probe: runs one rate, requests a second.
    """
    if not 0 < low <= high or not 0 < tolerance < 1:
        raise ValueError(f"must be 0 < low <= high and 0 < tolerance < 1, got {low}, {high}, {tolerance}")
    probes: list[tuple[float, Verdict]] = []
    while True:
        good, bad = _ends(probes)
        wide = bad > good * (1 + tolerance) and good != high
        if wide and (good or bad == math.inf):
            rate = min(high, 2 * good or low) if bad == math.inf else math.sqrt(good * bad)
            probes.append((rate, probe(rate)))
            if probes[-1][1].code == INCONCLUSIVE:  # it told nothing of the service
                probes.append((rate, probe(rate)))
            continue
        doubtful = [rate for rate in (good, bad) if 0 < rate < math.inf and not _settled(probes, rate)]
        if not doubtful:
            return _found(good, bad, probes)
        while not _settled(probes, doubtful[0]):
            probes.append((doubtful[0], probe(doubtful[0])))


def _votes(probes: Probes, rate: float) -> tuple[int, int]:
    """How often a rate kept the promise, and how often it did not."""
    codes = [verdict.code == KEPT for asked, verdict in probes if asked == rate]
    return sum(codes), len(codes) - sum(codes)


def _settled(probes: Probes, rate: float) -> bool:
    return max(_votes(probes, rate)) > 1


def _ends(probes: Probes) -> tuple[float, float]:
    """The highest rate that is kept, and the lowest above it that is not; 0 and infinity where none is."""
    votes = {rate: _votes(probes, rate) for rate, _ in probes}
    good = max((rate for rate, (kept, broken) in votes.items() if kept > broken), default=0.0)
    return good, min(
        (r for r, (kept, broken) in votes.items() if broken > kept and r > good), default=math.inf
    )


def _found(good: float, bad: float, probes: list[tuple[float, Verdict]]) -> Found:
    limits = [v for rate, v in probes if rate == bad and v.code != KEPT]
    if not good:
        return Found(None, bad, limits[-1], probes)
    if bad == math.inf:
        return Found(good, None, Verdict(INCONCLUSIVE, f"kept at {good:g}/s, the highest asked"), probes)
    if not any(verdict.code == BROKEN for verdict in limits):
        return Found(good, bad, Verdict(INCONCLUSIVE, f"at {bad:g}/s {limits[-1].why}"), probes)
    return Found(good, bad, Verdict(KEPT, ""), probes)

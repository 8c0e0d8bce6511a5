"""May it be kept? Non-inferior in score, faster, and not shown to be less robust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.metrics.paired import SCORES, Difference
from eval.optimise.evidence import Evidence
from models.card import TaskName

__all__ = ["Verdict", "best", "judge", "not_inferior"]

# As fast as the fastest: not more than a twentieth slower in at least a quarter of the rounds.
AS_FAST, OFTEN = 0.95, 0.25
STEADY = 0.75  # share of the rounds in which a faster one is ahead


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate may be kept, and why or why not."""

    passed: bool
    reason: str


def not_inferior(difference: Difference, margin: float) -> bool:
    """Whether the lower bound of the paired 95 % interval lies above -margin."""
    return difference.low is not None and difference.low > -margin


def judge(task: TaskName, one: Evidence, base: Evidence, *, margin: float, faster: float) -> Verdict:
    """One candidate against fp32.

    A drop in robustness refuses where it is shown (the whole interval below zero); that it is absent
    would take more attacked pictures than a run can afford, and the table says what was measured.
    """
    score, ratio = SCORES[task], one.speed.ratio(base.speed)
    difference = one.difference
    if difference is None:
        return Verdict(False, "what the others are compared with")
    if difference.value is None or difference.low is None:
        return Verdict(False, f"{score} is undefined on these {difference.support} images")
    told = f"{score} {difference.value:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f}"
    if not not_inferior(difference, margin):
        worse = difference.high is not None and difference.high < 0
        why = "it is worse" if worse else f"{difference.support} images cannot exclude it"
        return Verdict(False, f"{told}: the lower bound must be above {-margin:g}, {why}")
    times = one.speed.times(base.speed)
    ahead = sum(ratio > 1 for ratio in times)
    if ratio < faster or ahead < STEADY * len(times):
        told = f"{ratio:.2f} x, ahead in {ahead} of {len(times)} rounds"
        return Verdict(False, f"not faster: {told}; must be {faster:g} x, and ahead in three of four")
    if one.robust is not None and base.robust is not None:
        robust = one.robust.against(base.robust)
        if robust.high is not None and robust.high < 0:
            return Verdict(
                False, f"less robust: {robust.value:+.4f}, 95 % {robust.low:+.4f} to {robust.high:+.4f}"
            )
    return Verdict(True, f"{ratio:.2f} x; {told}")


def best(evidence: Sequence[Evidence], verdicts: Sequence[Verdict], base: Evidence) -> Evidence | None:
    """Of those that passed, the fastest; among those not clearly slower than it, the one with the best score.

    Candidates that differ only in their numbers are equally fast; which of them comes out ahead is noise.
    """
    passed = [e for e, verdict in zip(evidence, verdicts, strict=True) if verdict.passed]
    if not passed:
        return None
    top = max(passed, key=lambda e: e.speed.ratio(base.speed))

    def keeps_up(one: Evidence) -> bool:
        times = one.speed.times(top.speed)
        return sum(ratio >= AS_FAST for ratio in times) >= OFTEN * len(times)

    near = [e for e in passed if keeps_up(e)]
    return max(near, key=lambda e: (e.score.value or 0.0, -(e.ece or 0.0), -e.size_bytes))

"""Does more room help the attack, and is nothing left standing where there is room for everything?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from eval.attacks.goals.classification import Untargeted
from eval.attacks.results import AttackResult
from eval.checks.flag import Flag, flag
from eval.checks.kinds import answered, significant
from eval.metrics.intervals import wilson

__all__ = ["curve_flags"]

GREY = 128  # levels, from which every picture can be made grey


def curve_flags(curve: Sequence[AttackResult]) -> list[Flag]:
    """*curve_not_monotone* and *chance_not_reached*, of one attack within several epsilons, the same samples.

    Points of L-infinity and of another norm may be mixed; only those of one norm are held against each other.
    """
    points = sorted(curve, key=lambda result: (result.threat.norm, result.threat.epsilon))
    return [_monotone(points), _chance(points)]


def _monotone(points: list[AttackResult]) -> Flag:
    steps = [(a, b) for a, b in pairwise(points) if a.threat.norm == b.threat.norm and len(a) == len(b)]
    if not steps:
        return flag("curve_not_monotone", None, "needs the same attack within two epsilons")
    found = []
    for near, far in steps:
        asked = answered([near, far])
        lost = int((near.fooled & ~far.fooled & asked).sum())
        gained = int((far.fooled & ~near.fooled & asked).sum())
        if significant(lost, gained, len(steps)):
            found.append(
                f"from epsilon {near.threat.epsilon:g} to {far.threat.epsilon:g}, {lost} samples stand again "
                f"and {gained} fall"
            )
    spoken = ", ".join(f"{float(p.fooled.sum()):g} at {p.threat.epsilon:g}" for p in points)
    return flag("curve_not_monotone", bool(found), "; ".join(found) or f"fooled {spoken}")


def _chance(points: list[AttackResult]) -> Flag:
    name = "chance_not_reached"
    wide = [p for p in points if p.threat.norm == "linf" and p.threat.epsilon >= GREY and len(p)]
    if not wide:
        return flag(name, None, f"no attack ran within {GREY} levels")
    last = wide[-1]
    if (last.labels < 0).any() or last.goal != Untargeted.name:
        return flag(name, None, "chance is known of classifiers and any wrong class only")
    asked = ~last.errors
    count, standing = int(asked.sum()), int(last.standing.sum())
    constant = int(np.bincount(last.labels[asked]).max()) if count else 0
    low, _ = wilson(standing, count)
    told = f"{standing} of {count} stand; the best constant answer gets {constant} right"
    return flag(name, count > 0 and (low or 0.0) > constant / count, told)

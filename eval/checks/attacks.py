"""What the results of attacks give away themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from eval.attacks.results import MOST_ERRORS, AttackResult, worst_case
from eval.checks.curve import curve_flags
from eval.checks.flag import Flag, flag
from eval.checks.kinds import by_decisions, sorted_out
from eval.checks.searches import search_flags
from eval.checks.twins import Proof, twin_flags
from eval.metrics.intervals import wilson
from models.results import Array

__all__ = ["Control", "attack_flags", "decisions_of"]

# Of a fragile model, and of a robust one.
Control: TypeAlias = tuple[Sequence[AttackResult], Sequence[AttackResult]]
BELOW_ZERO = ("untargeted", "targeted")  # goals that are reached where their loss is below zero


def attack_flags(
    results: Sequence[AttackResult],
    *,
    curve: Sequence[AttackResult] = (),
    partial: bool = False,
    proof: Proof | None = None,
    control: Control | None = None,
) -> list[Flag]:
    """All flags of what attacks came to; what needs a thing that did not run says so.

    Args:
        results: of any goals and threats; those of one goal and one threat are on the same samples.
        curve: within several epsilons, on the same samples.
        partial: the audit ended before every attack had asked about every sample.
        proof: what the attacked twin was held against; `eval.auditing.on_twin.Proof`.
        control: the same attacks on a model known to be fragile and on one known to be robust.
    """
    groups = sorted_out(results)
    everything = [*results, *curve]
    return [
        *search_flags(groups),
        *twin_flags(groups, proof),
        _not_reverified(everything),
        _silent_success(everything),
        _errors(everything),
        flag("partial", partial, "the audit ended early" if partial else "every attack ran to its end"),
        *curve_flags(curve),
        _control(control),
    ]


def decisions_of(results: Sequence[AttackResult]) -> list[str]:
    """Names of the attacks by labels alone, for `decision_only`."""
    return list(dict.fromkeys(r.attack for r in results if by_decisions(r.attack)))


def _not_reverified(results: Sequence[AttackResult]) -> Flag:
    claimed, fooled = (sum(int(getattr(r, name).sum()) for r in results) for name in ("claimed", "fooled"))
    told = f"{fooled} of {claimed} claimed successes were successes again on the same bytes"
    return flag("not_reverified", claimed > fooled if claimed else None, told)


def _silent_success(results: Sequence[AttackResult]) -> Flag:
    """Holds by construction, as the scheduler keeps the best picture; it is counted all the same."""
    lost = [row for result in results if result.goal in BELOW_ZERO for row in _lost(result)]
    claimed = sum(int(r.claimed.sum()) for r in results)
    if not any(r.goal in BELOW_ZERO for r in results):
        told = f"{claimed} successes were seen and claimed; unclaimed ones can be told of classifiers only"
        return flag("silent_success", None, told)
    told = f"{claimed} successes were seen and claimed, {len(lost)} were seen and not claimed"
    return flag("silent_success", bool(lost), told)


def _lost(result: AttackResult) -> Iterator[int]:
    reached = result.clean_correct & ~result.errors & (result.best_loss < 0)
    inside: Array = result.distance <= result.threat.epsilon
    yield from np.flatnonzero(reached & inside & (result.claimed == 0)).tolist()


def _errors(results: Sequence[AttackResult]) -> Flag:
    failed, asked = sum(int(r.errors.sum()) for r in results), sum(map(len, results))
    told = f"{failed} of {asked} samples got no answer"
    return flag("errors", failed > MOST_ERRORS * asked if asked else None, told)


def _control(control: Control | None) -> Flag:
    name = "control_not_separated"
    if control is None or not all(control):
        return flag(name, None, "not measured in this run: no fragile and robust control were named")
    standing = [worst_case(results) for results in control]
    (_, fragile), (robust, _) = (wilson(int(s.sum()), len(s)) for s in standing)
    counts = [f"{int(s.sum())} of {len(s)}" for s in standing]
    told = f"of the fragile control {counts[0]} stand, of the robust one {counts[1]}"
    apart = fragile is not None and robust is not None and fragile < robust
    return flag(name, not apart, told)

"""Did the searches on the endpoint search?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.attacks.results import AttackResult
from eval.checks.flag import Finding, Flag, together
from eval.checks.kinds import by_decisions, by_scores, compared, is_noise, of_kind
from eval.metrics.intervals import wilson

__all__ = ["search_flags"]

FEWEST_FOOLED = 3  # by noise, before that is no accident
FEWEST_STANDING = 5  # before a share of them means something
STILL = 0.9
LATE = 0.05  # of the fall, in the last tenth of the queries; Pintor et al. 2021
MANY = 0.1  # of the standing samples


def search_flags(groups: Sequence[Sequence[AttackResult]]) -> list[Flag]:
    """*noise_as_good*, *no_progress*, *incomplete_search* and *decision_beats_score*."""
    return [
        together(
            "noise_as_good", filter(None, map(_noise_as_good, groups)), "needs a noise attack and a search"
        ),
        together("no_progress", (f for g in groups for f in _no_progress(g)), "no search by scores ran"),
        together("incomplete_search", filter(None, map(_incomplete, groups)), "no search by scores ran"),
        together(
            "decision_beats_score",
            filter(None, map(_decision_beats_score, groups)),
            "needs a search by scores and one by labels alone",
        ),
    ]


def _noise_as_good(group: Sequence[AttackResult]) -> Finding | None:
    noise, searches = of_kind(group, is_noise), of_kind(group, by_scores) + of_kind(group, by_decisions)
    if not noise or not searches:
        return None
    floor = max(int(r.fooled.sum()) for r in noise)
    best = max(searches, key=lambda r: int(r.fooled.sum()))
    fooled, left = int(best.fooled.sum()), int(best.standing.sum())
    told = f"noise fooled {floor}, the strongest search ({best.attack}) {fooled} and left {left} standing"
    return floor >= max(fooled, FEWEST_FOOLED) and left > 0, told


def _no_progress(group: Sequence[AttackResult]) -> list[Finding]:
    found: list[Finding] = []
    for result in of_kind(group, by_scores):
        kept = int(result.standing.sum())
        if kept < FEWEST_STANDING:
            found.append((None, f"{kept} samples stand, too few to tell"))
            continue
        still = int((result.best_loss >= result.start_loss)[result.standing].sum())
        told = f"{result.attack} left the loss of {still} of {kept} standing samples as it was"
        found.append((still > STILL * kept, told))
    return found


def _incomplete(group: Sequence[AttackResult]) -> Finding | None:
    searches = of_kind(group, by_scores)
    if not searches:
        return None
    best = max(searches, key=lambda r: int(r.fooled.sum()))
    kept = best.standing & (best.claimed == 0)
    count = int(kept.sum())
    if count < FEWEST_STANDING:
        return None, f"{count} samples stand, too few to tell"
    late = int((np.nan_to_num(best.late_gain[kept]) > LATE).sum())
    low, _ = wilson(late, count)
    told = f"{best.attack} was still falling for {late} of {count} standing samples when it ended"
    return (low or 0.0) > MANY, told


def _decision_beats_score(group: Sequence[AttackResult]) -> Finding | None:
    decisions, scores = of_kind(group, by_decisions), of_kind(group, by_scores)
    return compared(decisions, scores) if decisions and scores else None

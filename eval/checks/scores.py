"""Are scores whole? Searches by scores need their digits; what hides those hides weakness, not strength."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from eval.attacks.goals.classification import LEAST
from eval.checks.flag import Flag, flag
from models.results import Array, Classification, Detections, Result

__all__ = ["HIDING", "decision_only", "grid_of", "whole"]

STEPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
ENOUGH = 8  # scores strictly between 0 and 1 before anything is said of their digits
MANY = 20  # detections before the faintest says anything
FAINTEST = 0.05  # a detector that tells all tells of some below
CUT = 1e-3  # probabilities that underflow are far below
SURE = 1e-6
HIDING = ("rounded_scores", "truncated_scores", "saturated_scores")


def whole(answers: Sequence[Result]) -> list[Flag]:
    """*rounded_scores*, *truncated_scores* and *saturated_scores*, from answers to many pictures."""
    classes = [a.scores.astype(np.float32) for a in answers if isinstance(a, Classification)]
    objects = [a.scores.astype(np.float32) for a in answers if isinstance(a, Detections)]
    if not classes and not objects:
        return [flag(name, None, "a label map has no scores") for name in HIDING]
    pooled = np.concatenate(classes or objects)
    between = pooled[(pooled > 0) & (pooled < 1)]
    rounded = _rounded(between)
    if not classes:
        return [rounded, _threshold(pooled), flag("saturated_scores", None, "of classifiers only")]
    if len({len(row) for row in classes}) > 1:
        return [rounded, *(flag(n, None, "answers are not equally long") for n in HIDING[1:])]
    table = np.stack(classes)
    truncated = _truncated(table, between, bool(rounded.raised))
    hidden = rounded.raised or truncated.raised
    return [rounded, truncated, _saturated(table, bool(hidden))]


def grid_of(scores: Array) -> float | None:
    """The coarsest of 0.1, 0.01 ... 0.000001 that all float32 scores are multiples of; None for none."""
    exact = scores.astype(np.float64)
    slack = 2 * np.spacing(scores.astype(np.float32)).astype(np.float64)
    for step in STEPS:
        if (np.abs(exact - np.round(exact / step) * step) <= slack).all():
            return step
    return None


def _rounded(between: Array) -> Flag:
    if len(between) < ENOUGH:
        told = f"only {len(between)} scores lie between 0 and 1, too few to tell"
        return flag("rounded_scores", None, told)
    step = grid_of(between)
    if step is None:
        return flag("rounded_scores", False, f"{len(between)} scores are on no grid of 0.000001 or coarser")
    return flag(
        "rounded_scores", True, f"all of {len(between)} scores are multiples of {step:.6f}".rstrip("0")
    )


def _truncated(table: Array, between: Array, rounded: bool) -> Flag:
    name, count, classes = "truncated_scores", len(table), table.shape[1]
    if len(between) < ENOUGH or count < 2:
        return flag(name, None, f"only {len(between)} scores lie between 0 and 1, too few to tell")
    ordered = np.sort(table, axis=1)
    if (ordered == ordered[0]).all() and len(np.unique(table, axis=0)) > 1:
        return flag(name, True, f"all {count} answers hold the same scores, only for other classes")
    if (table == table[0]).all():
        return flag(name, True, f"all {count} answers are the same, whatever the picture")
    told = (table > 0).sum(axis=1)
    some = int((table > 0).any(axis=0).sum())
    if (told == told[0]).all() and told[0] < min(some, classes):
        return flag(name, True, f"{told[0]} of {classes} scores are told in each of {count} answers")
    least = float(table[table > 0].min())
    if not rounded and (told < classes).mean() > 0.5 and least >= CUT:
        return flag(name, True, f"no score below {least:.2g} is told, but 0")
    return flag(name, False, f"{told.min()} to {told.max()} of {classes} scores are above 0")


def _threshold(pooled: Array) -> Flag:
    if len(pooled) < MANY:
        return flag("truncated_scores", None, f"only {len(pooled)} objects were found, too few to tell")
    least = float(pooled.min())
    told = f"the faintest of {len(pooled)} objects has the score {least:.2g}"
    return flag("truncated_scores", least >= FAINTEST, told)


def _saturated(table: Array, hidden: bool) -> Flag:
    if hidden:
        return flag("saturated_scores", None, "rounded or truncated scores may only look so")
    if table.shape[1] < 2:
        return flag("saturated_scores", None, "there is one class only")
    ordered = np.sort(table, axis=1)
    flat = (ordered[:, -1] >= 1 - SURE) & (ordered[:, -2] <= LEAST)
    told = f"{int(flat.sum())} of {len(table)} answers are 1 for one class and 0 for all others"
    return flag("saturated_scores", bool(flat.mean() > 0.5), told)


def decision_only(flags: Iterable[Flag], decisions: Sequence[str]) -> str:
    """What to write beside robust accuracy where scores are hidden; empty where they are not.

    Args:
        decisions: attacks by labels alone that ran.
    """
    hidden = [one.name.replace("_", " ") for one in flags if one.raised and one.name in HIDING]
    if not hidden:
        return ""
    if not decisions:
        return (
            f"Decision-only ({', '.join(hidden)}): attacks by scores are a weak upper bound here, and none "
            "by labels alone ran, so robust accuracy is not supported."
        )
    return (
        f"Decision-only ({', '.join(hidden)}): attacks by scores are a weak upper bound here; those by "
        f"labels alone decide ({', '.join(decisions)})."
    )

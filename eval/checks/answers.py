"""How far two answers lie apart, and the same over many."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from eval.parity.differences import Apart, apart
from models.results import Classification, Result

__all__ = ["SAME", "differs", "distance", "furthest"]

SAME = 1e-4  # that still counts as the same answer: sums are taken in another order
UNLIKE = 1.0


def distance(one: Result, other: Result) -> Apart:
    """How far `other` lies from `one`.

    Classification: the Euclidean length of the change of the scores, over that of the scores; `changed` with
    the label. Else as `eval.parity.differences.apart`: the largest difference of a score or 1 - IoU between
    partners, the share of pixels of another class.
    """
    if not isinstance(one, Classification) or not isinstance(other, Classification):
        found = apart(one, other)
        return Apart(found.amount, found.changed and found.amount > SAME)
    if one.scores.shape != other.scores.shape:
        return Apart(UNLIKE, True)
    before = one.scores.astype(np.float64)
    change, length = float(np.linalg.norm(other.scores - before)), float(np.linalg.norm(before))
    return Apart(change / length if length else float(change > 0), one.label != other.label)


def differs(one: Result, other: Result) -> bool:
    """Whether these are two answers, not one."""
    found = distance(one, other)
    return found.changed or found.amount > SAME


def furthest(pairs: Iterable[tuple[Result, Result]]) -> tuple[int, int, float]:
    """Over all pairs: how many differ, how many visibly, and the largest amount."""
    found = [distance(one, other) for one, other in pairs]
    visible = sum(f.changed for f in found)
    unlike = sum(f.changed or f.amount > SAME for f in found)
    return unlike, visible, max((f.amount for f in found), default=0.0)

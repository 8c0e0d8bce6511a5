"""Is a version good enough, or better? Decided on an interval, so that too few images decide nothing."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from eval.metrics.paired import Difference

__all__ = ["Decision", "non_inferior", "superior"]

Decision: TypeAlias = Literal["pass", "fail", "inconclusive"]


def non_inferior(difference: Difference, margin: float) -> Decision:
    """Whether the first version is at most `margin` worse than the second.

    `pass` if the whole interval lies above -margin, `fail` if it lies below, else `inconclusive`:
    that no difference was found does not show that there is none. With the 95 % interval a version that
    is worse by the margin passes in one of forty runs. Scores of which less is better are turned round.

    Args:
        margin: in units of the score, not negative; 0.01 lets one in a hundred go.

    Raises:
        ValueError: the margin is negative or not a number.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be a number not below 0, got {margin}")
    return _above(difference, -margin)


def superior(difference: Difference, margin: float = 0.0) -> Decision:
    """Whether the first version is better than the second by more than `margin`.

    `pass` if the whole interval lies above the margin, `fail` if it lies below, else `inconclusive`.

    Raises:
        ValueError: the margin is negative or not a number.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be a number not below 0, got {margin}")
    return _above(difference, margin)


def _above(difference: Difference, line: float) -> Decision:
    low, high = difference.gain
    if low is not None and low > line:
        return "pass"
    return "fail" if high is not None and high < line else "inconclusive"

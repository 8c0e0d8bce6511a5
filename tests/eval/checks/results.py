"""Results of attacks, made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult
from eval.checks.flag import Flag

__all__ = ["made", "states"]

PICTURE = np.zeros((2, 2, 3), np.uint8)


def made(attack: str, fooled: Sequence[int] | int = 0, *, count: int = 40, **columns: Any) -> AttackResult:
    """All right when clean; `fooled` are places, or how many of the first.

    Args:
        columns: instead of what is made up; numbers stand for all rows.
    """
    rows = np.arange(count)
    fell = np.isin(rows, range(fooled) if isinstance(fooled, int) else list(fooled))
    given: dict[str, Any] = {
        "goal": "untargeted",
        "threat": Threat("linf", 8),
        "images": [PICTURE] * count,
        "answers": [None] * count,
        "labels": rows % 10,
        "predicted": rows % 10,
        "clean_correct": True,
        "claimed": fell,
        "reached": fell,
        "fooled": fell,
        "errors": False,
        "exhausted": ~fell,
        "queries": 5,
        "queries_to_fool": np.where(fell, 5, 0),
        "cache_hits": 0,
        "start_loss": 2.0,
        "best_loss": np.where(fell, -1.0, 1.0),
        "late_gain": 0.0,
        "distance": 8.0,
        **columns,
    }
    whole: dict[str, Any] = {
        name: np.full(count, value) if isinstance(value, bool | int | float) else value
        for name, value in given.items()
    }
    return AttackResult(attack, **whole)


def states(flags: Sequence[Flag]) -> dict[str, bool | None]:
    return {flag.name: flag.raised for flag in flags}

"""Audits made by hand, whose every number can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from eval.attacks.base import Attack, Dialogue, Draw, Goal, Threat
from eval.attacks.results import AttackResult, Facts, result_of
from eval.report.audited import Audited
from models.results import Array, Classification

__all__ = ["LABELS", "Plain", "audited", "result"]

LABELS = ("ape", "bee", "cat")
THREAT = Threat("linf", 8)
KINDS: dict[str, dict[str, Any]] = {
    "s": {"clean_correct": True, "exhausted": True, "distance": 8.0},
    "f": {
        "clean_correct": True,
        "claimed": True,
        "reached": True,
        "fooled": True,
        "distance": 4.0,
        "exhausted": True,
    },
    "c": {"clean_correct": True, "claimed": True},  # claimed, and right again when asked last
    "w": {"predicted": 2},
    "e": {"error": True},
}


class Plain(Attack):
    """An attack that is only a name."""

    name = "plain"
    tags = ("NISTAML.025 black-box evasion", "AML.T0043.001 black-box optimization")
    called: ClassVar[str]

    def __init__(self, name: str, *, minimises: bool = False) -> None:
        self.name, self.minimises = name, minimises  # type: ignore[misc]  # a class of its own each

    def run(self, image: Array, goal: Goal, threat: Threat, draw: Draw, budget: int) -> Dialogue:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"Plain({self.name})"


def result(
    attack: str,
    letters: str,
    *,
    truth: Sequence[int] | None = None,
    distance: Sequence[float] | None = None,
    threat: Threat = THREAT,
    goal: str = "untargeted",
    side: int = 8,
) -> AttackResult:
    """One letter a sample, as in `Standing`; `c` for a claim that did not hold. Of class 0, 1, 2, 0, ..."""
    facts = []
    for i, letter in enumerate(letters):
        label = i % 3 if truth is None else truth[i]
        told: dict[str, Any] = {"label": label, "predicted": (label + 1) % 3, "queries": 10 + i}
        told |= KINDS[letter]
        if distance is not None:
            told |= {"distance": distance[i], "reached": bool(np.isfinite(distance[i])) and letter in "sf"}
        facts.append(Facts(**told, queries_to_fool=(5 + i) * bool(told.get("fooled")), best_loss=-float(i)))
    pictures = [np.full((side, side, 3), 40 + i % 99, np.uint8) for i in range(len(letters))]
    answers = [Classification(np.array([0.2, 0.5, 0.3], np.float32)) for _ in letters]
    return result_of(attack, goal, threat, facts, pictures, answers)


def audited(*results: AttackResult, minimises: Sequence[str] = (), **more: Any) -> Audited:
    """All on the same grey pictures."""
    count = len(results[0])
    told: dict[str, Any] = {
        "title": "Audit of toy/1",
        "task": "classification",
        "attacks": [Plain(r.attack, minimises=r.attack in minimises) for r in results],
        "samples": [f"s{i}" for i in range(count)],
        "budget": 100,
        "originals": [np.full((8, 8, 3), 36 + i % 99, np.uint8) for i in range(count)],
        "labels": LABELS,
        "truths": [int(label) for label in results[0].labels],
        **more,
    }
    return Audited(results=results, **told)

"""Models that hide how weak they are: it is told, and robust accuracy is not overstated."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult, worst_case
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.checks.attacks import attack_flags, decisions_of
from eval.checks.endpoint import endpoint_flags
from eval.checks.flag import Flag
from eval.checks.scores import HIDING, decision_only
from eval.metrics.intervals import wilson
from models.results import Array
from tests.eval.checks.masked import CONTROLS, Linear, pictures

THREAT = Threat("linf", 12)
FRAGILE, ROBUST = 20, 4  # pictures, with radii of 1 to 4 and of 20 to 24 levels
SUITE = ("uniform_noise", "square", "rays")
BUDGET = 400
# What may follow from what is hidden.
CONSEQUENCES = {
    "no_progress",
    "decision_beats_score",
    "unstable_predictions",
    "not_reverified",
    "incomplete_search",
}


@dataclass(frozen=True)
class Audited:
    flags: list[Flag]
    results: list[AttackResult]

    @property
    def raised(self) -> set[str]:
        return {flag.name for flag in self.flags if flag.raised}

    def standing(self, names: Sequence[str] = SUITE) -> int:
        return int(worst_case([r for r in self.results if r.attack in names]).sum())


def drawn() -> tuple[list[Array], list[int]]:
    endpoint = Linear()
    fragile, robust = pictures(endpoint, FRAGILE, 1, 4), pictures(endpoint, ROBUST, 20, 24, seed=1)
    images, labels = fragile[0] + robust[0], fragile[1] + robust[1]
    order = np.random.default_rng(3).permutation(len(images)).tolist()
    return [images[i] for i in order], [labels[i] for i in order]


async def audit(endpoint: Any) -> Audited:
    images, labels = drawn()
    goals, ticks = untargeted(labels), itertools.count()
    flags = await endpoint_flags(endpoint, images[:8], goals[:8], THREAT, clock=lambda: next(ticks) * 0.01)
    results = [
        await attack_all(ATTACKS[name], endpoint, images, goals, threat=THREAT, limits=Limits(BUDGET), seed=0)
        for name in SUITE
    ]
    return Audited(flags + attack_flags(results), results)


@cache
def audited(name: str) -> Audited:
    """Once for all tests; "" is the model as it is."""
    return asyncio.run(audit(CONTROLS[name][0](Linear()) if name else Linear()))


def test_the_model_as_it_is_raises_nothing() -> None:
    plain = audited("")
    assert plain.raised == set()
    assert plain.standing() == ROBUST  # by closed form
    assert decision_only(plain.flags, SUITE) == ""


@pytest.mark.parametrize("name", CONTROLS)
def test_what_hides_it_is_told(name: str) -> None:
    expected = CONTROLS[name][1]
    assert expected <= audited(name).raised <= expected | CONSEQUENCES


@pytest.mark.parametrize("name", CONTROLS)
def test_robust_accuracy_is_not_overstated(name: str) -> None:
    _, most = wilson(audited("").standing(), FRAGILE + ROBUST)
    assert most is not None
    assert audited(name).standing() / (FRAGILE + ROBUST) <= most


@pytest.mark.parametrize("name", CONTROLS)
def test_hidden_scores_are_told_beside_the_number(name: str) -> None:
    found = audited(name)
    told = decision_only(found.flags, decisions_of(found.results))
    assert bool(told) == bool(CONTROLS[name][1] & set(HIDING))
    assert told.endswith("(rays).") or not told


def test_by_scores_alone_a_saturated_model_would_look_robust() -> None:
    """So the tests above can fail."""
    by_scores = audited("saturated").standing(["uniform_noise", "square"])
    low, _ = wilson(by_scores, FRAGILE + ROBUST)
    _, high = wilson(audited("").standing(), FRAGILE + ROBUST)
    assert low is not None
    assert high is not None
    assert low > high

"""On a linear model the smallest change that fools is known: no attack fools it with less."""

from __future__ import annotations

import asyncio
from typing import Literal

import numpy as np
import pytest

from eval.attacks.base import Attack, Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from models.results import Array, Classification
from tests.doubles import LinearEndpoint

SHAPE = (9, 6, 3)
COUNT = 25
CASES = [(a, norm) for a in ATTACKS.values() for norm in ("linf", "l2") if norm in a.norms]
BY_NAME = [f"{attack.name}-{norm}" for attack, norm in CASES]


class Centred(LinearEndpoint):
    """A hyperplane through the middle of the range."""

    def answer(self, image: Array) -> Classification:
        logits = self.weight @ (image.ravel().astype(np.float64) - 127.5)
        odds = np.exp(logits - logits.max())
        return Classification((odds / odds.sum()).astype(np.float32))


def smallest(endpoint: Centred, image: Array, norm: str) -> float:
    """By Hoelder's inequality, the margin over the dual norm of the weights."""
    weight = endpoint.weight[0] - endpoint.weight[1]
    margin = abs(float(weight @ (image.ravel() - 127.5)))
    return margin / float(np.abs(weight).sum() if norm == "linf" else np.sqrt((weight**2).sum()))


def run(attack: Attack, norm: Literal["linf", "l2"], factor: float) -> list[AttackResult]:
    """Pictures whose smallest change is some levels, each within `factor` of its own."""
    rng, endpoint = np.random.default_rng(5), Centred(SHAPE, 2, gain=0.002, seed=3)
    images = [rng.integers(78, 178, SHAPE, dtype=np.uint8) for _ in range(200)]
    found: list[AttackResult] = []
    for image in images:
        least = smallest(endpoint, image, norm)
        if least < (1 if norm == "linf" else 10) or len(found) == COUNT:
            continue
        threat, label = Threat(norm, least * factor), endpoint.answer(image).label
        told = attack_all(
            attack, endpoint, [image], untargeted([label]), threat=threat, limits=Limits(200), seed=len(found)
        )
        found.append(asyncio.run(told))
    assert len(found) == COUNT
    return found


@pytest.mark.parametrize(("attack", "norm"), CASES, ids=BY_NAME)
def test_nothing_is_fooled_below_the_smallest_change(attack: Attack, norm: Literal["linf", "l2"]) -> None:
    results = run(attack, norm, 0.99)
    assert not any(result.claimed.any() or result.fooled.any() for result in results)
    assert all(result.clean_correct.all() for result in results)


@pytest.mark.parametrize(("attack", "norm"), CASES, ids=BY_NAME)
def test_searches_fool_with_a_few_times_as_much(attack: Attack, norm: Literal["linf", "l2"]) -> None:
    """The same setting can be won, so the test above is not empty."""
    if "noise" in attack.name or attack.minimises:
        pytest.skip("noise is the floor; attacks that minimise have their own tests")
    results = run(attack, norm, 5.0)
    assert sum(bool(result.fooled[0]) for result in results) >= 0.8 * COUNT

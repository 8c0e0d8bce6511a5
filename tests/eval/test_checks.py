"""Each flag is raised by what it warns of, and by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval.attacks.results import AttackResult
from eval.checks import attack_flags, endpoint_flags
from models.results import Array, Classification
from tests.doubles import LinearEndpoint

IMAGES = [np.full((3, 4, 3), level, np.uint8) for level in (10, 90, 200)]


class Noisy(LinearEndpoint):
    """Scores that change a little each time."""

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        rng = np.random.default_rng(self.requests)
        answers = await super().predict(images)
        return [Classification((a.scores + rng.uniform(0, 0.01, 3)).astype(np.float32)) for a in answers]


class Rounded(LinearEndpoint):
    """Scores of three decimals."""

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return [Classification(a.scores.round(3).astype(np.float32)) for a in await super().predict(images)]


def endpoint_states(endpoint: Any) -> dict[str, bool | None]:
    return {flag.name: flag.raised for flag in asyncio.run(endpoint_flags(endpoint, IMAGES))}


def test_the_endpoint_is_probed() -> None:
    shape = (3, 4, 3)
    assert endpoint_states(LinearEndpoint(shape)) == {"not_deterministic": False, "rounded_scores": False}
    assert endpoint_states(Noisy(shape))["not_deterministic"] is True
    assert endpoint_states(Rounded(shape))["rounded_scores"] is True


def result(
    attack: str, *, fooled: int = 0, claimed: int | None = None, errors: int = 0, moved: bool = True
) -> AttackResult:
    count = 10
    rows = np.arange(count)
    return AttackResult(
        attack=attack,
        images=[IMAGES[0]] * count,
        labels=np.zeros(count, np.int64),
        predicted=np.zeros(count, np.int64),
        clean_correct=np.ones(count, bool),
        claimed=rows < (fooled if claimed is None else claimed),
        fooled=rows < fooled,
        errors=rows >= count - errors,
        exhausted=np.zeros(count, bool),
        queries=np.full(count, 5),
        queries_to_fool=np.where(rows < fooled, 5, 0),
        cache_hits=np.zeros(count, np.int64),
        start_margin=np.full(count, 2.0),
        best_margin=np.full(count, 1.0 if moved else 2.0),
        distance=np.zeros(count),
    )


def states(*results: AttackResult) -> dict[str, bool | None]:
    return {flag.name: flag.raised for flag in attack_flags(results)}


CALM = {"noise_as_good": False, "not_reverified": False, "errors": False, "no_progress": False}


@pytest.mark.parametrize(
    ("results", "raised"),
    [
        ([result("uniform_noise", fooled=1), result("square", fooled=5)], None),
        ([result("uniform_noise", fooled=5), result("square", fooled=5)], "noise_as_good"),
        ([result("uniform_noise", fooled=1), result("square", fooled=5, claimed=6)], "not_reverified"),
        ([result("uniform_noise", fooled=1), result("square", fooled=5, errors=1)], "errors"),
        ([result("uniform_noise", fooled=1), result("square", fooled=5, moved=False)], "no_progress"),
    ],
)
def test_results_are_read(results: list[AttackResult], raised: str | None) -> None:
    assert states(*results) == {**CALM, **({raised: True} if raised else {})}


def test_what_cannot_be_measured_is_not_called_fine() -> None:
    told = states(result("square", fooled=10))
    assert told["noise_as_good"] is None
    assert told["no_progress"] is None
    assert states(result("square"))["not_reverified"] is None


def test_every_flag_says_what_it_means_and_what_to_do() -> None:
    for flag in attack_flags([result("square"), result("uniform_noise")]):
        assert flag.means.endswith(".")
        assert flag.do.endswith(".")
        assert flag.evidence


def test_numbers_of_a_result() -> None:
    one = result("square", fooled=4)
    one = replace(one, queries_to_fool=np.arange(10))
    assert one.robust_accuracy == pytest.approx(0.6)
    assert one.attack_success_rate == pytest.approx(0.4)
    assert one.query_curve() == [(0, 0.1), (1, 0.2), (2, 0.3), (3, 0.4)]

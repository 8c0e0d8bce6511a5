"""Every attack runs with every graded goal as it does with classes, and reports what was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from eval.attacks.base import Attack, Goal, Threat
from eval.attacks.goals.detection import Fabricate, Mislabel, Vanish, Wanted
from eval.attacks.goals.segmentation import Erase, Pixels
from eval.attacks.goals.tables import GOALS
from eval.attacks.results import AttackResult
from eval.attacks.spatial import Spatial
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from models.card import TaskName
from models.results import Array, Detections, Result, Segmentation
from tests.eval.attacks.goals.scenery import Colours, Spots, coloured, spotted

THREATS = {"linf": Threat("linf", 30), "l2": Threat("l2", 900), "spatial": Spatial(40, 6)}
BUDGET = 60
Case = tuple[Spots, list[Array], list[Goal]]


def objects(task: str) -> Case:
    images, truths = spotted()
    wanted = [Wanted.of(truth) for truth in truths]
    goals: Mapping[str, list[Goal]] = {
        "vanish": [Vanish(w, 0) for w in wanted],
        "fabricate": [Fabricate(w) for w in wanted],
        "mislabel": [Mislabel(w) for w in wanted],
    }
    return Spots(), images, goals[task]


def pixels(task: str) -> Case:
    images, truths = coloured()
    goals: list[Goal] = [
        Pixels(truth, 0.8) if task == "pixels" else Erase(truth, (int(truth[1, 0]),)) for truth in truths
    ]
    return Colours(), images, goals


def case(name: str) -> Case:
    return objects(name) if GOALS[name].task == "detection" else pixels(name)


def run(
    attack: Attack, name: str, threat: Threat | None = None, budget: int = BUDGET
) -> tuple[AttackResult, Case]:
    endpoint, images, goals = case(name)
    told = attack_all(
        attack,
        endpoint,
        images,
        goals,
        threat=threat or THREATS[attack.norms[0]],
        limits=Limits(budget, 7, 2),
        seed=0,
    )
    return asyncio.run(told), (endpoint, images, goals)


def same(one: Result | None, other: Result) -> bool:
    if isinstance(other, Segmentation) and isinstance(one, Segmentation):
        return np.array_equal(one.labels, other.labels)
    if isinstance(other, Detections) and isinstance(one, Detections):
        return np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)
    return False


NAMES = [name for name, kind in GOALS.items() if kind.task != "classification"]
EACH = pytest.mark.parametrize("name", NAMES)
ANY = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def test_all_of_them_are_there() -> None:
    tasks: set[TaskName] = {"detection", "segmentation"}
    assert {GOALS[name].task for name in NAMES} == tasks
    assert len(NAMES) == 5


@ANY
@EACH
def test_success_is_what_the_endpoint_answered(attack: Attack, name: str) -> None:
    result, (endpoint, images, goals) = run(attack, name)
    assert result.clean_correct.all()
    assert not result.errors.any()
    assert result.queries.max() <= BUDGET
    assert len(endpoint.asked) == result.queries.sum()
    for i, goal in enumerate(goals):
        final = result.images[i]
        assert final.shape == images[i].shape
        answer = endpoint.answer(final)
        assert same(result.answers[i], answer)  # kept, reached or not
        assert result.threat.size(images[i], final) == result.distance[i]
        inside = result.distance[i] <= result.threat.epsilon
        assert result.fooled[i] == (goal.judge(answer).fooled and inside)
        assert inside or attack.minimises
        if result.fooled[i]:
            assert sum(np.array_equal(final, sent) for sent in endpoint.asked) >= 2
        assert result.best_loss[i] == goal.judge(answer).loss
        assert result.start_loss[i] == goal.judge(endpoint.answer(images[i])).loss
    assert result.goal == "; ".join(dict.fromkeys(goal.name for goal in goals))


@EACH
def test_every_goal_can_be_reached(name: str) -> None:
    result, _ = run(ATTACKS["square"], name, budget=10 * BUDGET)
    assert result.fooled.any()
    assert result.reverify_rate == 1


@EACH
def test_less_room_is_less_harm(name: str) -> None:
    result, _ = run(ATTACKS["square"], name, Threat("linf", 1))
    assert not result.fooled.any()
    assert (result.best_loss <= result.start_loss).all()


class Fickle(Spots):
    """Blind to the last picture that it is asked about, once; so a success does not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.blind = 0

    async def predict(self, images: Sequence[Array]) -> list[Result]:
        answers = await super().predict(images)
        if len(self.asked) > 1 and not self.blind:
            self.blind += 1
            answers[0] = Detections.empty()
        return answers


def test_a_success_that_does_not_hold_is_none() -> None:
    images, truths = spotted(1)
    goals: list[Goal] = [Vanish(Wanted.of(truths[0]))]
    told = attack_all(
        ATTACKS["square"], Fickle(), images, goals, threat=Threat("linf", 1), limits=Limits(9, 1, 1), seed=0
    )
    result = asyncio.run(told)
    assert result.claimed.tolist() == [True]
    assert result.fooled.tolist() == [False]
    assert len(result.answers[0].labels) > 0  # type: ignore[union-attr]  # what it said when asked last


def test_nothing_to_attack_costs_two_and_keeps_the_clean_answer() -> None:
    images, truths = spotted(1, level=100)  # too dim to be found
    endpoint = Spots()
    goals: list[Goal] = [Vanish(Wanted.of(truths[0]))]
    told = attack_all(
        ATTACKS["square"], endpoint, images, goals, threat=Threat("linf", 30), limits=Limits(9), seed=0
    )
    result = asyncio.run(told)
    assert result.clean_correct.tolist() == result.fooled.tolist() == [False]
    assert result.queries.tolist() == [2]
    assert same(result.answers[0], endpoint.answer(images[0]))

"""Suites hold what they promise, for every task and norm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from eval.attacks.base import Threat
from eval.attacks.goals.tables import goals_of
from eval.attacks.tables import ATTACKS
from eval.auditing.suites import SUITES, Curve, Norm, Suite, suite_of
from eval.corruptions.tables import COMMON, CORRUPTIONS, EXTRA, SEVERITIES
from eval.errors import EvalError
from models.card import TaskName

BALLS: tuple[Norm, ...] = ("linf", "l2")
EVERY: list[tuple[TaskName, Norm]] = [
    ("classification", "linf"),
    ("classification", "l2"),
    ("classification", "spatial"),
    ("detection", "linf"),
    ("detection", "l2"),
    ("segmentation", "linf"),
    ("segmentation", "l2"),
]
OF_EACH = pytest.mark.parametrize(("task", "norm"), EVERY)


@OF_EACH
@pytest.mark.parametrize("name", SUITES)
def test_a_suite_can_be_run(name: str, task: TaskName, norm: Norm) -> None:
    suite = suite_of(name, task, norm)
    assert (suite.name, suite.task, suite.norm) == (name, task, norm)
    assert suite.attacks
    assert all(norm in ATTACKS[attack].norms for attack in suite.attacks)
    assert len(set(suite.attacks)) == len(suite.attacks)
    assert sorted(suite.attacks, key=list(ATTACKS).index) == list(suite.attacks)  # cheapest first
    assert set(suite.corruptions) <= set(CORRUPTIONS)
    assert suite.severities == SEVERITIES
    assert suite.samples >= suite.noise_samples
    assert suite.goals
    assert all(goals_of(goal, task, [], ["cat", "dog"], seed=0, ids=[]) == [] for goal in suite.goals)


@OF_EACH
def test_each_suite_holds_the_one_before_and_more(task: TaskName, norm: Norm) -> None:
    quick, standard, thorough = (suite_of(name, task, norm) for name in ("quick", "standard", "thorough"))
    for less, more in ((quick, standard), (standard, thorough)):
        assert set(less.attacks) <= set(more.attacks)
        assert set(less.goals) <= set(more.goals)
        assert less.samples < more.samples
        assert less.budget < more.budget
        assert len(less.corruptions) < len(more.corruptions)
        if less.curve and more.curve:
            assert set(less.curve.multiples) <= set(more.curve.multiples)
            assert less.curve.samples < more.curve.samples


@pytest.mark.parametrize("norm", ["linf", "l2", "spatial"])
def test_thorough_leaves_no_attack_out(norm: Norm) -> None:
    able = {name for name, attack in ATTACKS.items() if norm in attack.norms}
    assert set(suite_of("thorough", "classification", norm).attacks) == able


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("norm", BALLS)
def test_classifiers_meet_noise_a_search_by_scores_and_one_by_labels(name: str, norm: Norm) -> None:
    tags = [" ".join(ATTACKS[a].tags) for a in suite_of(name, "classification", norm).attacks]
    assert any("score-based" in tag for tag in tags)
    assert any("decision-based" in tag for tag in tags)
    assert "uniform_noise" in suite_of(name, "classification", norm).attacks


def test_what_was_asked_of_standard_and_thorough() -> None:
    standard, thorough = suite_of("standard", "classification"), suite_of("thorough", "classification")
    assert set(standard.attacks) >= {"uniform_noise", "square", "simba", "rays", "hopskipjump"}
    assert set(thorough.attacks) - set(standard.attacks) == {"gaussian_noise", "simba_dct"}
    assert thorough.budget == 5000
    assert (standard.corruptions, thorough.corruptions) == (COMMON, COMMON + EXTRA)
    assert suite_of("quick", "classification").noise is None
    assert standard.noise is not None
    assert thorough.noise is not None


@pytest.mark.parametrize("task", ["detection", "segmentation"])
@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("norm", BALLS)
def test_scenes_meet_no_walk_along_a_boundary(name: str, task: TaskName, norm: Norm) -> None:
    suite = suite_of(name, task, norm)
    assert not any(ATTACKS[attack].minimises for attack in suite.attacks)
    assert suite.noise is None
    assert suite.noise_samples == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("fast", "classification"), "suite must be one of quick, standard, thorough, got 'fast'"),
        (("quick", "detection", "spatial"), "norm must be one of linf, l2 for detection, got 'spatial'"),
        (("quick", "classification", "l1"), "norm must be one of linf, l2, spatial"),
    ],
)
def test_what_there_is_not(options: Any, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        suite_of(*options)


def test_points_of_a_curve_are_whole_levels_and_end_at_the_check() -> None:
    curve = Curve((2, 0.25, 0.5, 1), 10, 50)
    assert curve.steps("linf", 8) == tuple(("square", Threat("linf", e)) for e in (2, 4, 8, 16, 128))
    assert [t.epsilon for _, t in curve.steps("linf", 3)] == [1, 3, 6, 128]  # 0.75 and 1.5 are one level
    assert [t.epsilon for _, t in curve.steps("linf", 7.65)] == [1, 3, 7, 15, 128]
    assert [t.epsilon for _, t in curve.steps("linf", 76)] == [19, 38, 76, 128]  # 152 is beyond


def test_points_in_l2_are_as_they_are_and_the_check_is_not_in_l2() -> None:
    curve = Curve((1, 0.25), 10, 50)
    assert curve.steps("l2", 90) == (
        ("square_l2", Threat("l2", 22.5)),
        ("square_l2", Threat("l2", 90)),
        ("square", Threat("linf", 128)),
    )
    assert curve.steps("spatial", 8) == ()


def test_a_part_is_replaced_without_the_rest() -> None:
    suite = replace(suite_of("quick", "classification"), attacks=("square",), budget=7)
    assert isinstance(suite, Suite)
    assert (suite.budget, suite.samples) == (7, suite_of("quick", "classification").samples)

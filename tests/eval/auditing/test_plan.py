"""What the options of an audit come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.attacks.base import Threat
from eval.attacks.spatial import Spatial
from eval.attacks.transfer import ON_A_TWIN
from eval.auditing.plan import Audit, Plan, plan_of
from eval.auditing.suites import SUITES, suite_of
from eval.errors import BudgetExceeded, EvalError
from models.card import TaskName

LABELS = ("ape", "bee", "cat")
TWIN = Path("zoo/digits/1")


def plan(task: TaskName = "classification", **options: Any) -> Plan:
    return plan_of(Audit(**options), task, LABELS)


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
@pytest.mark.parametrize("suite", SUITES)
def test_what_is_not_told_is_the_suites(suite: str, task: TaskName) -> None:
    assert plan(task, suite=suite).suite == suite_of(suite, task)


def test_what_is_told_changes_the_suite() -> None:
    changed = plan(
        attacks="square, uniform_noise", corruptions="fog,extra", severities="3, 1", samples=7, budget=50,
        goals="targeted,untargeted", curve=False,
    )  # fmt: skip
    told = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert changed.suite == replace(
        suite_of("quick", "classification"), attacks=("square", "uniform_noise"), severities=(1, 3),
        samples=7, corruptions=changed.suite.corruptions, budget=50, curve=None,
        goals=("targeted", "untargeted"),
    )  # fmt: skip
    assert set(changed.suite.corruptions) == {"fog", *told}
    assert plan(corruptions="").suite.corruptions == ()


def test_the_norm_says_what_is_limited() -> None:
    assert (plan().threat, plan().levels) == (Threat("linf", 8), 8)
    euclidean = plan(norm="l2", epsilon=510.0, attacks="square_l2, simba")
    assert (euclidean.threat, euclidean.levels) == (Threat("l2", 510), 510)
    moved = plan(norm="spatial", degrees=10.0, pixels=2.0)
    assert (moved.threat, moved.levels) == (Spatial(10, 2), None)


def test_a_twin_adds_what_can_be_made_on_it() -> None:
    assert plan(twin=TWIN).on_a_twin == ON_A_TWIN
    assert plan(twin=TWIN, attacks="pgd,square").on_a_twin == ("pgd",)
    assert plan().on_a_twin == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l2", "attacks": "square"}, "must keep to l2: one of .*square_l2.*, got 'square'"),
        ({"attacks": "uniform_noise,square_l2"}, "must keep to linf: .*, got 'square_l2'"),
        ({"norm": "spatial", "attacks": "square"}, "must keep to spatial: one of spatial_grid"),
        ({"attacks": "squares"}, "attack must be one of"),
        ({"attacks": ""}, "name at least one"),
        ({"attacks": "pgd"}, "pgd is made on a twin: give the folder of the version with --twin"),
        ({"attacks": "pgd", "twin": TWIN, "norm": "spatial"}, "linf or l2 for attacks on a twin"),
        ({"task": "detection", "twin": TWIN}, "need a classifier, this model does detection"),
        ({"corruptions": "rain"}, "corruption must be one of"),
        ({"severities": "6"}, "severity must be one of"),
        ({"severities": ","}, "at least one severity"),
        ({"suite": "slow"}, "suite must be one of quick, standard, thorough"),
        ({"goals": "vanish"}, "goal of an attack on classification must be one of"),
        ({"goals": "targeted:dog"}, "takes a class of the model"),
        ({"goals": "targeted", "attacks": "rays"}, "rays cannot be sent .* name others with --attacks$"),
        ({"goals": "targeted"}, "rays cannot be sent .* others: --attacks uniform_noise,square$"),
        ({"stability": True}, "--stability is not part of the suite quick"),
        ({"curve": True, "norm": "spatial"}, "--curve is not part of the suite quick"),
        ({"mce": "version:x"}, "--mce must be alexnet or version:N"),
        ({"epsilon": 256.0}, "at most 255 levels in linf, got 256"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EvalError, match=message):
        plan(**options)


def test_more_than_the_range_is_refused_in_linf_only() -> None:
    assert plan(epsilon=256.0, norm="l2", attacks="simba").levels == 256


def test_versions_of_mce() -> None:
    assert (plan().version, plan(mce="version:2").version) == (None, 2)
    common = Audit(corruptions="common", severities="1,2,3,4,5", mce="alexnet")
    assert plan_of(common, "classification", [f"class {i}" for i in range(1000)]).version is None
    with pytest.raises(EvalError, match=r"AlexNet's errors are of a classifier of ImageNet's 1000 classes"):
        plan(mce="alexnet")


def test_all_queries_together_are_limited() -> None:
    few: dict[str, Any] = {"attacks": "square,simba", "corruptions": "", "curve": False, "samples": 10}
    whole = plan(**few, budget=500)
    assert whole.limited(10, 20).suite.budget == 500
    assert plan(**few, budget=500, max_queries=1020).limited(10, 20).suite.budget == 50
    assert plan(**few, budget=500, max_queries=1020).limited(5, 20).suite.budget == 100
    with pytest.raises(BudgetExceeded, match="at least 80 for 2 attacks on 10 images and 20 beside them"):
        plan(**few, max_queries=79).limited(10, 20)


def test_what_decides_the_result_is_told() -> None:
    """And nothing else: a record goes on with another host or limit."""
    one = plan(epsilon=8, authorised=("a",), max_queries=9).told()
    assert one == plan(epsilon=8).told()
    assert one != plan(epsilon=9).told()
    assert one != plan(epsilon=8, goals="targeted", attacks="square").told()

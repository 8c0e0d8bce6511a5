"""Flags of results are raised by what they warn of, by nothing else, and by no lucky sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult
from eval.checks.attacks import attack_flags, decisions_of
from eval.checks.flag import FLAGS
from tests.eval.checks.results import made, states

NOISE, SQUARE, RAYS = "uniform_noise", "square", "rays"
ODD = range(1, 40, 2)
LEFT = np.where(np.arange(40) < 20, -1.0, np.where(np.arange(40) < 21, 1.0, 2.0))  # one of 20 moved


@dataclass(frozen=True)
class Held:
    """As `eval.auditing.on_twin.Proof`."""

    white_box: bool


def raised(*results: AttackResult, **told: Any) -> list[str]:
    return [name for name, state in states(attack_flags(results, **told)).items() if state]


CALM = [made(NOISE, 1), made(SQUARE, 20), made(RAYS, 19)]


def test_a_sound_audit_raises_nothing() -> None:
    assert raised(*CALM, made("fgsm", 15), made("pgd", 20), proof=Held(True)) == []


@pytest.mark.parametrize(
    ("results", "name"),
    [
        ([made(NOISE, 20), made(SQUARE, 20)], "noise_as_good"),
        ([made("gaussian_noise", 9), made(NOISE, 2), made(SQUARE, 4), made(RAYS, 5)], "noise_as_good"),
        ([made(SQUARE, 20, best_loss=LEFT)], "no_progress"),
        ([made(SQUARE, 20, late_gain=0.06)], "incomplete_search"),
        ([made(SQUARE, 10), made(RAYS, 20)], "decision_beats_score"),
        ([made(SQUARE, 20), made("pgd", 10)], "black_box_beats_white_box"),
        ([made("fgsm", 20), made("pgd", 10), made("apgd_ce", 12)], "single_step_beats_iterative"),
        ([made(SQUARE, 5, claimed=np.arange(40) < 6)], "not_reverified"),
        ([made(SQUARE, 5, best_loss=-0.5, distance=8.0)], "silent_success"),
        ([made(SQUARE, 5, errors=np.arange(40) == 39)], "errors"),
    ],
)
def test_each_is_raised_alone(results: list[AttackResult], name: str) -> None:
    assert raised(*results) == [name]


@pytest.mark.parametrize(
    "results",
    [
        [made(NOISE, 2), made(SQUARE, 2)],  # two samples of noise
        [made(NOISE, 40), made(SQUARE, 40)],  # nothing stands: nothing is overstated
        [made(SQUARE, 36, best_loss=2.0)],  # four stand
        [made(SQUARE, 20, late_gain=np.where(np.arange(40) % 7, 0.0, 1.0))],  # three of twenty
        [made(SQUARE, 20, late_gain=np.nan)],  # never fell
        [made(SQUARE, 10), made(RAYS, 15)],  # p = 0.06
        [made(SQUARE, ODD), made(RAYS, range(0, 40, 2))],  # others, as many
        [made(SQUARE, 15), made("pgd", 10)],
        [made("fgsm", 20), made("pgd", 20)],  # as on a linear model
        [made(RAYS, 5, best_loss=-0.5, distance=12.0)],  # beyond the threat
    ],
)
def test_no_luck_and_no_room_raise_nothing(results: list[AttackResult]) -> None:
    assert raised(*results) == []


def test_the_weakest_search_may_be_incomplete() -> None:
    assert raised(made("simba", 3, late_gain=0.2), made(SQUARE, 20)) == []


def test_claims_that_were_not_confirmed_are_no_late_progress() -> None:
    unsure = made(SQUARE, 0, claimed=True, late_gain=1.0)
    assert "incomplete_search" not in raised(unsure)


def test_attacks_that_look_for_no_loss_cannot_be_stuck() -> None:
    assert raised(made(RAYS, 0, best_loss=2.0), made(NOISE, 0, best_loss=2.0)) == []


def test_only_equal_threats_and_goals_are_compared() -> None:
    wide = made(RAYS, 40, threat=Threat("linf", 16))
    other = made(RAYS, 40, goal="targeted")
    assert raised(made(SQUARE, 5), wide, other) == []


def test_one_threat_of_several_is_enough() -> None:
    calm = [made(name, 20, threat=Threat("linf", 4)) for name in (SQUARE, RAYS)]
    assert raised(*calm, made(SQUARE, 10), made(RAYS, 20)) == ["decision_beats_score"]


def test_samples_without_an_answer_are_not_compared() -> None:
    gone = np.arange(1000) < 10
    silent = made(SQUARE, range(10, 20), count=1000, errors=gone)
    assert raised(silent, made(RAYS, 20, count=1000)) == []


@pytest.mark.parametrize(
    ("proof", "state"), [(Held(True), False), (Held(False), True), (None, None)], ids=str
)
def test_the_twin_must_have_been_proven(proof: Held | None, state: bool | None) -> None:
    found = {flag.name: flag for flag in attack_flags([made("pgd", 3)], proof=proof)}["twin_not_proven"]
    assert found.raised is state
    assert proof is None or found.evidence == str(proof)


def test_a_surrogate_that_fails_is_no_masking() -> None:
    """One step is known to carry over better than many."""
    told = [made(SQUARE, 20), made("fgsm", 20), made("pgd", 4)]
    both = ["black_box_beats_white_box", "single_step_beats_iterative"]
    assert raised(*told, proof=Held(True)) == both
    assert raised(*told, proof=Held(False)) == ["twin_not_proven"]


def test_a_surrogate_is_no_search_by_scores() -> None:
    """An audit calls its attacks `transfer_...`; one picture is asked about, so all gain is late."""
    carried = made("transfer_pgd", 20, late_gain=1.0)
    assert raised(carried, proof=Held(False)) == ["twin_not_proven"]
    assert raised(made(SQUARE, 20), carried, proof=Held(False)) == ["twin_not_proven"]
    assert raised(made(RAYS, 30), carried, proof=Held(False)) == ["twin_not_proven"]


def test_what_did_not_run_is_not_called_fine() -> None:
    for flag in attack_flags([made(SQUARE, 40)]):
        if flag.name not in ("not_reverified", "silent_success", "errors", "partial"):
            assert flag.raised is None, flag
        assert flag.evidence
    nothing = states(attack_flags([]))
    assert nothing["errors"] is None
    assert nothing["not_reverified"] is None


def test_a_run_that_ended_early_says_so() -> None:
    assert raised(*CALM, partial=True) == ["partial"]


@pytest.mark.parametrize(
    ("fragile", "robust", "state"),
    [(38, 4, False), (4, 4, True), (12, 4, True), (0, 0, True)],
)
def test_the_suite_must_tell_the_controls_apart(fragile: int, robust: int, state: bool) -> None:
    control = ([made(NOISE, 0), made(SQUARE, fragile)], [made(NOISE, 0), made(SQUARE, robust)])
    assert states(attack_flags(CALM, control=control))["control_not_separated"] is state


def test_every_flag_has_its_words_and_comes_once() -> None:
    found = attack_flags(CALM)
    assert len({flag.name for flag in found}) == len(found)
    for flag in found:
        assert (flag.means, flag.do) == FLAGS[flag.name][1:]


def test_attacks_by_labels_are_known() -> None:
    assert decisions_of([*CALM, made("hopskipjump"), made(RAYS)]) == ["rays", "hopskipjump"]

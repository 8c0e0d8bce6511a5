"""What hides the digits of scores is seen; whole scores are not taken for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.checks.flag import Flag, flag
from eval.checks.scores import HIDING, decision_only, grid_of, whole
from models.results import Array, Classification, Detections, Result, Segmentation
from tests.eval.checks.results import states

Change = Callable[[Array], Array]


def softmax(logits: Array) -> Array:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def answers(change: Change, spread: float = 3, classes: int = 10) -> list[Result]:
    logits = np.random.default_rng(0).normal(0, spread, (60, classes))
    return [Classification(row.astype(np.float32)) for row in change(softmax(logits))]


def hidden(told: Sequence[Result]) -> list[str]:
    return [name for name, raised in states(whole(told)).items() if raised]


def top(kept: int) -> Change:
    def cut(scores: Array) -> Array:
        least = np.sort(scores, axis=1)[:, [-kept]]
        return np.where(scores >= least, scores, 0)

    return cut


def label_alone(scores: Array) -> Array:
    return np.where(scores == scores.max(axis=1, keepdims=True), 0.7, 0.3 / 9)


@pytest.mark.parametrize("decimals", range(1, 7))
def test_decimals(decimals: int) -> None:
    assert hidden(answers(lambda scores: scores.round(decimals))) == ["rounded_scores"]
    assert (
        f"multiples of {10.0**-decimals:.{decimals}f}"
        in whole(answers(lambda s: s.round(decimals)))[0].evidence
    )


@pytest.mark.parametrize("kept", [1, 2, 5, 9])
def test_top_scores(kept: int) -> None:
    assert hidden(answers(top(kept))) == ["truncated_scores"]


def test_thresholds_labels_and_constants() -> None:
    assert hidden(answers(lambda s: np.where(s > 0.01, s, 0))) == ["truncated_scores"]
    assert hidden(answers(label_alone)) == ["truncated_scores"]
    assert hidden(answers(lambda s: s[:1].repeat(len(s), axis=0))) == ["truncated_scores"]


def test_saturation() -> None:
    assert hidden(answers(lambda s: s, spread=3000)) == ["saturated_scores"]
    assert hidden(answers(lambda s: s.round(1), spread=3000)) == ["saturated_scores"]


@pytest.mark.parametrize("spread", [0.01, 1, 10, 25])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_whole_scores_are_whole(spread: float, classes: int) -> None:
    """Up to margins of 60 or so; the least scores of sure models underflow, and are still told."""
    assert hidden(answers(lambda s: s, spread, classes)) == []


def test_a_class_that_is_never_answered_is_no_cut() -> None:
    assert hidden(answers(lambda s: np.where(np.arange(10) == 3, 0, s))) == []


def test_too_little_to_tell_is_not_called_fine() -> None:
    few: list[Result] = [Classification(np.array([0.25, 0.75], np.float32))] * 2
    assert states(whole(few))["rounded_scores"] is None
    assert states(whole([Segmentation(np.zeros((2, 2), np.int64))])) == dict.fromkeys(HIDING)


def found(scores: Array) -> Detections:
    return Detections(np.zeros((len(scores), 4), np.float32), scores, np.zeros(len(scores), np.int64))


def test_detectors() -> None:
    scores = np.random.default_rng(1).uniform(0.001, 1, 60).astype(np.float32)
    assert hidden([found(scores)]) == []
    assert hidden([found(scores[scores > 0.25]), Detections.empty()]) == ["truncated_scores"]
    assert hidden([found(scores.round(2).clip(0.01))]) == ["rounded_scores"]
    assert states(whole([found(scores[:10])]))["truncated_scores"] is None
    assert states(whole([Detections.empty()]))["rounded_scores"] is None


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(1, 6))
def test_the_coarsest_grid_is_found(counts: list[int], decimals: int) -> None:
    """Held against whole numbers: how many decimals these really need."""
    steps = [count % 10**decimals for count in counts]
    needed = max((len(f"{step:0{decimals}d}".rstrip("0")) for step in steps), default=0)
    grid = grid_of(np.array([step / 10**decimals for step in steps]).astype(np.float32))
    assert grid == pytest.approx(10.0 ** -max(needed, 1))


def test_hidden_scores_make_an_audit_decision_only() -> None:
    clear = [flag(name, False, "") for name in HIDING]
    rounded: list[Flag] = [flag("rounded_scores", True, ""), flag("errors", True, "")]
    assert decision_only([*clear, flag("errors", True, "")], ["rays"]) == ""
    assert decision_only(rounded, ["rays", "hopskipjump"]) == (
        "Decision-only (rounded scores): attacks by scores are a weak upper bound here; those by labels "
        "alone decide (rays, hopskipjump)."
    )
    assert "not supported" in decision_only(rounded, [])

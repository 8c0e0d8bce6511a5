"""What is decided on an interval, and how often wrongly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.decision import Decision, non_inferior, superior
from eval.metrics.paired import Difference, tango


@pytest.mark.parametrize(
    ("low", "high", "inferior", "better"),
    [
        (-0.005, 0.02, "pass", "inconclusive"),
        (0.001, 0.02, "pass", "pass"),
        (-0.02, 0.02, "inconclusive", "inconclusive"),
        (-0.05, -0.02, "fail", "fail"),
        (-0.005, -0.001, "pass", "fail"),
        (-0.01, 0.0, "inconclusive", "inconclusive"),  # a bound on the line decides nothing
        (-0.02, -0.01, "inconclusive", "fail"),
        (None, None, "inconclusive", "inconclusive"),
    ],
)
def test_it_depends_on_where_the_interval_lies(
    low: float | None, high: float | None, inferior: Decision, better: Decision
) -> None:
    difference = Difference(0.0, low, high, 100)
    assert (non_inferior(difference, 0.01), superior(difference)) == (inferior, better)


def test_where_less_is_better_the_interval_is_turned_round() -> None:
    worse = Difference(0.03, 0.02, 0.04, 100, lower_is_better=True)
    assert worse.gain == (-0.04, -0.02)
    assert (non_inferior(worse, 0.01), superior(worse)) == ("fail", "fail")
    better = Difference(-0.03, -0.04, -0.02, 100, lower_is_better=True)
    assert (non_inferior(better, 0.01), superior(better), superior(better, 0.03)) == (
        "pass", "pass", "inconclusive",
    )  # fmt: skip


BOUNDS = st.floats(-1, 1)


@given(BOUNDS, BOUNDS, st.floats(0, 0.5), st.booleans())
def test_the_other_way_round_is_the_other_decision(a: float, b: float, margin: float, less: bool) -> None:
    """A is non-inferior exactly where B is not shown to be better by the margin, and the other way round."""
    one = Difference(0.0, min(a, b), max(a, b), 10, less)
    other = Difference(0.0, -max(a, b), -min(a, b), 10, less)
    opposite = {"pass": "fail", "fail": "pass", "inconclusive": "inconclusive"}
    assert non_inferior(one, margin) == opposite[superior(other, margin)]


@pytest.mark.parametrize("margin", [-0.01, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    for decide in (non_inferior, superior):
        with pytest.raises(ValueError, match="margin must be a number not below 0"):
            decide(Difference(0.0, -0.1, 0.1, 10), margin)


def test_a_version_worse_by_the_margin_passes_in_one_of_forty_runs() -> None:
    rng = np.random.default_rng(1)
    passed = 0
    for gained, lost, _ in rng.multinomial(400, [0.03, 0.05, 0.92], 2000).tolist():
        low, high = tango(gained, lost, 400)
        passed += non_inferior(Difference((gained - lost) / 400, low, high, 400), 0.02) == "pass"
    assert 0.012 < passed / 2000 < 0.038

"""Enough images are enough: advice against simulation and against the intervals themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics.decision import non_inferior
from eval.metrics.intervals import wilson
from eval.metrics.paired import Difference, tango
from eval.metrics.sample_size import (
    images_for_discordance,
    images_for_half_width,
    images_for_margin,
    images_for_share,
    margin_advice,
    width_advice,
)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=100, deadline=None)
def test_enough_for_a_share_and_not_one_more(counts: tuple[int, int]) -> None:
    """Whoever wants just the interval that n images gave is told n."""
    hits, n = counts
    low, high = wilson(hits, n)
    assert low is not None
    assert high is not None
    assert images_for_share(hits / n, (high - low) / 2 * (1 + 1e-9)) == n
    assert images_for_share(hits / n, (high - low) / 2 * (1 - 1e-9)) == n + 1


def test_the_quoted_numbers() -> None:
    assert images_for_share(0.5, 0.031) == pytest.approx(1000, rel=0.01)
    assert images_for_half_width(0.431, 0.569, 200, 0.03) == 1058
    assert width_advice(0.431, 0.569, 200) == "the interval is ±0.069 wide; about 1,100 images give ±0.03"
    assert width_advice(0.48, 0.52, 2400) == "the interval is ±0.02 wide, as narrow as wanted (±0.03)"
    assert width_advice(None, None, 0) == "there is no interval: more images are needed"


def test_the_root_law_is_wilson_s() -> None:
    low, high = wilson(140, 200)
    assert low is not None
    assert high is not None
    assert images_for_half_width(low, high, 200, 0.02) == pytest.approx(images_for_share(0.7, 0.02), rel=0.02)


@pytest.mark.parametrize(("gained", "lost", "n"), [(30, 30, 1000), (5, 5, 100), (60, 60, 400)])
def test_so_many_images_decide_four_times_in_five(gained: int, lost: int, n: int) -> None:
    margin = 0.03
    needed = images_for_discordance(gained, lost, n, margin)
    rng = np.random.default_rng(0)
    passed = 0
    for b, c, _ in rng.multinomial(needed, [gained / n, lost / n, 1 - (gained + lost) / n], 600).tolist():
        passed += non_inferior(Difference((b - c) / needed, *tango(b, c, needed), needed), margin) == "pass"
    assert 0.74 < passed / 600 < 0.88


def test_versions_that_agree_everywhere_need_images_too() -> None:
    needed = images_for_discordance(0, 0, 50, 0.01)
    low, _ = tango(0, 0, needed)
    almost, _ = tango(0, 0, needed - 1)
    assert low is not None
    assert almost is not None
    assert almost <= -0.01 < low


def test_from_the_width_of_any_difference() -> None:
    """Where versions differ often, it says what the counts say."""
    low, high = tango(40, 40, 500)
    difference = Difference(0.0, low, high, 500)
    counted = images_for_discordance(40, 40, 500, 0.01)
    assert images_for_margin(difference, 0.01) == pytest.approx(counted, rel=0.05)
    assert images_for_margin(difference, 0.02) == pytest.approx(counted / 4, rel=0.05)
    assert images_for_margin(Difference(None, None, None, 0), 0.01) is None


def test_advice_is_a_sentence() -> None:
    known = Difference(0.0, -0.02, 0.02, 400)
    assert margin_advice(known, 0.01) == (
        "400 images tell the difference to ±0.02; about 3,300 would decide about a margin of 0.01"
    )
    assert (
        margin_advice(known, 0.05) == "400 images tell the difference to ±0.02, enough for a margin of 0.05"
    )
    assert margin_advice(Difference(None, None, None, 0), 0.05).startswith("there is no interval")


DIFFERENCE = Difference(0.0, -0.1, 0.1, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(images_for_share, 0.5, 0), "must be above 0"),
        (partial(images_for_half_width, 0, 1, 0, 0.1), "must be above 0"),
        (partial(images_for_margin, DIFFERENCE, -1), "must be above 0"),
        (partial(images_for_margin, DIFFERENCE, 0.1, power=1), "must be above 0"),
        (partial(images_for_discordance, 1, 1, 0, 0.1), "must be above 0"),
        (partial(images_for_discordance, 4, 4, 7, 0.1), "must be counts within n"),
        (partial(images_for_discordance, -1, 0, 7, 0.1), "must be counts within n"),
        (partial(images_for_share, 1.5, 0.1), "share must be in"),
        (partial(images_for_half_width, 1, 0, 5, 0.1), "low <= high"),
    ],
)
def test_what_cannot_be_wanted_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

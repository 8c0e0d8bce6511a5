"""Holm's p-values against their definition and the closed testing they stand for."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.multiple import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=7)


def closed(p_values: list[float]) -> list[float]:
    """The closure of Bonferroni tests: the largest p-value of all families that an hypothesis is in."""
    places = range(len(p_values))
    families = [f for size in range(1, len(p_values) + 1) for f in combinations(places, size)]
    return [
        max(min(1.0, min(p_values[j] for j in family) * len(family)) for family in families if i in family)
        for i in places
    ]


@given(P_VALUES)
def test_holm_is_closed_bonferroni(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(closed(p_values), rel=1e-12, abs=0)


def test_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES, st.randoms())
def test_order_does_not_matter(p_values: list[float], random: object) -> None:
    order = np.random.default_rng(len(p_values)).permutation(len(p_values)).tolist()
    assert holm([p_values[i] for i in order]) == [holm(p_values)[i] for i in order]


@pytest.mark.parametrize("odd", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(odd: float) -> None:
    with pytest.raises(ValueError, match=r"p-values must be in \[0, 1\]"):
        holm([0.5, odd])

"""Threats never give way, and draws hang on nothing but their key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.attacks.base import Threat, draws
from models.results import Array

pixel_arrays = st.lists(st.integers(0, 255), min_size=12, max_size=12).map(
    lambda values: np.array(values, np.uint8).reshape(2, 2, 3)
)


@given(
    pixel_arrays,
    st.lists(st.floats(-400, 700), min_size=12, max_size=12),
    st.sampled_from(["linf", "l2"]),
    st.floats(0.3, 300),
)
def test_enforce_never_exceeds(original: Array, levels: list[float], norm: Any, epsilon: float) -> None:
    threat = Threat(norm, epsilon)
    inside = threat.enforce(original, np.array(levels).reshape(2, 2, 3))
    assert inside.dtype == np.uint8
    assert threat.size(original, inside) <= epsilon + 1e-9


@given(pixel_arrays, pixel_arrays, st.floats(1, 255))
def test_the_fast_way_on_the_lattice_is_the_slow_way(
    original: Array, proposal: Array, epsilon: float
) -> None:
    threat = Threat("linf", epsilon)
    slow = threat.enforce(original, proposal.astype(np.float64))
    np.testing.assert_array_equal(threat.enforce(original, proposal), slow)


def test_rounding_cannot_cross_the_radius() -> None:
    original = np.zeros((2, 2, 3), np.uint8)
    assert Threat("linf", 2.6).enforce(original, original + 2.6).max() == 2


@pytest.mark.parametrize("epsilon", [0, -1, float("inf"), float("nan")])
def test_a_threat_needs_a_radius(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon must be above 0"):
        Threat("linf", epsilon)


def test_draws_are_keyed_by_everything() -> None:
    first = draws(0, "a", "square")(3).integers(0, 1 << 30, 4).tolist()
    assert first == draws(0, "a", "square")(3).integers(0, 1 << 30, 4).tolist()
    others = [
        draws(1, "a", "square")(3),
        draws(0, "b", "square")(3),
        draws(0, "a", "x")(3),
        draws(0, "a", "square")(4),
    ]
    assert all(other.integers(0, 1 << 30, 4).tolist() != first for other in others)

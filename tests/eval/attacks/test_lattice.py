"""What `inside_ball` gives is inside the ball in whole numbers, and wastes next to none of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eval.attacks.base import Threat
from eval.attacks.lattice import _afforded, inside_ball, squares_within
from models.results import Array

images = st.lists(st.integers(0, 255), min_size=12, max_size=12).map(
    lambda values: np.array(values, np.uint8).reshape(2, 2, 3)
)
changes = st.lists(st.floats(-600, 600), min_size=12, max_size=12).map(
    lambda values: np.array(values).reshape(2, 2, 3)
)


def squares(image: Array, moved: Array) -> int:
    return sum((int(a) - int(b)) ** 2 for a, b in zip(image.ravel(), moved.ravel(), strict=True))


def corner(*values: float) -> Array:
    delta = np.zeros(12)
    delta[: len(values)] = values
    return delta.reshape(2, 2, 3)


GREY = np.full((2, 2, 3), 100, np.uint8)


@given(images, changes, st.floats(0.3, 900))
@example(GREY, corner(3, 4), float(np.nextafter(5, 0)))
@example(GREY, corner(6, 8), float(np.nextafter(5, 0)))
@example(GREY, corner(6), float(np.nextafter(2, 0)))  # shortening gives 2.0, one bit too long
@example(GREY, corner(1.5, 1.5), math.sqrt(2))
def test_it_is_inside_in_whole_numbers_and_the_scheduler_leaves_it_alone(
    image: Array, delta: Array, epsilon: float
) -> None:
    moved = inside_ball(image, delta, epsilon)
    assert squares(image, moved) <= squares_within(epsilon)
    np.testing.assert_array_equal(Threat("l2", epsilon).enforce(image, moved), moved)


@given(images, changes, st.floats(0.3, 900))
def test_every_value_is_one_of_the_two_levels_around_what_was_asked(
    image: Array, delta: Array, epsilon: float
) -> None:
    length = np.linalg.norm(delta)
    asked = image + delta * min(1, epsilon / length if length else 1)
    assert (np.abs(inside_ball(image, delta, epsilon) - np.clip(asked, 0, 255)) < 1 + 1e-6).all()


def test_whole_changes_inside_are_kept_as_they_are() -> None:
    np.testing.assert_array_equal(inside_ball(GREY, corner(3, -4), 5), GREY + corner(3, -4))
    np.testing.assert_array_equal(inside_ball(GREY, corner(6, -8), 5), GREY + corner(3, -4))


@pytest.mark.parametrize("epsilon", [8.0, 40.0, 127.5, 512.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_ball_is_used_up(epsilon: float, channels: int) -> None:
    """Over 3,072 values 8 levels are 0.14 a value: rounding to the nearest would leave nothing of it."""
    rng = np.random.default_rng(0)
    image = np.full((32, 32, 3), 128, np.uint8)
    delta = rng.normal(0, 1, (32, 32, channels))
    delta *= epsilon / np.sqrt(3 // channels * (delta**2).sum())
    moved = inside_ball(image, delta, epsilon)
    length = math.sqrt(squares(image, moved))
    assert 0.97 * epsilon < length <= epsilon
    cosine = ((moved.astype(float) - image) * delta).sum() / length / epsilon
    assert cosine > (0.35 if epsilon == 8 else 0.9)  # 64 values by one level is all that 8 levels buy
    assert (channels == 3) or (moved == moved[..., :1]).all()


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1e-4, 0.25, 0.2501, 0.5, 0.999]), st.integers(0, 3)), min_size=1
    ),
    st.integers(0, 40),
)
def test_what_is_afforded_is_the_start_of_a_stable_sort(values: list[tuple[float, int]], room: int) -> None:
    worth, price = (np.array(told, np.float64) for told in zip(*values, strict=True))
    price = 2 * price + 1
    order = [i for i in np.argsort(-worth, kind="stable") if worth[i] > 0]
    spent = np.cumsum(price[order])
    assert sorted(_afforded(worth, price, room)) == sorted(np.array(order, int)[spent <= room])


def test_the_sum_of_squares_is_exact() -> None:
    assert squares_within(5) == 25
    assert squares_within(float(np.nextafter(5, 0))) == 24
    assert squares_within(math.sqrt(2)) == 2  # the double is a little above the root
    assert squares_within(0.5) == 0

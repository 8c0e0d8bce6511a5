"""Turning and shifting: exact where they can be, within their limits, and the worst of the whole grid."""

from __future__ import annotations

import asyncio
import math
from itertools import product

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult
from eval.attacks.spatial import Spatial, SpatialGrid, turned
from eval.attacks.wave import Limits, attack_all
from models.results import Array
from tests.doubles import LinearEndpoint, StubbornEndpoint

SHAPE = (7, 10, 3)


def picture(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def slowly_turned(image: Array, degrees: float, right: float, down: float) -> Array:
    """Pixel by pixel, in floating point."""
    height, width, _ = image.shape
    angle, out = math.radians(degrees), np.zeros(image.shape)
    for row, col in product(range(height), range(width)):
        up, across = row - down - (height - 1) / 2, col - right - (width - 1) / 2
        y = math.cos(angle) * up + math.sin(angle) * across + (height - 1) / 2
        x = -math.sin(angle) * up + math.cos(angle) * across + (width - 1) / 2
        for i, j in product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
            if 0 <= i < height and 0 <= j < width:
                out[row, col] += (1 - abs(y - i)) * (1 - abs(x - j)) * image[i, j]
    return out


@pytest.mark.parametrize(
    "move", [(0, 0, 0), (30, 0, 0), (-17.5, 1.5, -2), (90, 0, 0), (5, 0.25, 3), (0, 9, 9)]
)
def test_a_move_is_the_slow_one_to_a_level_and_a_256th_of_a_pixel(move: tuple[float, float, float]) -> None:
    for seed in range(3):
        image = picture(seed)
        error = np.abs(turned(image, *move) - slowly_turned(image, *move))
        assert error.max() <= 0.5 + 2 * 255 / 512 + 1e-9


def test_whole_moves_are_exact() -> None:
    image = picture()
    np.testing.assert_array_equal(turned(image, 0, 0, 0), image)
    shifted = turned(image, 0, 2, -1)
    np.testing.assert_array_equal(shifted[:-1, 2:], image[1:, :-2])
    assert not shifted[-1].any()
    assert not shifted[:, :2].any()
    square = picture(shape=(6, 6, 3))
    np.testing.assert_array_equal(turned(square, 90, 0, 0), np.rot90(square))
    np.testing.assert_array_equal(turned(square, 180, 0, 0), square[::-1, ::-1])


def test_halves_round_up() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 0], image[0, 1] = 10, 13
    assert turned(image, 0, -0.5, 0)[0, 0].tolist() == [12, 12, 12]  # 11.5


def run(
    endpoint: LinearEndpoint | StubbornEndpoint,
    images: list[Array],
    labels: list[int],
    threat: Threat,
    budget: int = 900,
) -> AttackResult:
    limits = Limits(budget)
    return asyncio.run(
        attack_all(SpatialGrid(), endpoint, images, untargeted(labels), threat=threat, limits=limits, seed=0)
    )


def grid(image: Array, degrees: float, pixels: float) -> dict[bytes, Array]:
    """All pictures of the paper's grid."""
    shifts = [-pixels, -pixels / 2, 0, pixels / 2, pixels]
    angles = [degrees * (i - 15) / 15 for i in range(31)]
    moved = [turned(image, a, r, d) for a, r, d in product(angles, shifts, shifts)]
    return {picture.tobytes(): picture for picture in moved}


def test_exactly_the_grid_is_asked() -> None:
    image, endpoint = picture(), StubbornEndpoint(0)
    result = run(endpoint, [image], [0], Spatial(30, 3))
    assert set(endpoint.asked) == set(grid(image, 30, 3))
    assert result.queries[0] == len(endpoint.asked) <= 775
    assert result.queries[0] + result.cache_hits[0] == 776  # the clean one, and all of the grid


def test_it_fools_just_what_the_grid_can_fool() -> None:
    images = [picture(seed) for seed in range(30)]
    endpoint = LinearEndpoint(SHAPE, classes=2, gain=0.01, seed=2)
    labels = [endpoint.answer(image).label for image in images]
    possible = [
        any(endpoint.answer(moved).label != label for moved in grid(image, 4, 0.5).values())
        for image, label in zip(images, labels, strict=True)
    ]
    assert 5 < sum(possible) < 25
    result = run(endpoint, images, labels, Spatial(4, 0.5))
    assert result.fooled.tolist() == possible
    for i in np.flatnonzero(result.fooled).tolist():
        assert result.images[i].tobytes() in grid(images[i], 4, 0.5)


def test_a_budget_below_the_grid_is_worst_of_k() -> None:
    endpoint = StubbornEndpoint(0)
    result = run(endpoint, [picture()], [0], Spatial(30, 3), budget=40)
    assert result.queries[0] == len(set(endpoint.asked)) == 39  # one was kept for a last check
    assert result.exhausted[0]


def test_moves_are_cut_to_the_limits() -> None:
    image, threat = picture(), Spatial(10, 2)
    np.testing.assert_array_equal(threat.enforce(image, np.array([99.0, -5, 1])), turned(image, 10, -2, 1))
    np.testing.assert_array_equal(Spatial(0, 0).enforce(image, np.array([9.0, 9, 9])), image)


@pytest.mark.parametrize(
    "proposal", [np.zeros(SHAPE, np.uint8), np.array([1.0, 2]), np.array([np.nan, 0, 0])]
)
def test_a_picture_is_no_move(proposal: Array) -> None:
    with pytest.raises(ValueError, match="degrees, right and down"):
        Spatial().enforce(picture(), proposal)


@pytest.mark.parametrize(("degrees", "pixels"), [(-1, 0), (181, 0), (0, -1), (0, math.inf), (math.nan, 0)])
def test_limits_are_checked(degrees: float, pixels: float) -> None:
    with pytest.raises(ValueError, match="180 degrees"):
        Spatial(degrees, pixels)


def test_a_spatial_threat_is_no_ball() -> None:
    threat = Spatial(15, 1)
    assert (threat.norm, threat.epsilon) == ("spatial", math.inf)
    assert str(threat) == "a turn of at most 15 degrees and a shift of at most 1 pixels"
    image = np.full((1, 1, 3), 100, np.uint8)
    assert threat.size(image, image - 30) == 30


def test_only_a_spatial_threat() -> None:
    with pytest.raises(ValueError, match="must be spatial, got linf"):
        run(StubbornEndpoint(0), [picture()], [0], Threat("linf", 8))

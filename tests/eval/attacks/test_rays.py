"""RayS reaches the plane, in whole levels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise

import numpy as np
import pytest

from eval.attacks.base import Threat, Verdict, draws
from eval.attacks.paths import pattern, ranks, smallest, stretched
from eval.attacks.rays import RayS, blocks
from models.results import Array, Classification
from tests.eval.attacks.boundaries import HalfSpace, find

THREAT = Threat("linf", 255)


@pytest.mark.parametrize("gap", [0.7, 4.3, 12.0, 31.5])
@pytest.mark.parametrize("shape", [(4, 7, 3), (9, 3, 3), (1, 23, 3)], ids=str)
def test_it_ends_at_the_plane(shape: tuple[int, int, int], gap: float) -> None:
    """Closed form: |margin| / ||w||_1, and no lattice point lies between it and the next whole level."""
    endpoint = HalfSpace(shape, gap)
    result = find(RayS(), endpoint, [endpoint.image] * 3, [0] * 3, THREAT, budget=2000)
    assert (result.distance >= gap).all()
    assert (result.distance <= max(1.05 * gap, np.ceil(gap) + 1)).all(), result.distance
    assert result.fooled.all()


def test_it_ends_at_the_plane_of_a_larger_picture() -> None:
    """Every weight is drawn on its own, so that only flips of single values tell anything."""
    endpoint = HalfSpace((32, 32, 3), 4.3)
    result = find(RayS(), endpoint, [endpoint.image], [0], THREAT, budget=20_000)
    assert result.distance.tolist() == [5]


class Cube:
    """Wrong once any value is `reach` levels from the picture: no direction is better than another."""

    def __init__(self, image: Array, reach: int) -> None:
        self.image, self.reach, self.wrong = image, reach, [False]

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        far = [int(np.abs(i.astype(int) - self.image).max()) >= self.reach for i in images]
        self.wrong += far
        return [Classification(np.array([1 - wrong, wrong], np.float32)) for wrong in far]


def test_a_flip_that_gains_nothing_is_not_taken() -> None:
    image = np.full((4, 7, 3), 100, np.uint8)
    cube = Cube(image, 5)
    result = find(RayS(), cube, [image], [0], THREAT, budget=300)
    assert result.distance.tolist() == [5]
    assert not any(cube.wrong[25:-1])  # after the first bisection and before the check
    assert result.queries[0] > 100


def test_it_stops_at_one_level() -> None:
    image = np.full((4, 7, 3), 100, np.uint8)
    result = find(RayS(), Cube(image, 1), [image], [0], THREAT, budget=300)
    assert result.distance.tolist() == [1]
    assert result.queries[0] < 25
    assert not result.exhausted[0]


@pytest.mark.parametrize("shape", [(4, 7, 3), (5, 5, 1), (1, 6, 1)], ids=str)
def test_every_level_of_blocks_covers_the_picture_once(shape: tuple[int, int, int]) -> None:
    drawn, seen = blocks(shape, draws(0, "s", "rays")), 0
    sizes: list[int] = []
    while not sizes or sizes[-1] > 1:
        covered = np.zeros(shape, int)
        first = seen
        while covered.sum() < covered.size:
            block = next(drawn)
            covered[block] += 1
            sizes.append(int(covered[block].size))
            seen += 1
        assert (covered == 1).all()
        assert seen - first <= covered.size
    for block in islice(drawn, 200):
        assert np.zeros(shape)[block].size > 0


def walk(
    boundary: int, stride: int, stands: int = 1, high: int = 1000, share: float = 0.0
) -> tuple[int, int]:
    """The step found on a path whose pictures change every `stands` steps, and the queries it took."""

    def path(step: int) -> Array:
        return np.array([step // stands // 256, step // stands % 256], np.uint8)

    talk, asked = smallest(path, high, stride, share), 0
    try:
        (picture,) = next(talk)
        while True:
            asked += 1
            fools = int(picture[0]) * 256 + int(picture[1]) >= boundary // stands
            (picture,) = talk.send([Verdict(0.0, fools)])
    except StopIteration as end:
        return int(end.value), asked


@pytest.mark.parametrize("stride", [1, 7, 1000])
@pytest.mark.parametrize("boundary", [1, 2, 3, 499, 500, 501, 998, 999, 1000])
def test_the_bisection_finds_the_first_step_that_fools(boundary: int, stride: int) -> None:
    found, asked = walk(boundary, stride)
    assert found == boundary
    assert asked <= (10 if stride == 1000 else 20)


def test_a_path_that_stands_still_is_not_asked_about_again() -> None:
    found, asked = walk(600, 1000, stands=100)
    assert found == 600
    assert asked <= 4  # eleven pictures


def test_galloping_is_cheap_for_a_small_gain() -> None:
    assert walk(999, 1)[1] == 3  # 999 fools, 997 does not, nor does 998


def test_a_rough_search_ends_when_it_is_sure_of_half_the_gain() -> None:
    found, asked = walk(500, 1, share=0.5)
    assert 500 <= found <= 750
    assert asked < walk(500, 1)[1] - 5


def test_one_step_more_moves_one_value_by_one_level_more() -> None:
    shape = (8, 16, 3)
    order, image = ranks(np.random.default_rng(0), shape), np.full(shape, 100, np.uint8)
    up, down = np.ones(shape, np.int16), -np.ones(shape, np.int16)
    sizes = [stretched(image, up, order, step).astype(int) - 100 for step in range(2 * image.size + 9)]
    for step, change in enumerate(sizes):
        assert change.min() == step // image.size
        assert change.max() == -(-step // image.size)
        assert change.sum() == step
    assert all((a <= b).all() for a, b in pairwise(sizes))
    assert np.array_equal(100 - stretched(image, down, order, 500).astype(int), sizes[500])


@pytest.mark.parametrize("side", [1, 3, 16])
def test_patterns_are_squares_of_one_sign(side: int) -> None:
    drawn = pattern(np.random.default_rng(0), (7, 12, 3), side)
    assert drawn.shape == (7, 12, 3)
    assert set(np.unique(drawn).tolist()) <= {-1, 1}
    edges = np.flatnonzero((drawn[:, 1:] != drawn[:, :-1]).any(axis=(0, 2)))
    assert len(set((edges % side).tolist())) <= 1

"""Square L2 follows its paper where it says so."""

from __future__ import annotations

import numpy as np
import pytest

from eval.attacks.base import Threat, draws, is_grey
from eval.attacks.goals.classification import Untargeted
from eval.attacks.lattice import squares_within
from eval.attacks.square_l2 import SquareL2, _moved, bump
from models.results import Array, Classification
from tests.eval.attacks.references import eta, moved_l2

EPSILON = 300.0


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12, 25])
def test_bumps_are_the_papers(size: int) -> None:
    np.testing.assert_allclose(bump(size, size), eta(size), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (5, 9), (9, 4)])
def test_bumps_that_are_not_square(shape: tuple[int, int]) -> None:
    assert bump(*shape).shape == shape
    assert np.linalg.norm(bump(*shape)) == pytest.approx(1)
    assert (bump(*shape)[: shape[0] // 2] > 0).all()
    assert (bump(*shape)[shape[0] // 2 :] < 0).all()


@pytest.mark.parametrize("sides", [(3, 3), (7, 7), (5, 9)], ids=str)
@pytest.mark.parametrize("radius", [50.0, 200.0])
def test_a_step_is_algorithm_3(sides: tuple[int, int], radius: float) -> None:
    """The same draws into the loops of the reference, overlapping windows included."""
    delta = np.random.default_rng(0).integers(-5, 6, (11, 13, 3))
    for step in range(40):
        draw = draws(step, "s", "square_l2")
        ours, rng = _moved(delta, sides, radius, draw(1)), draw(1)
        places = [rng.integers(0, (12 - sides[0], 14 - sides[1])) for _ in range(2)]
        shape = bump(*sides) if rng.integers(2) else bump(*sides[::-1]).T
        signs = rng.integers(0, 2, 3) * 2 - 1
        theirs = moved_l2(delta.astype(np.float64), np.array(places), shape, signs, radius)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def dialogue(
    shape: tuple[int, int, int], answers: list[float], *, grey: bool = False, start: float = 0.3
) -> list[Array]:
    """The clean picture, and those proposed while the probability of its label is as told."""
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = np.repeat(image[..., :1], 3, axis=2) if grey else image
    goal = Untargeted(0)
    talk = SquareL2(start=start).run(image, goal, Threat("l2", EPSILON), draws(0, "s", "square_l2"), 60)
    proposed = [talk.send(None)[0]]  # type: ignore[arg-type]  # starts it
    for sure in answers:
        proposed.append(talk.send([goal.judge(Classification(np.array([sure, 1 - sure], np.float32)))])[0])
    return [image, *proposed]


def squares(image: Array, moved: Array) -> int:
    return int(((moved.astype(np.int64) - image) ** 2).sum())


FALLING = np.linspace(0.99, 0.6, 40).tolist()
SHAPES = [(20, 30, 3), (30, 20, 3), (5, 40, 3), (8, 8, 3), (2, 2, 3), (1, 7, 3), (1, 1, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("start", [0.02, 0.8])
def test_it_stays_in_the_ball_on_any_picture(shape: tuple[int, int, int], grey: bool, start: float) -> None:
    image, *proposed = dialogue(shape, FALLING, grey=grey, start=start)
    for picture in proposed:
        assert picture.dtype == np.uint8
        assert squares(image, picture) <= squares_within(EPSILON)
        assert is_grey(picture) or not grey


def test_it_begins_with_bumps_all_over_that_use_the_ball() -> None:
    image, first = dialogue((20, 30, 3), [])
    assert squares(image, first) > 0.8 * EPSILON**2  # some was cut at 0 and 255
    changed = (first != image).any(axis=2)
    assert changed.any(axis=1).all()
    assert changed[:, 1:-1].any(axis=0).all()  # 30 is 7 bumps of 4 and a column at either side


def test_norm_comes_from_two_windows_and_goes_into_one() -> None:
    image, first, second = dialogue((40, 60, 3), [0.9], start=0.02)
    before, after = (np.sqrt(((p.astype(float) - image) ** 2).sum(axis=2)) for p in (first, second))
    grown, shrunk = after > before + 3, (before > 3) & (after == 0)
    assert grown.any()
    assert shrunk.any()
    for part in (grown, shrunk):
        rows, cols = np.nonzero(part)
        assert max(np.ptp(rows), np.ptp(cols)) < 7  # sqrt(0.02 * 40 * 60) = 6.9, so 7


def test_a_worse_proposal_is_forgotten_and_a_better_one_kept() -> None:
    same = dialogue((20, 30, 3), [0.8, 0.9], start=0.02)
    kept = dialogue((20, 30, 3), [0.8, 0.7], start=0.02)
    assert np.array_equal(same[2], kept[2])
    assert not np.array_equal(same[3], kept[3])
    moved = [int((p[3].astype(int) != p[1]).any(axis=2).sum()) for p in (same, kept)]
    assert moved[1] > moved[0]

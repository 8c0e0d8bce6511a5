"""Attacks that look for the smallest change: what they may ask, what they may report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Attack, Threat, is_grey, on_lattice
from eval.attacks.results import AttackResult
from eval.attacks.tables import ATTACKS
from models.results import Array, Classification
from tests.doubles import ScrambledEndpoint, StubbornEndpoint
from tests.eval.attacks.boundaries import HalfSpace, Hills, LabelOnly, find

MINIMISING = {name: attack for name, attack in ATTACKS.items() if attack.minimises}
EACH = pytest.mark.parametrize("attack", MINIMISING.values(), ids=MINIMISING)
SHAPE = (6, 9, 3)
WIDE = Threat("linf", 255)


def pictures(count: int, grey: bool = False) -> list[Array]:
    drawn = np.random.default_rng(5).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    return list(np.repeat(drawn[..., :1], 3, axis=3) if grey else drawn)


def right(endpoint: Hills, images: list[Array]) -> list[int]:
    return [int(label) for label in endpoint.labels(np.stack(images).astype(float))]


def same(one: AttackResult, other: AttackResult) -> None:
    for name in ("queries", "queries_to_fool", "distance", "fooled", "claimed", "predicted"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert all(np.array_equal(a, b) for a, b in zip(one.images, other.images, strict=True))


def test_there_are_two_of_them() -> None:
    assert {"rays", "hopskipjump"} <= set(MINIMISING)


@EACH
def test_success_is_inside_the_threat_only(attack: Attack) -> None:
    """The same walk, whatever the threat: only what counts differs."""
    endpoint, images = Hills(SHAPE), pictures(12)
    labels = right(endpoint, images)
    wide = find(attack, endpoint, images, labels, WIDE, budget=200)
    assert wide.fooled.all()
    middle = float(np.median(wide.distance))
    tight = find(attack, endpoint, images, labels, Threat("linf", middle), budget=200)
    np.testing.assert_array_equal(tight.distance, wide.distance)
    np.testing.assert_array_equal(tight.fooled, wide.distance <= middle)
    np.testing.assert_array_equal(tight.claimed, tight.fooled)
    assert 0 < tight.fooled.sum() < 12
    assert tight.reverify_rate == 1
    assert tight.median_perturbation == wide.median_perturbation == middle
    assert tight.mean_perturbation == pytest.approx(wide.distance.mean())
    for i, image in enumerate(images):
        assert WIDE.size(image, tight.images[i]) == tight.distance[i]
        assert right(endpoint, [tight.images[i]]) == [tight.predicted[i]] != [labels[i]]


@EACH
def test_queries_to_fool_end_at_the_first_success(attack: Attack) -> None:
    endpoint, images = Hills(SHAPE), pictures(12)
    found = find(attack, endpoint, images, right(endpoint, images), Threat("linf", 40), budget=200)
    won = found.fooled
    assert won.any()
    assert (found.queries_to_fool[won] < found.queries[won]).all()
    assert (found.queries_to_fool[won] >= 3).all()
    assert (found.queries_to_fool[~won] == 0).all()
    shorter = find(
        attack,
        endpoint,
        images,
        right(endpoint, images),
        Threat("linf", 40),
        budget=int(found.queries_to_fool[won].min()),
    )
    assert shorter.fooled.sum() >= 1
    assert found.query_curve()[0][0] == found.queries_to_fool[won].min()


@EACH
@pytest.mark.parametrize("budget", [3, 4, 9, 50, 333])
def test_the_budget_holds_and_the_last_query_is_the_check(attack: Attack, budget: int) -> None:
    endpoint = HalfSpace(SHAPE, 5.0)
    result = find(attack, endpoint, [endpoint.image], [0], WIDE, budget=budget)
    assert len(endpoint.asked) == result.queries[0] <= budget
    if result.fooled[0]:
        assert np.array_equal(endpoint.asked[-1], result.images[0])
        assert sum(np.array_equal(asked, result.images[0]) for asked in endpoint.asked) == 2
    assert all(asked.dtype == np.uint8 for asked in endpoint.asked)


@EACH
def test_more_budget_never_finds_a_larger_change(attack: Attack) -> None:
    endpoint, images = Hills(SHAPE), pictures(6)
    found = [
        find(attack, endpoint, images, right(endpoint, images), WIDE, budget=b).perturbations
        for b in (40, 120, 400)
    ]
    assert (found[1] <= found[0]).all()
    assert (found[2] <= found[1]).all()
    assert (found[2] < found[1]).any()


@EACH
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_nothing_but_the_label_is_read(attack: Attack, norm: Any) -> None:
    if norm not in attack.norms:
        pytest.skip(f"{attack.name} is of {attack.norms}")
    endpoint, images = ScrambledEndpoint(SHAPE, order_seed=3), pictures(5)
    labels, threat = [endpoint.answer(image).label for image in images], Threat(norm, 60)
    same(
        find(attack, endpoint, images, labels, threat, budget=150),
        find(attack, LabelOnly(endpoint), images, labels, threat, budget=150, batch=3, in_flight=2),
    )


@EACH
def test_grey_stays_grey_and_is_fooled(attack: Attack) -> None:
    endpoint, images = Hills(SHAPE, seed=2), pictures(8, grey=True)
    result = find(attack, endpoint, images, right(endpoint, images), WIDE, budget=200)
    assert result.fooled.sum() >= 6
    assert all(is_grey(image) for image in result.images)


@EACH
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (9, 2, 3), (17, 3, 3)], ids=str)
def test_any_shape(attack: Attack, shape: tuple[int, int, int]) -> None:
    endpoint = HalfSpace(shape, 3.5)
    result = find(attack, endpoint, [endpoint.image], [0], WIDE, budget=300)
    assert result.fooled.tolist() == [True]
    assert 3.5 <= result.distance[0] < 60


@EACH
def test_a_stubborn_endpoint_leaves_nothing(attack: Attack) -> None:
    images = pictures(2)
    result = find(attack, StubbornEndpoint(1), images, [1, 1], WIDE, budget=60)
    assert result.distance.tolist() == [0, 0]
    assert result.median_perturbation is None
    assert result.mean_perturbation is None
    assert all(np.array_equal(a, b) for a, b in zip(images, result.images, strict=True))


class Repenting(HalfSpace):
    """Wrong beyond the plane once; right about a picture it was asked about before."""

    async def predict(self, images: Any) -> Any:
        known = {image.tobytes() for image in self.asked}
        answers = await super().predict(images)
        sure = Classification(np.array([1, 0], np.float32))
        return [sure if i.tobytes() in known else a for i, a in zip(images, answers, strict=True)]


@EACH
def test_a_change_that_does_not_fool_again_is_no_success(attack: Attack) -> None:
    endpoint = Repenting(SHAPE, 5.0)
    result = find(attack, endpoint, [endpoint.image], [0], WIDE, budget=100)
    assert result.claimed.tolist() == [2]  # the smallest change, and the same as large as is allowed
    assert result.fooled.tolist() == [False]
    assert result.queries.max() <= 100
    assert result.queries_to_fool.tolist() == [0]
    assert result.perturbations.tolist() == [np.inf]
    assert result.reverify_rate == 0


class Trembling(HalfSpace):
    """Its plane is a little nearer or farther each time."""

    async def predict(self, images: Any) -> Any:
        answers = []
        for image in images:
            rng = np.random.default_rng(len(self.asked))
            self.asked.append(image)
            side = float((self.weight * image).sum()) >= self.offset * (1 + rng.normal(0, 2e-2))
            answers.append(Classification(np.array([1 - side, side], np.float32)))
        return answers


@EACH
def test_noise_does_not_make_a_model_robust(attack: Attack) -> None:
    """The smallest change that fooled was lucky, and half of those do not hold; larger ones do."""
    fooled = 0
    for seed in range(12):
        endpoint = Trembling(SHAPE, 5.0, seed)
        threat = Threat("linf", 40) if "linf" in attack.norms else Threat("l2", 8 * endpoint.l2)
        result = find(attack, endpoint, [endpoint.image], [0], threat, budget=100)
        assert len(endpoint.asked) == result.queries[0] <= 100
        assert not result.fooled[0] or result.distance[0] <= threat.epsilon
        fooled += int(result.fooled[0])
    assert fooled >= 11


def test_the_nearest_picture_on_the_lattice() -> None:
    told = np.array([[[-3.0, 0.4, 0.6], [254.6, 255.2, 900.0]]])
    assert on_lattice(told).tolist() == [[[0, 0, 1], [255, 255, 255]]]

"""Pictures of a twin are asked about like all others: rounded inside, counted, and asked again."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.attacks.base import Goal, Threat
from eval.attacks.goals.classification import Targeted, Untargeted, untargeted
from eval.attacks.results import AttackResult
from eval.attacks.transfer import Transfer, packed, transfer_of, unpacked, wanted
from eval.attacks.wave import Limits, attack_all
from eval.errors import EvalError
from models.results import Array
from tests.doubles import LinearEndpoint, MoodyEndpoint, StubbornEndpoint

SHAPE = (6, 9, 3)


def pictures(count: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(count)]


def run(
    attack: Transfer, endpoint: StubbornEndpoint | LinearEndpoint, images: list[Array], labels: list[int]
) -> AttackResult:
    goals, threat = untargeted(labels), Threat("linf", 8)
    return asyncio.run(attack_all(attack, endpoint, images, goals, threat=threat, limits=Limits(5), seed=0))


def test_a_picture_is_asked_once_and_inside_the_threat() -> None:
    images, far = pictures(3), pictures(3, seed=1)
    endpoint = StubbornEndpoint(0)
    result = run(transfer_of("pgd", images, untargeted([0, 0, 0]), far), endpoint, images, [0, 0, 0])
    assert result.attack == "pgd"
    assert result.queries.tolist() == [2, 2, 2]
    sent = [np.frombuffer(data, np.uint8).reshape(SHAPE) for data in endpoint.asked]
    assert sorted(min(Threat("linf", 8).size(i, s) for i in images) for s in sent) == [0, 0, 0, 8, 8, 8]


def test_what_fools_is_asked_again() -> None:
    images = pictures(6)
    endpoint = LinearEndpoint(SHAPE)
    labels = [endpoint.answer(image).label for image in images]
    slopes = [endpoint.weight[(label + 1) % 3] - endpoint.weight[label] for label in labels]
    made = [
        Threat("linf", 8).enforce(image, image + 8 * np.sign(slope).reshape(SHAPE))
        for image, slope in zip(images, slopes, strict=True)
    ]
    attack = transfer_of("fgsm", images, untargeted(labels), made)
    result = run(attack, endpoint, images, labels)
    assert result.fooled.any()
    assert result.queries.tolist() == [3 if fooled else 2 for fooled in result.fooled]
    assert result.queries.max() <= attack.most(500)
    assert result.reverify_rate == 1


def test_a_lie_told_once_is_no_success() -> None:
    images = pictures(1)
    attack = transfer_of("pgd", images, untargeted([0]), pictures(1, seed=1))
    result = run(attack, MoodyEndpoint(), images, [0])
    assert (result.claimed.tolist(), result.fooled.tolist()) == ([True], [False])


def test_an_image_has_a_picture_for_each_goal() -> None:
    (image,), made = pictures(1), pictures(4, seed=2)
    goals: list[Goal] = [Untargeted(0), Untargeted(1), Targeted(0, 1), Targeted(0, 2)]
    attack = transfer_of("pgd", [image] * 4, goals, made)
    for goal, picture in zip(goals, made, strict=True):
        talk = attack.run(image, goal, Threat("linf", 8), lambda step: np.random.default_rng(step), 1)
        assert np.array_equal(next(talk)[0], picture)


class Erase:
    """A goal that is none of classes."""

    name, graded, truth, starts = "erase", True, -1, ()


def test_a_picture_for_every_image() -> None:
    images = pictures(2)
    with pytest.raises(ValueError, match="zip"):
        transfer_of("pgd", images, untargeted([0, 0]), images[:1])
    attack = transfer_of("pgd", images[:1], untargeted([0]), images[:1])
    with pytest.raises(ValueError, match="must have been made for every image"):
        run(attack, StubbornEndpoint(0), images, [0, 0])
    with pytest.raises(EvalError, match="need a goal of classes, got erase"):
        wanted(Erase())  # type: ignore[arg-type]  # it judges nothing


def test_two_methods_are_two_attacks() -> None:
    images = pictures(1)
    one, other = (transfer_of(name, images, untargeted([0]), images) for name in ("pgd", "apgd_ce"))
    assert (one.name, other.name, Transfer.name) == ("pgd", "apgd_ce", "transfer")
    assert repr(one) == "Transfer(method='pgd', white_box=True, told='')"


def test_a_surrogate_is_never_called_white_box() -> None:
    own, other = (Transfer("pgd", {}, white_box) for white_box in (True, False))
    assert (own.name, other.name) == ("pgd", "transfer_pgd")
    assert any("white-box" in tag for tag in own.tags)
    assert not any("white-box" in tag for tag in other.tags)


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12))
def test_any_picture_can_be_packed(one: bytes, other: bytes) -> None:
    image, picture = (np.frombuffer(data, np.uint8).reshape(2, 2, 3) for data in (one, other))
    again = unpacked(packed(picture, image), image)
    assert again.dtype == np.uint8
    assert np.array_equal(again, picture)


def test_changes_take_a_fraction_of_the_pictures() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(20, 236, (64, 64, 3), dtype=np.uint8)
    ends = (image + 8 * rng.choice([-1, 1], image.shape)).astype(np.uint8)
    inside = (image + rng.integers(-8, 9, image.shape)).astype(np.uint8)
    assert len(packed(ends, image)) < image.nbytes / 4
    assert len(packed(inside, image)) < image.nbytes * 0.7

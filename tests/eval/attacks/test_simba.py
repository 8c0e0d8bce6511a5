"""SimBA follows its paper where it says so, on whole levels."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from eval.attacks.base import Attack, Threat, draws
from eval.attacks.goals.classification import Untargeted, untargeted
from eval.attacks.results import AttackResult
from eval.attacks.simba import Simba, SimbaDCT
from eval.attacks.wave import Limits, attack_all
from models.results import Array, Classification
from tests.doubles import LinearEndpoint

SHAPE = (5, 8, 3)


def picture(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Array:
    return np.random.default_rng(seed).integers(100, 156, shape, dtype=np.uint8)


def asked(
    attack: Attack,
    threat: Threat,
    sure: list[float],
    shape: tuple[int, int, int] = SHAPE,
    image: Array | None = None,
) -> list[Array]:
    """Everything asked about, the clean picture first, while the label's probability is as told."""
    image = picture(shape=shape) if image is None else image
    goal = Untargeted(0)
    talk = attack.run(image, goal, threat, draws(0, "s", attack.name), 6200)
    pictures = [talk.send(None)[0]]  # type: ignore[arg-type]  # starts it
    try:
        for share in sure:
            told = Classification(np.array([share, 1 - share], np.float32))
            pictures.append(talk.send([goal.judge(told)])[0])
    except StopIteration:
        pass
    return [p.astype(np.int64) for p in pictures]


@pytest.mark.parametrize("attack", [Simba(), SimbaDCT()], ids=repr)
def test_the_other_sign_is_tried_before_the_next_direction(attack: Attack) -> None:
    clean, plus, minus, other = asked(attack, Threat("linf", 8), [0.9, 0.95, 0.95])
    np.testing.assert_array_equal(plus - clean, clean - minus)
    assert np.abs(plus - clean).max() == 8
    assert not np.array_equal(np.abs(other - clean), np.abs(plus - clean))


@pytest.mark.parametrize("attack", [Simba(), SimbaDCT()], ids=repr)
def test_what_helped_is_built_on(attack: Attack) -> None:
    clean, plus, onward, again = asked(attack, Threat("l2", 300), [0.9, 0.8, 0.85])
    first, second = plus - clean, onward - plus
    assert first.any()
    assert (first * second).sum() <= 0.1 * np.linalg.norm(first) * np.linalg.norm(second)  # rounded waves
    np.testing.assert_array_equal(again - plus, -second)


def test_every_value_has_its_turn_once_a_pass() -> None:
    clean, *rest = asked(Simba(), Threat("linf", 3), [0.9] * 1000)
    assert len(rest) == 2 * clean.size  # both signs, and no second pass: nothing helped
    where = [int(np.flatnonzero(p - clean)[0]) for p in rest[::2]]
    assert sorted(where) == list(range(clean.size))
    assert where != sorted(where)


def cosines(size: int) -> Array:
    """Rows of the DCT-II, straight from its definition, highest value 1."""
    table = np.cos(np.pi * np.outer(np.arange(size), np.arange(size) + 0.5) / size)
    highest_one: Array = table / np.abs(table).max(axis=1, keepdims=True)
    return highest_one


def test_long_waves_come_first() -> None:
    """On 32 x 64 an eighth is 4 by 8 frequencies; each later block adds a row and two columns."""
    clean, *rest = asked(SimbaDCT(), Threat("linf", 60), [0.9] * 6143, (32, 64, 3))
    rows, cols = cosines(32), cosines(64)
    found = []
    for change in (p - clean for p in rest[: 2 * 3 * 60 : 2]):
        (channel,) = np.flatnonzero(change.any(axis=(0, 1)))
        spectrum = np.abs(rows @ change[..., channel] @ cols.T)
        row, col = np.unravel_index(spectrum.argmax(), spectrum.shape)
        found.append((int(row), int(col), int(channel)))
    low = {(r, c, channel) for r in range(4) for c in range(8) for channel in range(3)}
    following = {(r, c, channel) for r in range(5) for c in range(10) for channel in range(3)} - low
    assert set(found[:96]) == low
    assert found[:96] != sorted(found[:96])
    assert set(found[96:150]) == following
    assert len(set(found)) == len(found)


def test_waves_are_rounded_cosines() -> None:
    clean, *rest = asked(SimbaDCT(), Threat("linf", 9), [0.9] * 1000)
    exact = {
        tuple(np.rint(9 * np.outer(row, col)).astype(int).ravel().tolist())
        for row in cosines(SHAPE[0])
        for col in cosines(SHAPE[1])
    }
    seen = set()
    for change in (p - clean for p in rest[::2]):
        (channel,) = np.flatnonzero(change.any(axis=(0, 1)))
        seen.add(tuple(change[..., channel].ravel().tolist()))
    assert seen == exact


@pytest.mark.parametrize("attack", [Simba(), SimbaDCT()], ids=repr)
def test_what_changes_nothing_is_not_asked_about(attack: Attack) -> None:
    """Black cannot get darker: a value has one sign, and so has a wave without a trough."""
    clean, *rest = asked(attack, Threat("linf", 5), [0.9] * 1000, image=np.zeros(SHAPE, np.uint8))
    assert all((p != clean).any() for p in rest)
    grey = clean.size // 3
    assert len(rest) == (grey if attack.name == "simba" else 2 * grey - 1)


def test_it_ends_when_the_ball_has_no_room() -> None:
    falling = np.linspace(0.99, 0.2, 400).tolist()
    clean, *rest = asked(Simba(step=40), Threat("l2", 100), falling)
    changes = [((p - clean) ** 2).sum() for p in rest]
    assert max(changes) == 6 * 40**2  # 7 would be 105.8 levels
    assert len(rest) == 6


def run(attack: Attack, endpoint: LinearEndpoint, image: Array, threat: Threat, budget: int) -> AttackResult:
    label = endpoint.answer(image).label
    return asyncio.run(
        attack_all(
            attack, endpoint, [image], untargeted([label]), threat=threat, limits=Limits(budget), seed=0
        )
    )


@pytest.mark.parametrize("seed", range(8))
def test_on_a_linear_model_it_finds_the_smallest_whole_radius(seed: int) -> None:
    """One pass over the values puts every one of them where the model likes it least."""
    endpoint, image = LinearEndpoint(SHAPE, 2, gain=0.01, seed=seed), picture(seed)
    weight = endpoint.weight[0] - endpoint.weight[1]
    least = abs(float(weight @ image.ravel())) / np.abs(weight).sum()
    enough, short = Threat("linf", int(np.ceil(least * 1.001))), Threat("linf", max(1, int(least * 0.999)))
    budget = 2 * image.size + 3
    assert run(Simba(), endpoint, image, enough, budget).fooled[0]
    assert not run(Simba(), endpoint, image, short, budget).fooled[0] or least < 1


@pytest.mark.parametrize("attack", [Simba(), SimbaDCT()], ids=repr)
def test_no_step_is_longer_than_the_range(attack: Attack) -> None:
    """However much room there is: whole levels are kept in 16 bits."""
    for picture in asked(attack, Threat("l2", 1e6), [0.9] * 20, image=np.full(SHAPE, 40, np.uint8)):
        assert picture.max() == 255 or picture.min() == 0 or (picture == 40).all()

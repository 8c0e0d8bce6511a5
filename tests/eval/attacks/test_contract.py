"""Every attack keeps its promises, whatever the endpoint answers."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from eval.attacks import wave
from eval.attacks.base import Attack, Draw, Threat, draws, is_grey
from eval.attacks.goals.classification import Targeted, untargeted
from eval.attacks.goals.segmentation import Pixels
from eval.attacks.results import AttackResult, worst_case
from eval.attacks.spatial import Spatial
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, Progress, attack_all
from eval.errors import BudgetExceeded, EndpointError
from eval.packed import pack
from models.results import Array, Classification, Segmentation
from tests.doubles import (
    FailingEndpoint,
    LinearEndpoint,
    MoodyEndpoint,
    ScrambledEndpoint,
    StubbornEndpoint,
)

SHAPE = (6, 9, 3)  # never square
THREATS = [
    Threat("linf", 8),
    Threat("linf", 2.6),
    Threat("l2", 90),
    Threat("l2", 7.3),
    Spatial(20, 1.5),
    Spatial(0, 2),
]
EACH = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
WITHIN = pytest.mark.parametrize(
    ("attack", "threat"), [(a, t) for a in ATTACKS.values() for t in THREATS if t.norm in a.norms], ids=str
)


def usual(attack: Attack) -> Threat:
    """The first threat that the attack can keep to."""
    return next(threat for threat in THREATS if threat.norm in attack.norms)


def pictures(count: int = 5, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(count)]


def run(
    attack: Attack, endpoint: Any, images: list[Array], labels: list[int], **options: Any
) -> AttackResult:
    threat = options.pop("threat", usual(attack))
    seed, samples = options.pop("seed", 0), options.pop("samples", None)
    progress = options.pop("progress", None)
    limits = Limits(**{"budget": 40, **options})
    told = attack_all(
        attack,
        endpoint,
        images,
        untargeted(labels),
        threat=threat,
        limits=limits,
        seed=seed,
        samples=samples,
        progress=progress,
    )
    return asyncio.run(told)


def right_labels(endpoint: LinearEndpoint, images: list[Array]) -> list[int]:
    return [endpoint.answer(image).label for image in images]


def same(one: AttackResult, other: AttackResult) -> None:
    for name in AttackResult.__slots__:
        left, right = getattr(one, name), getattr(other, name)
        if name == "images":
            assert all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))
        elif name == "answers":
            assert [a and pack(a) for a in left] == [b and pack(b) for b in right]
        else:
            np.testing.assert_array_equal(left, right)


@WITHIN
def test_everything_sent_is_inside_the_threat(attack: Attack, threat: Threat) -> None:
    if attack.minimises:
        pytest.skip("asks beyond the threat; see test_boundary.py for what it may report")
    (image,) = pictures(1)
    endpoint = StubbornEndpoint(0)
    run(attack, endpoint, [image], [0], threat=threat)
    for sent in endpoint.asked:
        assert threat.size(image, np.frombuffer(sent, np.uint8).reshape(SHAPE)) <= threat.epsilon
    assert len(endpoint.asked) > 2


@WITHIN
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (4, 1, 3), (2, 3, 3), (40, 4, 3)], ids=str)
def test_any_picture_can_be_attacked(attack: Attack, threat: Threat, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, shape, dtype=np.uint8),
        np.zeros(shape, np.uint8),
        np.full(shape, 255, np.uint8),
    ]
    result = run(attack, StubbornEndpoint(0), images, [0] * 3, threat=threat, budget=25)
    assert result.robust_accuracy == 1
    assert not result.errors.any()


@EACH
@pytest.mark.parametrize("norm", ["linf", "l2", "spatial"])
def test_another_kind_of_threat_is_refused(attack: Attack, norm: str) -> None:
    if norm in attack.norms:
        pytest.skip("this kind it can keep to")
    threat = next(threat for threat in THREATS if threat.norm == norm)
    with pytest.raises(ValueError, match=f"must be .*, got {norm}"):
        run(attack, StubbornEndpoint(0), pictures(1), [0], threat=threat)


@EACH
def test_same_seed_same_pixels(attack: Attack) -> None:
    images = pictures()
    labels = right_labels(LinearEndpoint(SHAPE), images)
    same(
        run(attack, LinearEndpoint(SHAPE), images, labels), run(attack, LinearEndpoint(SHAPE), images, labels)
    )
    other = run(attack, StubbornEndpoint(0), images, [0] * 5, seed=1)
    assert (
        any(
            (a != b).any()
            for a, b in zip(
                other.images, run(attack, StubbornEndpoint(0), images, [0] * 5).images, strict=True
            )
        )
        or not (other.best_loss < other.start_loss).any()
    )


@EACH
@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_batching_and_order_change_nothing(attack: Attack, batch: int, in_flight: int) -> None:
    images = pictures(7)
    plain = LinearEndpoint(SHAPE)
    labels = right_labels(plain, images)
    scrambled = ScrambledEndpoint(SHAPE, order_seed=batch * 10 + in_flight)
    same(
        run(attack, plain, images, labels),
        run(attack, scrambled, images, labels, batch=batch, in_flight=in_flight),
    )


@EACH
def test_neighbours_change_nothing(attack: Attack) -> None:
    images = pictures()
    labels = right_labels(LinearEndpoint(SHAPE), images)
    names = ["a", "b", "c", "d", "e"]
    together = run(attack, LinearEndpoint(SHAPE), images, labels, samples=names)
    alone = run(attack, LinearEndpoint(SHAPE), images[2:3], labels[2:3], samples=["c"])
    assert np.array_equal(together.images[2], alone.images[0])
    assert together.queries[2] == alone.queries[0]


@EACH
def test_an_impossible_endpoint_is_never_fooled(attack: Attack) -> None:
    result = run(attack, StubbornEndpoint(1), pictures(), [1] * 5)
    assert not result.claimed.any()
    assert result.robust_accuracy == result.clean_accuracy == 1
    assert result.reverify_rate is None


@EACH
def test_the_budget_is_a_hard_stop(attack: Attack) -> None:
    endpoint = StubbornEndpoint(0)
    result = run(attack, endpoint, pictures(2), [0, 0], budget=10)
    assert result.queries.max() <= 10
    assert len(endpoint.asked) == result.queries.sum()


class WrongFrom(StubbornEndpoint):
    """Right until so many pictures were asked about, then wrong."""

    def __init__(self, asked: int) -> None:
        super().__init__(0)
        self.turning = asked

    async def predict(self, images: Any) -> Any:
        answers = []
        for image in images:
            (right,) = await super().predict([image])
            wrong = Classification(right.scores[::-1].copy())
            answers.append(wrong if len(self.asked) >= self.turning else right)
        return answers


@pytest.mark.parametrize("turning", range(2, 13))
def test_the_last_check_is_inside_the_budget(turning: int) -> None:
    """However late the success comes, asking again does not go over."""
    endpoint = WrongFrom(turning)
    result = run(ATTACKS["uniform_noise"], endpoint, pictures(1), [0], budget=10)
    assert len(endpoint.asked) == result.queries[0] <= 10
    assert result.fooled[0] == (turning <= 9)


@WITHIN
def test_grey_pictures_stay_grey(attack: Attack, threat: Threat) -> None:
    grey = np.repeat(pictures(1)[0][..., :1], 3, axis=2)
    endpoint = StubbornEndpoint(0)
    run(attack, endpoint, [grey], [0], threat=threat)
    assert all(is_grey(np.frombuffer(sent, np.uint8).reshape(SHAPE)) for sent in endpoint.asked)


def test_a_clean_mistake_costs_one_query() -> None:
    result = run(ATTACKS["square"], StubbornEndpoint(2), pictures(3), [0, 0, 2])
    assert result.clean_correct.tolist() == [False, False, True]
    assert result.queries.tolist()[:2] == [1, 1]
    assert not result.fooled.any()
    assert result.robust_accuracy == pytest.approx(1 / 3)


def test_a_lie_told_once_is_no_success() -> None:
    """The final bytes are asked again, past the cache."""
    result = run(ATTACKS["square"], MoodyEndpoint(), pictures(1), [0])
    assert result.claimed.tolist() == [True]
    assert result.fooled.tolist() == [False]
    assert result.reverify_rate == 0
    assert result.robust_accuracy == 1


def test_a_claim_that_does_not_hold_ends_nothing() -> None:
    """The attack is told that it was none, and goes on until one holds."""

    class Capricious(LinearEndpoint):
        """Its first five wrong answers are slips."""

        def __init__(self) -> None:
            super().__init__(SHAPE, gain=0.05)
            self.slips = dict[bytes, int]()

        async def predict(self, images: Any) -> Any:
            answers = await super().predict(images)
            for at, image in enumerate(images):
                seen = self.slips.get(image.tobytes(), 0)
                if len(self.asked) > 1 and (seen or len(self.slips) < 5):
                    self.slips[image.tobytes()] = seen + 1
                    answers[at] = Classification(np.roll(answers[at].scores, 1 - min(seen, 1)))
            return answers

    image = pictures(1, seed=3)
    label = right_labels(LinearEndpoint(SHAPE, gain=0.05), image)
    result = run(ATTACKS["square"], Capricious(), image, label, threat=Threat("linf", 40), budget=200)
    assert result.claimed.tolist() == [6]
    assert result.fooled.tolist() == [True]
    assert result.reverify_rate == pytest.approx(1 / 6)
    assert result.queries_to_fool[0] == result.queries[0]


def test_what_fooled_is_what_was_sent_last() -> None:
    images = pictures()
    endpoint = LinearEndpoint(SHAPE, gain=0.2)
    labels = right_labels(endpoint, images)
    result = run(ATTACKS["square"], endpoint, images, labels, threat=Threat("linf", 60), budget=100)
    assert result.fooled.any()
    assert result.reverify_rate == 1
    for i in np.flatnonzero(result.fooled).tolist():
        assert endpoint.answer(result.images[i]).label == result.predicted[i] != labels[i]
        assert endpoint.asked.count(result.images[i].tobytes()) == 2  # once found, once asked again


def test_repeats_are_answered_without_asking() -> None:
    """A one-pixel picture has few neighbours on the lattice."""
    image = np.full((1, 1, 3), 100, np.uint8)
    endpoint = StubbornEndpoint(0)
    result = run(ATTACKS["uniform_noise"], endpoint, [image], [0], threat=Threat("linf", 1))
    assert result.cache_hits[0] > 0
    assert len(set(endpoint.asked)) == len(endpoint.asked) == result.queries[0]
    assert result.queries[0] == 3  # one level darker, the same, one lighter


def test_who_cannot_be_asked_fails_alone() -> None:
    """The others of its requests are asked again without it."""
    images = pictures(6)
    for image in images:
        image[0, 0, 0] = 10
    images[4][0, 0, 0] = 250
    result = run(ATTACKS["square"], FailingEndpoint(0), images, [0] * 6, batch=6)
    assert result.errors.tolist() == [False] * 4 + [True, False]


class Nobody:
    """Answers so many requests, then no more."""

    def __init__(self, answered: int) -> None:
        self.inner, self.left, self.asked = StubbornEndpoint(0), answered, 0

    async def predict(self, images: Any) -> Any:
        self.left -= 1
        self.asked += 1
        if self.left < 0:
            raise EndpointError("nobody is there")
        return await self.inner.predict(images)


def test_an_endpoint_that_is_gone_is_given_up() -> None:
    endpoint = Nobody(3)
    with pytest.raises(EndpointError, match="nobody is there"):
        run(ATTACKS["square"], endpoint, pictures(40), [0] * 40, batch=1, in_flight=2)
    assert endpoint.asked < 20


def test_errors_are_neither_robust_nor_fooled() -> None:
    images = pictures(3)
    for i, level in enumerate((10, 250, 10)):
        images[i][0, 0, 0] = level
    result = run(ATTACKS["square"], FailingEndpoint(0), images, [0] * 3, batch=1)
    assert result.errors.tolist() == [False, True, False]
    assert result.robust_accuracy == pytest.approx(2 / 3)
    assert not result.valid


class FailingAtTheEnd(WrongFrom):
    """Gone after the first wrong answer."""

    async def predict(self, images: Any) -> Any:
        if len(self.asked) >= self.turning:
            raise EndpointError("gone")
        return await super().predict(images)


def test_a_claim_that_cannot_be_checked_is_an_error() -> None:
    result = run(ATTACKS["square"], FailingAtTheEnd(4), pictures(1), [0])
    assert result.errors.tolist() == [True]
    assert not result.claimed.any()
    assert result.reverify_rate is None


def test_less_than_a_level_is_no_room() -> None:
    """Nothing but the clean picture is inside; nothing else is asked."""
    result = run(ATTACKS["square"], StubbornEndpoint(0), pictures(2), [0, 0], threat=Threat("linf", 0.5))
    assert result.queries.tolist() == [1, 1]
    assert result.robust_accuracy == 1


def test_a_budget_has_room_for_one_proposal() -> None:
    with pytest.raises(BudgetExceeded, match="at least 3"):
        run(ATTACKS["square"], StubbornEndpoint(0), pictures(4), [0] * 4, budget=2)


@EACH
def test_no_more_is_asked_than_was_announced(attack: Attack) -> None:
    """A dry run adds these up."""
    result = run(attack, StubbornEndpoint(0), pictures(2), [0] * 2, budget=90)
    assert result.queries.max() <= attack.most(90) <= 90


class Slippery(StubbornEndpoint):
    """Every picture but the clean one is wrong the first time it is asked about, and right when checked."""

    async def predict(self, images: Any) -> Any:
        seen = set(self.asked)
        answers = await super().predict(images)
        wrong = Classification(np.array([0.1, 0.8, 0.1], np.float32))
        known = [image.tobytes() in seen or not seen for image in images]
        return [right if told else wrong for right, told in zip(answers, known, strict=True)]


@EACH
def test_claims_that_never_hold_are_inside_what_was_announced(attack: Attack) -> None:
    """Each is checked; where an attack needs less than its budget, that must not come on top."""
    endpoint = Slippery(0)
    result = run(attack, endpoint, pictures(1), [0], budget=2000)
    assert result.claimed[0] >= 1
    assert not result.fooled.any()
    assert len(endpoint.asked) == result.queries[0] <= attack.most(2000)


def test_an_answer_that_cannot_be_judged_is_none() -> None:
    """It is an error of its picture, not the end of all."""
    truth = np.zeros((6, 9), np.int64)

    class Cropped(StubbornEndpoint):
        async def predict(self, images: Any) -> Any:
            return [Segmentation(truth[: 5 if image[0, 0, 0] > 127 else 6]) for image in images]

    dark, light = (np.full(SHAPE, level, np.uint8) for level in (60, 190))
    told = attack_all(
        ATTACKS["square"], Cropped(0), [dark, light], [Pixels(truth)] * 2, threat=Threat("linf", 8),
        limits=Limits(20), seed=0,
    )  # fmt: skip
    assert asyncio.run(told).errors.tolist() == [False, True]


def test_what_cannot_be_sent_toward_a_class_says_so() -> None:
    goals = [Targeted(0, 1)]
    told = attack_all(
        ATTACKS["rays"], StubbornEndpoint(0), pictures(1), goals, threat=Threat("linf", 8),
        limits=Limits(9), seed=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="rays cannot be sent toward a class"):
        asyncio.run(told)


def test_progress_adds_up() -> None:
    told: list[Progress] = []
    result = run(ATTACKS["square"], StubbornEndpoint(0), pictures(3), [0] * 3, progress=told.append)
    assert (told[-1].finished, told[-1].queries) == (3, int(result.queries.sum()))


def test_the_worst_case_is_per_sample() -> None:
    one = run(ATTACKS["square"], StubbornEndpoint(0), pictures(2), [0, 1])
    other = run(ATTACKS["square"], StubbornEndpoint(1), pictures(2), [0, 1])
    assert worst_case([one, other]).tolist() == [False, False]
    assert worst_case([one]).tolist() == [True, False]


def test_square_beats_noise() -> None:
    images = pictures(20, seed=3)
    endpoint = LinearEndpoint(SHAPE, gain=0.05)
    labels = right_labels(endpoint, images)
    square, noise = (
        run(ATTACKS[name], endpoint, images, labels, threat=Threat("linf", 20), budget=120)
        for name in ("square", "uniform_noise")
    )
    assert square.fooled.sum() > noise.fooled.sum() + 3


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        run(ATTACKS["square"], StubbornEndpoint(0), pictures(2), [0])


@EACH
def test_no_generator_is_used_after_the_next_was_drawn(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share their state, for speed; one of its own for each step must give the same."""
    images = pictures(4)
    labels = right_labels(LinearEndpoint(SHAPE, gain=0.01), images)
    shared = run(attack, LinearEndpoint(SHAPE, gain=0.01), images, labels)

    def apart(seed: int, sample: str, name: str) -> Draw:
        return lambda step: draws(seed, sample, name)(step)

    monkeypatch.setattr(wave, "draws", apart)
    same(shared, run(attack, LinearEndpoint(SHAPE, gain=0.01), images, labels))

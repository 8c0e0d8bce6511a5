"""What an endpoint gives away is seen, in every task; a sound one gives nothing away."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Threat, Verdict
from eval.attacks.goals.classification import untargeted
from eval.attacks.spatial import Spatial
from eval.checks.endpoint import NAMES, endpoint_flags, endpoint_queries
from models.results import Array, Classification, Detections, Result, Segmentation
from tests.eval.checks.masked import Linear, pictures
from tests.eval.checks.results import states

IMAGES, LABELS = pictures(Linear(), 6, 2, 8)
GOALS = untargeted(LABELS)
TICK = 0.004


class Spoken:
    """An endpoint made of a function of (picture, how many were asked before, how many with it)."""

    def __init__(self, say: Callable[[Array, int, int], Result]) -> None:
        self.say, self.asked = say, 0
        self.pictures: list[Array] = []

    async def predict(self, images: Sequence[Array]) -> list[Result]:
        told = [self.say(image, self.asked + i, len(images)) for i, image in enumerate(images)]
        self.asked += len(images)
        self.pictures += images
        return told


LINEAR = Linear()


def scored(image: Array, asked: int, company: int) -> Classification:
    return LINEAR.answer(image)


def ticking() -> Callable[[], float]:
    """A clock by which every answer takes as long."""
    ticks = itertools.count()
    return lambda: next(ticks) * TICK


def told(endpoint: Any, goals: Sequence[Any] = GOALS, **more: Any) -> dict[str, bool | None]:
    more = {"clock": ticking(), "threat": Threat("linf", 8), **more}
    return states(asyncio.run(endpoint_flags(endpoint, IMAGES[: len(goals)], goals, **more)))


def raised(endpoint: Any, **more: Any) -> list[str]:
    return [name for name, state in told(endpoint, **more).items() if state]


@pytest.mark.parametrize(
    "threat", [Threat("linf", 8), Threat("linf", 0.5), Threat("l2", 40), Spatial(), None]
)
def test_a_sound_endpoint_raises_nothing_and_all_is_measured(threat: Threat | None) -> None:
    assert told(Spoken(scored), threat=threat) == dict.fromkeys(NAMES, False)


def test_one_image_is_enough() -> None:
    assert told(Spoken(scored), goals=GOALS[:1]) == dict.fromkeys(NAMES, False)


def test_without_an_image_nothing_is_measured() -> None:
    assert told(Spoken(scored), goals=[]) == dict.fromkeys(NAMES)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_queries_are_known_before(count: int) -> None:
    endpoint = Spoken(scored)
    told(endpoint, goals=GOALS[:count])
    assert endpoint.asked == endpoint_queries(count)
    assert endpoint_queries(0) == 0


def test_random_pictures_keep_to_the_threat() -> None:
    endpoint = Spoken(scored)
    told(endpoint, threat=Threat("l2", 3))
    around = endpoint.pictures[-17 * len(IMAGES) : -5 * len(IMAGES)]
    for picture, image in zip(around, IMAGES * 12, strict=True):
        change = picture.astype(float) - image
        assert 0 < np.linalg.norm(change) <= 3


def test_random_answers() -> None:
    def noisy(image: Array, asked: int, company: int) -> Classification:
        scores = LINEAR.answer(image).scores + 1e-3 * np.sin(asked + np.arange(4))
        return Classification(scores.astype(np.float32))

    found = told(Spoken(noisy))
    assert found["not_deterministic"] is True
    assert found["batch_dependent"] is None
    assert found["stateful"] is None


def test_sums_in_another_order_are_not_random() -> None:
    def nearly(image: Array, asked: int, company: int) -> Classification:
        return Classification(LINEAR.answer(image).scores * np.float32(1 + 1e-5 * (asked % 5)))

    assert raised(Spoken(nearly)) == []


def test_batch_variant_kernels() -> None:
    def variant(image: Array, asked: int, company: int) -> Classification:
        return Classification(LINEAR.answer(image).scores * np.float32(1 if company == 1 else 0.99))

    assert raised(Spoken(variant)) == ["batch_dependent"]


def test_a_defence_that_watches() -> None:
    """After a hundred pictures it knows a search when it sees one."""

    def watching(image: Array, asked: int, company: int) -> Classification:
        return Classification(LINEAR.answer(image).scores[:: -1 if asked > 100 else 1])

    assert raised(Spoken(watching), threat=None)[:1] == ["stateful"]


@pytest.mark.parametrize(("seconds", "state"), [(0.02, True), (0.002, True), (0.0005, False)])
def test_repeated_bytes_that_come_sooner(seconds: float, state: bool) -> None:
    """Fresh bytes take so long, others a fifth of it; under a millisecond nothing can be seen."""
    now, seen = 0.0, set[bytes]()

    def timed(image: Array, asked: int, company: int) -> Classification:
        nonlocal now
        now += seconds / 5 if image.tobytes() in seen else seconds
        seen.add(image.tobytes())
        return LINEAR.answer(image)

    assert told(Spoken(timed), clock=lambda: now)["cached"] is state


def test_one_neighbour_with_the_same_scores_is_no_cache() -> None:
    def dull(image: Array, asked: int, company: int) -> Classification:
        flat = np.abs(image.astype(int) - IMAGES[0]).max() <= 1
        return LINEAR.answer(IMAGES[0] if flat else image)

    assert raised(Spoken(dull)) == []


def test_evidence_holds_nothing_of_a_clock() -> None:
    def evidence(tick: float) -> list[str]:
        ticks = itertools.count()
        flags = endpoint_flags(Spoken(scored), IMAGES, GOALS, clock=lambda: next(ticks) * tick)
        return [flag.evidence for flag in asyncio.run(flags)]

    assert evidence(1e-5) == evidence(0.3)


def test_rough_losses() -> None:
    def rough(image: Array, asked: int, company: int) -> Classification:
        parity = int(image.sum()) % 7 / 10
        scores = LINEAR.answer(image).scores.astype(np.float64) ** (1 - parity)
        return Classification((scores / scores.sum()).astype(np.float32))

    assert raised(Spoken(rough)) == ["unstable_predictions"]


def test_images_near_their_boundary_make_no_loss_rough() -> None:
    near, labels = pictures(LINEAR, 6, 0.3, 0.5)
    flags = asyncio.run(endpoint_flags(Spoken(scored), near, untargeted(labels), clock=ticking()))
    (found,) = [flag for flag in flags if flag.name == "unstable_predictions"]
    share = re.search(r"by ([\d.]+)% on average", found.evidence)
    assert share
    assert float(share[1]) > 10
    assert found.raised is False


class Seen:
    """A goal of any task: the loss is how many were found."""

    name, graded, truth, starts = "seen", True, -1, ()

    def judge(self, answer: Result) -> Verdict:
        size = len(answer.boxes) if isinstance(answer, Detections) else 1
        return Verdict(float(size), False, -1, True)


def boxes(image: Array, shift: float = 0.0) -> Detections:
    rng = np.random.default_rng(int(image[0, 0, 0]))
    corners = rng.uniform(0, 40, (30, 2))
    found = np.concatenate([corners + shift, corners + 20], axis=1).astype(np.float32)
    scores = rng.uniform(0.01, 1, 30).astype(np.float32)
    return Detections(found, scores, np.arange(30, dtype=np.int64))


def label_map(image: Array, wrong: int = 0) -> Segmentation:
    labels = (image.sum(axis=2) // 3 // 64).astype(np.int64).repeat(16, axis=0).repeat(16, axis=1)
    labels.ravel()[:wrong] += 1
    return Segmentation(labels)


HIDDEN_FROM_MAPS = {"rounded_scores": None, "truncated_scores": None, "saturated_scores": None}


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (lambda i, n, c: boxes(i), {"saturated_scores": None}),
        (lambda i, n, c: boxes(i, n % 5), {"not_deterministic": True, "saturated_scores": None}),
        (lambda i, n, c: boxes(i, c > 1), {"batch_dependent": True, "saturated_scores": None}),
        (lambda i, n, c: label_map(i), HIDDEN_FROM_MAPS),
        (lambda i, n, c: label_map(i, n % 5 % 2), HIDDEN_FROM_MAPS),  # one pixel of 16,384
        (lambda i, n, c: label_map(i, 9 * (n % 5 % 2)), {"not_deterministic": True, **HIDDEN_FROM_MAPS}),
        (lambda i, n, c: label_map(i, 9 * (c > 1)), {"batch_dependent": True, **HIDDEN_FROM_MAPS}),
    ],
)
def test_other_tasks(say: Callable[[Array, int, int], Result], expected: dict[str, bool | None]) -> None:
    random = {"batch_dependent": None, "stateful": None} if expected.get("not_deterministic") else {}
    found = told(Spoken(say), goals=[Seen()] * 6)
    assert found == {**dict.fromkeys(NAMES, False), **random, **expected}

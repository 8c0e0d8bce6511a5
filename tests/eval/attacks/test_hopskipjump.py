"""HopSkipJump reaches the plane, and beats its published form where only whole levels can be sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Threat, Verdict, draws
from eval.attacks.goals.classification import Untargeted
from eval.attacks.hopskipjump import HopSkipJump, _level, _Walk
from eval.attacks.paths import pattern
from models.results import Array
from tests.eval.attacks.boundaries import HalfSpace, Hills, find, published

ATTACK = HopSkipJump()


@pytest.mark.parametrize("gap", [4.3, 12.0])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("shape", [(4, 7, 3), (9, 3, 3)], ids=str)
def test_it_ends_at_the_plane(shape: tuple[int, int, int], norm: Any, gap: float) -> None:
    """Closed form: |margin| / ||w||_2, or / ||w||_1."""
    endpoint = HalfSpace(shape, gap)
    least = endpoint.l2 if norm == "l2" else endpoint.linf
    result = find(ATTACK, endpoint, [endpoint.image] * 3, [0] * 3, Threat(norm, 255), budget=4000)
    assert (result.distance >= least).all()
    assert (result.distance <= max(1.05 * least, np.ceil(least) + (norm == "linf"))).all(), result.distance
    assert result.fooled.all()
    assert (result.queries <= 4000).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("side", "budget"), [(16, 8000), (32, 20_000)])
def test_it_ends_at_the_plane_of_a_larger_picture(side: int, budget: int, norm: Any) -> None:
    """Within 5 % or one level, where every weight is drawn on its own: nothing to guess from neighbours."""
    endpoint = HalfSpace((side, side, 3), 4.3)
    least = endpoint.l2 if norm == "l2" else endpoint.linf
    result = find(
        ATTACK, endpoint, [endpoint.image], [0], Threat(norm, 5000 if norm == "l2" else 255), budget=budget
    )
    assert least <= result.distance[0] <= (1.05 * least if norm == "l2" else least + 1)


class Plane:
    """A point that lies `beyond` the plane, and how the probes around it are answered."""

    def __init__(self, beyond: float = 0.0, shape: tuple[int, int, int] = (16, 16, 3)) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(90, 166, shape, dtype=np.uint8)
        self.weight = rng.normal(0, 1, shape)
        self.weight /= np.linalg.norm(self.weight)
        self.walk = _Walk(image, False, rng)
        self.walk.change = (60 * self.weight).astype(np.float32)
        here = self.walk.picture(self.walk.change)
        self.offset = float((self.weight * here).sum()) - beyond
        self.normal, self.shares = np.zeros(shape, np.float32), list[float]()

    def learn(self, number: int) -> None:
        learning = ATTACK._learn(self.normal, self.walk, 1, number, np.random.default_rng(1))
        probes = next(learning)
        while True:
            told = [bool((self.weight * probe).sum() >= self.offset) for probe in probes]
            self.shares.append(float(np.mean(told)))
            try:
                probes = learning.send([Verdict(0.0, fooled) for fooled in told])
            except StopIteration:
                return

    @property
    def cosine(self) -> float:
        return float((self.normal * self.weight).sum() / np.linalg.norm(self.normal))


@pytest.mark.parametrize("a_value", [1, 2, 4])
def test_what_is_unknown_of_a_normal_falls_off_exponentially(a_value: int) -> None:
    """Averages of independent probes would leave 1 / (1 + 2 / pi * probes a value)."""
    plane = Plane()
    plane.learn(a_value * plane.normal.size)
    unknown = 1 - plane.cosine**2
    assert unknown == pytest.approx(np.exp(-2 / np.pi * a_value), rel=0.25)
    assert unknown < 1 / (1 + 2 / np.pi * a_value)
    assert np.linalg.norm(plane.normal) == pytest.approx(plane.cosine, abs=0.02)


def test_probes_lean_back_where_most_answers_are_alike() -> None:
    plane = Plane(beyond=1.2)  # of a probe's own spread of 1: nearly nine of ten fool
    plane.learn(1000)
    assert plane.shares[0] > 0.75
    assert 0.4 < np.mean(plane.shares[4:]) < 0.6


def test_probes_are_level_with_what_is_known() -> None:
    rng = np.random.default_rng(0)
    unit = rng.normal(0, 1, (16, 16, 3)).astype(np.float32)
    unit /= np.linalg.norm(unit)
    for lean in (0.0, 0.5, -1.0):
        signs = [pattern(rng, unit.shape, 1 + i % 4) for i in range(50)]
        before = [float((one * unit).sum()) for one in signs]
        after = [float((_level(one.copy(), unit, lean, rng) * unit).sum()) for one in signs]
        assert np.std(before) > 0.8
        np.testing.assert_allclose(after, lean, atol=0.15)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("asks", "share"), [("real", 0.7), ("whole", 0.9)])
def test_smaller_than_published_where_whole_levels_count(asks: str, share: float, norm: Any) -> None:
    """The published form may ask about real levels, and its last point alone is rounded; or every picture
    it sends is rounded, as a live endpoint sees it. A point that does not fool once rounded is a failure.
    """
    shape, count, budget = (6, 9, 3), 100, 600
    endpoint, rng = Hills(shape), np.random.default_rng(1)
    images = list(rng.integers(0, 256, (count, *shape), dtype=np.uint8))
    labels = [int(label) for label in endpoint.labels(np.stack(images).astype(float))]
    threat = Threat(norm, 255 if norm == "linf" else 5000)
    result = find(ATTACK, endpoint, images, labels, threat, budget=budget)
    assert result.fooled.all()
    assert (result.queries <= budget).all()

    def told(points: Array) -> Array:
        return endpoint.labels(points if asks == "real" else np.rint(points))

    theirs = np.full(count, np.inf)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        point = published(told, image, label, budget, np.random.default_rng(i), norm == "linf")
        rounded = image if point is None else np.rint(point).astype(np.uint8)
        if endpoint.labels(rounded[None].astype(float))[0] != label:
            theirs[i] = threat.size(image, rounded)
    smaller, larger = int((result.distance < theirs).sum()), int((result.distance > theirs).sum())
    print(  # noqa: T201  # shown by pytest -s
        f"{norm}, published asks {asks}: {smaller} smaller, {larger} larger of {count}; medians "
        f"{np.median(result.distance):.2f} and {np.median(theirs):.2f}; "
        f"{int(np.isinf(theirs).sum())} published do not fool once rounded"
    )
    assert smaller >= share * (smaller + larger)
    assert np.median(result.distance) < np.median(theirs)


def test_probes_are_one_level_and_their_sent_difference_is_credited() -> None:
    """At 0 and 255 half of a probe is cut off; what was not sent must not count."""
    image = np.zeros((5, 6, 3), np.uint8)
    image[..., 1] = 200
    talk = HopSkipJump(scales=(1,)).run(
        image, Untargeted(0), Threat("l2", 10), draws(0, "s", "hopskipjump"), 500
    )
    asked: list[list[Array]] = [talk.send(None)]  # type: ignore[arg-type]  # starts it
    weight = np.random.default_rng(0).normal(size=image.shape)
    weight[..., 0] = 0.0
    plane = float((weight * image).sum()) + 40 * np.abs(weight).sum()
    right, wrong = Verdict(1.0, False, 0, True), Verdict(-1.0, True, 1)
    while len(asked[-1]) != 25:  # until the first probes
        told = [wrong if float((weight * p).sum()) > plane else right for p in asked[-1]]
        asked.append(talk.send(told))
    steps = np.stack(asked[-1]).astype(int)
    here = np.round(np.median(steps, axis=0))
    assert np.abs(steps - here).max() <= 2
    assert (np.ptp(steps, axis=0) <= 2).all()
    assert (np.ptp(steps, axis=0) >= 1).all()

"""Randomised smoothing against its authors' formulas, exact coverage, and classifiers with known radii."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.attacks.base import draws
from eval.auditing.stability import ABSTAINS, Smoothing, Stability, join, lower_bound, radius_of, stability
from eval.errors import EndpointError, Gone, Refused
from models.results import Array, Classification
from tests.doubles import LinearEndpoint, ScrambledEndpoint, StubbornEndpoint

SHAPE = (4, 5, 3)
NORMAL = NormalDist()
TOLD = np.eye(2, dtype=np.float32) * 0.8 + 0.1


class Plane:
    """Two classes split by a plane; `far` is the clean picture's distance from it, in levels of L2."""

    def __init__(self, image: Array, far: float) -> None:
        self.weight = np.random.default_rng(1).normal(0, 1, image.shape)
        self.weight /= np.linalg.norm(self.weight)
        self.offset = float((self.weight * image).sum()) - far
        self.kinds: set[Any] = set()
        self.lowest, self.highest = math.inf, -math.inf

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.kinds |= {image.dtype for image in images}
        self.lowest = min(self.lowest, *(float(image.min()) for image in images))
        self.highest = max(self.highest, *(float(image.max()) for image in images))
        return [Classification(TOLD[int((self.weight * i).sum() > self.offset)]) for i in images]


class Spike:
    """Class 0 everywhere, but for one picture that is one level away from another."""

    def __init__(self, spike: Array) -> None:
        self.spike = spike

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return [Classification(TOLD[int(np.array_equal(i, self.spike))]) for i in images]


class Odd(StubbornEndpoint):
    """Refuses a request with a picture whose first value is odd."""

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        if any(image[0, 0, 0] % 2 for image in images):
            raise Refused("odd")
        return await super().predict(images)


def grey(level: int = 128, shape: tuple[int, int, int] = SHAPE) -> Array:
    return np.full(shape, level, np.uint8)


def pictures(count: int) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(count)]


def run(endpoint: Any, images: Sequence[Array], labels: Sequence[int], **options: Any) -> Stability:
    how = Smoothing(**{n: options.pop(n) for n in Smoothing.__slots__ if n in options})
    ids = options.pop("samples", [str(i) for i in range(len(images))])
    return asyncio.run(stability(endpoint, images, labels, ids, how=how, **{"seed": 0, **options}))


def same(one: Stability, other: Stability) -> None:
    assert one.how == other.how
    for name in ("labels", "predicted", "hits", "errors", "lower", "radius"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(deadline=None)
@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([1e-4, 1e-3, 0.05, 0.3]), st.floats(0.1, 200))
def test_bound_and_radius_are_the_authors(n: int, share: float, alpha: float, sigma: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    hits = round(share * n)
    theirs = float(stats.beta.ppf(alpha, hits, n - hits + 1)) if hits else 0.0  # statsmodels' "beta"
    assert lower_bound(hits, n, alpha) == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    expected = sigma * float(stats.norm.ppf(theirs)) if theirs > 0.5 else 0.0
    assert radius_of(sigma, lower_bound(hits, n, alpha)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_many_draws_keep_the_bound_exact() -> None:
    stats = pytest.importorskip("scipy.stats")
    assert lower_bound(99_500, 100_000, 0.001) == pytest.approx(
        float(stats.beta.ppf(0.001, 99_500, 501)), rel=1e-9
    )


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_the_bound_is_too_high_with_at_most_alpha(alpha: float) -> None:
    """Every count's exact probability, so no simulation is left to chance; and it is not just slack."""
    n, worst = 60, 0.0
    bounds = np.array([lower_bound(k, n, alpha) for k in range(n + 1)])
    ways = np.array([math.comb(n, k) for k in range(n + 1)], np.float64)
    hits = np.arange(n + 1)
    for chance in np.linspace(0.01, 0.999, 400):
        too_high = float((ways * chance**hits * (1 - chance) ** (n - hits))[bounds > chance].sum())
        assert too_high <= alpha * (1 + 1e-9)
        worst = max(worst, too_high)
    assert worst > 0.8 * alpha


def test_bounds_of_a_known_chance_are_seldom_too_high() -> None:
    """The whole way: 300 pictures, each answered as the noise falls, with a chance of just Phi(0.5)."""
    images = [grey()] * 300
    found = run(Plane(grey(), 4.0), images, [1] * 300, sigma=8.0, select=20, estimate=50, alpha=0.1)
    true = NORMAL.cdf(4.0 / math.sqrt(64 + 1 / 12))  # rounding spreads the noise by a twelfth
    too_high = int((found.lower > true).sum())
    assert 0 < too_high <= 30 + 3 * math.sqrt(300 * 0.1 * 0.9)
    assert len(set(found.hits.tolist())) > 5  # every picture has noise of its own


@pytest.mark.parametrize("lattice", [True, False])
@pytest.mark.parametrize("sigma", [6.0, 12.0])
def test_a_plane_is_as_far_as_it_is(lattice: bool, sigma: float) -> None:
    """The smoothed radius of a linear classifier is the distance, whatever the noise."""
    far, n = 7.0, 4000
    plane = Plane(grey(), far)
    found = run(plane, [grey()], [1], sigma=sigma, estimate=n, lattice=lattice)
    exact = NORMAL.cdf(far / math.sqrt(sigma**2 + lattice / 12))
    assert abs(found.hits[0] / n - exact) < 4 * math.sqrt(exact * (1 - exact) / n)
    assert 0.85 * far < found.radius[0] <= far
    assert found.predicted.tolist() == [1]
    assert plane.kinds == {np.dtype(np.uint8 if lattice else np.float64)}


def test_only_the_lattice_rounds_and_cuts() -> None:
    cut, free = Plane(grey(250), 5.0), Plane(grey(250), 5.0)
    run(cut, [grey(250)], [1], sigma=20.0, estimate=100)
    run(free, [grey(250)], [1], sigma=20.0, estimate=100, lattice=False)
    assert cut.highest == 255 < free.highest
    assert free.highest % 1


def test_the_radius_is_not_the_endpoints() -> None:
    """Why it is no certificate of what is served: within the radius, one answer is wrong."""
    clean, wrong = grey(), grey()
    wrong[0, 0, 0] += 1
    endpoint = Spike(wrong)
    found = run(endpoint, [clean, wrong], [0, 0], sigma=8.0, estimate=200)
    (served,) = asyncio.run(endpoint.predict([wrong]))
    assert served.label == 1
    assert found.radius[0] > 1.0 == np.linalg.norm(wrong.astype(float) - clean)
    assert found.predicted.tolist() == [0, 0]  # the majority is what does not change


def test_no_clear_majority_is_no_answer() -> None:
    found = run(Plane(grey(), 0.0), [grey()], [1], sigma=8.0, estimate=200)
    assert (found.predicted.tolist(), found.radius.tolist()) == ([ABSTAINS], [0.0])
    assert not found.right[0]
    assert found.within(0.0) == 0


def test_class_is_chosen_by_other_draws_than_those_that_are_counted() -> None:
    """Counting the draws that chose it would favour it: the bound would be too high."""
    asked = StubbornEndpoint(2)
    found = run(asked, [grey()], [2], sigma=8.0, select=7, estimate=30, batch=4)
    assert len(asked.asked) == len(set(asked.asked)) == 37
    assert (found.hits.tolist(), found.queries) == ([30], 37)
    assert found.radius[0] == pytest.approx(8 * NORMAL.inv_cdf(0.001 ** (1 / 30)))
    assert found.radius[0] == found.how.farthest


@pytest.mark.parametrize(("batch", "in_flight"), [(1, 1), (7, 3), (64, 4), (500, 2)])
def test_batches_and_company_change_nothing(batch: int, in_flight: int) -> None:
    images, labels = pictures(4), [0, 1, 2, 0]
    how: dict[str, Any] = {"sigma": 30.0, "select": 5, "estimate": 40, "alpha": 0.05}
    plain = run(LinearEndpoint(SHAPE), images, labels, **how)
    assert 0 < len(set(plain.hits.tolist())) > 1
    scrambled = ScrambledEndpoint(SHAPE, order_seed=batch)
    same(run(scrambled, images, labels, batch=batch, in_flight=in_flight, **how), plain)
    alone = [
        run(LinearEndpoint(SHAPE), [image], [label], samples=[str(i)], **how)
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    same(join(alone), plain)


def test_noise_is_keyed_by_seed_sample_and_draw() -> None:
    asked = StubbornEndpoint(0)
    run(asked, [grey()], [0], samples=["cat"], sigma=8.0, select=1, estimate=1, seed=3)
    for step, sent in enumerate(asked.asked):
        noise = 8.0 * draws(3, "cat", "stability")(step).standard_normal(SHAPE)
        assert sent == np.clip(np.rint(128 + noise), 0, 255).astype(np.uint8).tobytes()


@pytest.mark.parametrize("batch", [1, 10, 64])
def test_draws_without_an_answer_count_against_the_class(batch: int) -> None:
    """And against the own picture only, whatever they are asked with."""
    found = run(Odd(1), [grey(), grey(255)], [1, 1], sigma=8.0, select=20, estimate=80, batch=batch)
    for place, level in enumerate((128, 255)):  # of the second, most are odd
        noise = [
            8.0 * draws(0, str(place), "stability")(s).standard_normal(SHAPE)[0, 0, 0] for s in range(100)
        ]
        odd = np.clip(np.rint(level + np.array(noise)), 0, 255) % 2 == 1
        assert found.errors[place] == odd.sum() > 0
        assert found.hits[place] == 80 - odd[20:].sum()  # silence is never the class that is chosen
        assert found.lower[place] == lower_bound(int(found.hits[place]), 80, 0.001)
    assert not found.valid


def test_a_failure_now_and_then_ends_nothing() -> None:
    class Lame(StubbornEndpoint):
        async def predict(self, images: Sequence[Array]) -> list[Classification]:
            answers = await super().predict(images)
            if len(self.asked) % 3 == 0:
                raise EndpointError("not now")
            return answers

    found = run(Lame(0), [grey()], [0], sigma=8.0, select=30, estimate=60, batch=1)
    assert (found.errors.tolist(), found.hits.tolist()) == ([30], [40])


@pytest.mark.parametrize("error", [Gone, EndpointError])
def test_when_nobody_answers_no_more_is_asked(error: type[EndpointError]) -> None:
    requests = 0

    class Nobody:
        async def predict(self, images: Sequence[Array]) -> list[Classification]:
            nonlocal requests
            requests += 1
            raise error("nobody")

    with pytest.raises(EndpointError, match="no more is asked, for no answer can be had: nobody"):
        run(Nobody(), [grey()] * 3, [0] * 3, sigma=8.0, in_flight=2)
    assert requests <= 10


def test_one_answer_short_is_no_answer() -> None:
    class Short(StubbornEndpoint):
        async def predict(self, images: Sequence[Array]) -> list[Classification]:
            return (await super().predict(images))[1:]

    with pytest.raises(EndpointError, match="there must be 1 answers, one an image, got 0"):
        run(Short(0), [grey()], [0], sigma=8.0, select=4, estimate=80)


def test_other_failures_come_through_as_they_are() -> None:
    class Broken(list[Array]):
        def __getitem__(self, place: Any) -> Any:
            raise EOFError("no such picture")

    with pytest.raises(EOFError, match="no such picture"):
        run(StubbornEndpoint(0), Broken([grey()]), [0], sigma=8.0)


def test_progress_counts_draws() -> None:
    told: list[tuple[int, int]] = []
    run(
        StubbornEndpoint(0),
        [grey()] * 2,
        [0, 0],
        sigma=8.0,
        select=5,
        estimate=20,
        batch=8,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (50, 50)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_curve_falls_at_each_radius_of_those_that_are_right() -> None:
    how = Smoothing(10.0)
    columns = {n: np.zeros(5, np.int64) for n in ("hits", "errors")}
    found = Stability(
        how,
        labels=np.array([0, 1, 2, 1, 0]),
        predicted=np.array([0, 1, 0, 1, ABSTAINS]),
        lower=np.zeros(5),
        radius=np.array([5.0, 9.0, 20.0, 5.0, 0.0]),
        **columns,
    )
    assert found.curve() == [(0.0, 0.6), (5.0, 0.2), (9.0, 0.0)]
    assert [found.within(r) for r in (0.0, 5.0, 5.1, 9.0, 9.1)] == [3, 3, 1, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.0}, "sigma must be above 0"),
        ({"sigma": math.inf}, "sigma must be above 0"),
        ({"sigma": 8.0, "select": 0}, "draws must be at least 1"),
        ({"sigma": 8.0, "estimate": 0}, "draws must be at least 1"),
        ({"sigma": 8.0, "alpha": 0.5}, r"alpha must be in \(0, 1/2\)"),
        ({"sigma": 8.0, "samples": ["a", "b"]}, "equally many, got 1, 1 and 2"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(StubbornEndpoint(0), [grey()], [0], **options)


def test_only_what_was_drawn_alike_is_joined() -> None:
    one = run(StubbornEndpoint(0), [grey()], [0], sigma=8.0, select=1, estimate=1)
    other = run(StubbornEndpoint(0), [grey()], [0], sigma=9.0, select=1, estimate=1)
    with pytest.raises(ValueError, match="all drawn alike"):
        join([one, other])
    with pytest.raises(ValueError, match="at least one"):
        join([])

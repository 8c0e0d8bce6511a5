"""What an audit costs: the most is exact, the usual is told as a guess, a shared limit is kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.tables import ATTACKS
from eval.attacks.transfer import ON_A_TWIN
from eval.attacks.wave import Limits, attack_all
from eval.auditing.cost import (
    STANDING,
    Cost,
    Part,
    cost_of,
    measured_rate,
    most_of,
    shared_budget,
    survival,
)
from eval.auditing.stability import Smoothing
from eval.auditing.suites import SUITES, Curve, Norm, Suite, suite_of
from eval.data.tables import open_data
from eval.errors import BudgetExceeded, DatasetError, EndpointError, EvalError
from models.decoding import decode
from models.repository import open_version, read_version
from models.results import Array, Classification
from tests.doubles import FailingEndpoint, StubbornEndpoint

ROOT = Path(__file__).resolve().parents[3]
NAMES = st.lists(st.sampled_from([*ATTACKS, *ON_A_TWIN]), min_size=1, max_size=6)


def suite(**changes: Any) -> Suite:
    """Noise, Square and RayS with 500 queries, nothing else."""
    bare = Suite(
        "mine",
        "classification",
        "linf",
        samples=10,
        attacks=("uniform_noise", "square", "rays"),
        goals=("untargeted",),
        budget=500,
    )
    return replace(bare, **changes)


def cost(plan: Suite, **options: Any) -> Cost:
    return cost_of(plan, **{"epsilon": 8.0, "samples": 10, "flags": 0, **options})


def parts(plan: Suite, **options: Any) -> dict[str, Part]:
    return {part.name: part for part in cost(plan, **options).parts}


def test_the_most_is_what_each_part_may_ask() -> None:
    """Added up by hand."""
    plan = suite(
        corruptions=("fog", "snow"),
        severities=(1, 3, 5),
        curve=Curve((0.5, 1), 4, 100),
        noise=Smoothing(8, 10, 90),
        noise_samples=3,
    )
    found = parts(plan, flags=40)
    assert {name: (part.images, part.most) for name, part in found.items()} == {
        "flags": (0, 40),
        "uniform_noise": (10, 660),
        "square": (10, 5000),
        "rays": (10, 5000),
        "corruptions, 6 kinds and severities": (10, 70),  # and as they are
        "security curve, 3 points": (4, 1200),
        "stability under noise": (3, 300),
    }
    assert cost(plan, flags=40).most == 12_270


def test_no_more_than_there_are_images() -> None:
    plan = suite(curve=Curve((1,), 40, 100), noise=Smoothing(8, 10, 90), noise_samples=30)
    found = parts(plan, samples=7)
    assert {part.images for part in found.values()} == {7}
    assert parts(plan, samples=500)["square"].images == 10


def test_every_goal_is_another_run_of_every_attack() -> None:
    scenes = suite(task="detection", attacks=("square",), goals=("vanish", "fabricate"))
    assert {n: p.most for n, p in parts(scenes).items()} == {
        "square, vanish": 5000,
        "square, fabricate": 5000,
        "clean answers": 20,
    }


def test_usual_is_a_guess_where_there_is_a_figure_and_never_above_the_most() -> None:
    found = parts(suite(attacks=("uniform_noise", "simba", "square", "rays")))
    assert found["square"].usual < 0.45 * found["square"].most
    assert found["square"].usual < found["simba"].usual < found["simba"].most
    assert found["square"].basis == "guess: as undefended cifar10/1, epsilon 8 (L2: 128)"
    assert (found["rays"].usual, found["rays"].basis) == (5000, "goes on when it has fooled")
    for task in ("detection", "segmentation"):  # measured of a classifier only
        other = parts(suite(task=task, attacks=("square",)))["square"]
        assert (other.usual, other.basis) == (other.most, "guess: nothing is fooled early")
    targeted = parts(suite(attacks=("square",), goals=("targeted",)))["square"]
    assert targeted.usual == targeted.most
    assert parts(suite(norm="l2", attacks=("simba",)))["simba"].usual == 5000  # not measured


@pytest.mark.parametrize(("attack", "norm"), STANDING)
def test_standing_falls_and_its_points_are_kept(attack: str, norm: Norm) -> None:
    points = STANDING[attack, norm]
    assert survival(attack, norm, np.array(list(points))).tolist() == pytest.approx(list(points.values()))
    shares = survival(attack, norm, np.arange(12_000))
    assert (shares[:3] == 1).all()  # the clean picture and a check are never spared
    assert (np.diff(shares) <= 0).all()
    assert norm in ATTACKS[attack].norms


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("attack", "queries"), [("square", (24, 100, 300)), ("uniform_noise", (10, 50))])
def test_standing_is_as_measured(attack: str, queries: tuple[int, ...]) -> None:
    """Taken again, of the model that the figures name."""
    version = read_version(ROOT / "models/zoo/cifar10/1")
    model = open_version(version)

    class Local:
        async def predict(self, images: Sequence[Array]) -> Any:
            return model.predict(list(images))

    try:
        data = open_data("tar:$ASSAY_DATA_DIR/cifar10_jpeg/test_a.tar.gz", "classification")
    except DatasetError as error:
        pytest.skip(str(error))
    samples = list(data.in_classes_of(version.card.labels).first(60))
    found = asyncio.run(
        attack_all(
            ATTACKS[attack],
            Local(),
            [decode(sample.file) for sample in samples],
            untargeted([int(str(sample.expected)) for sample in samples]),
            threat=Threat("linf", 8),
            limits=Limits(1000),
            seed=0,
        )
    )
    spent = np.where(found.fooled, found.queries_to_fool, 10**6)[found.clean_correct]
    measured = [float((spent > at).mean()) for at in queries]
    assert measured == pytest.approx(survival(attack, "linf", np.array(queries)), abs=0.02)


def test_near_points_of_the_curve_are_guessed_dearer_than_far_ones() -> None:
    near = parts(suite(curve=Curve((0.25, 0.5), 10, 400)), epsilon=8.0)["security curve, 3 points"]
    far = parts(suite(curve=Curve((2, 4), 10, 400)), epsilon=8.0)["security curve, 3 points"]
    assert near.most == far.most == 12_000
    assert far.usual < 0.5 * far.most < 0.6 * near.most < near.usual


def test_the_check_is_far_whatever_the_norm() -> None:
    """128 levels each are more than 300 in all."""
    found = parts(suite(norm="l2", attacks=("square_l2",), curve=Curve((0.5,), 10, 400)), epsilon=300.0)
    near, check = 4000, found["security curve, 2 points"].usual - 4000
    assert 0 < check < 0.5 * near


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_every_suite_has_a_price(name: str, task: Any) -> None:
    found = cost_of(suite_of(name, task), epsilon=8, samples=10_000, flags=40)
    assert 0 < found.usual <= found.most
    assert all(0 < part.usual <= part.most for part in found.parts)


def test_quick_takes_minutes() -> None:
    """At the 200 queries a second that published attacks reach (reference: 100 to 200)."""
    found = cost_of(suite_of("quick", "classification"), epsilon=8, samples=10_000, flags=40, rate=200)
    assert found.most / 200 < 10 * 60


def test_table_adds_up_and_tells_times() -> None:
    told = cost(suite(), flags=7, rate=50.0).table()
    assert "50 queries a second" in told.note
    *rows, last = told.rows
    for column in ("usual queries", "most queries"):
        assert last[column] == sum(int(row[column] or 0) for row in rows)
    assert [row["images"] for row in told.rows] == [None, 10, 10, 10, 10]
    assert [row["most time"] for row in told.rows] == ["1 s", "14 s", "2 min", "2 min", "4 min"]
    slow = cost(suite(), rate=1.0).table()
    assert slow.rows[-1]["most time"] == "3.0 h"


def test_without_a_probe_there_are_no_times() -> None:
    told = cost(suite()).table()
    assert {row["usual time"] for row in told.rows} == {None}
    assert "unknown without a probe" in told.note


def test_most_of_those_made_on_a_twin_is_three() -> None:
    assert [most_of(name, 500) for name in ON_A_TWIN] == [3] * len(ON_A_TWIN)
    with pytest.raises(EvalError, match=r"attack must be one of .*square.*pgd.*, got 'boundary'"):
        most_of("boundary", 500)


@given(NAMES, st.integers(1, 300), st.integers(3, 3000), st.integers(0, 10**6), st.integers(1, 3))
def test_a_shared_budget_is_the_largest_that_fits(
    attacks: list[str], samples: int, budget: int, limit: int, goals: int
) -> None:
    def spent(each: int) -> int:
        return 50 + goals * samples * sum(most_of(attack, each) for attack in attacks)

    options: Any = {"goals": goals, "other": 50}
    if spent(3) > limit and spent(budget) > limit:
        with pytest.raises(BudgetExceeded, match=f"at least {spent(3)} .* got {limit}"):
            shared_budget(attacks, samples, budget, limit, **options)
        return
    found = shared_budget(attacks, samples, budget, limit, **options)
    assert spent(found) <= limit
    assert 3 <= found <= budget
    assert found == budget or spent(found + 1) > limit
    for order in itertools.islice(itertools.permutations(attacks), 6):
        assert shared_budget(order, samples, budget, limit, **options) == found


def test_without_a_limit_the_budget_stays() -> None:
    assert shared_budget(["square"], 100, 777, None) == 777


def test_what_noise_does_not_need_is_left_to_the_search() -> None:
    """1,000 queries for an image: 66 are noise's, all of the rest is Square's."""
    assert shared_budget(["uniform_noise", "square"], 10, 5000, 10_000) == 934


class Clock:
    """Goes on by a second at every answer."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Timed(StubbornEndpoint):
    def __init__(self, clock: Clock) -> None:
        super().__init__(0)
        self.clock, self.sizes = clock, list[int]()
        self.under_way = self.at_once = 0

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.sizes.append(len(images))
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        self.clock.now += 1
        return await super().predict(images)


def rate(endpoint: Any, count: int = 3, **options: Any) -> Any:
    images = [np.full((2, 2, 3), level, np.uint8) for level in range(count)]
    return asyncio.run(measured_rate(endpoint, images, **options))


def test_rate_counts_images_in_full_requests_without_the_first() -> None:
    clock = Clock()
    endpoint = Timed(clock)
    found = rate(endpoint, batch=8, in_flight=1, seconds=5.0, clock=clock)
    assert endpoint.sizes == [8] * 6
    assert (found.per_second, found.queries) == (8.0, 48)
    assert len(set(endpoint.asked)) == 3  # all pictures, in turn


def test_rate_keeps_requests_under_way() -> None:
    clock = Clock()
    endpoint = Timed(clock)
    found = rate(endpoint, batch=4, in_flight=3, seconds=2.0, clock=clock)
    assert endpoint.at_once == 3
    assert len(endpoint.sizes) > 3
    assert (found.per_second, found.queries) == (4.0, 4 * len(endpoint.sizes))


def test_rate_needs_pictures_and_answers() -> None:
    with pytest.raises(ValueError, match="images must be at least one"):
        rate(StubbornEndpoint(0), count=0)
    with pytest.raises(EndpointError, match="no answer"):
        asyncio.run(measured_rate(FailingEndpoint(0), [np.full((2, 2, 3), 250, np.uint8)]))

"""mPC, rPC, mCE and calibration under corruption against their definitions written out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.base import Score
from eval.metrics.corruption import (
    ALEXNET,
    Reference,
    Worn,
    calibration_scores,
    corruption_scores,
    interval_of,
)
from eval.metrics.intervals import bootstrap, reach, resample
from models.results import Array

FIVE = (1, 2, 3, 4, 5)
IMAGES = 40


def point(cells: Mapping[str, list[float]], clean: float) -> Worn:
    """Numbers without resamples."""
    severities = tuple(range(1, 1 + len(next(iter(cells.values())))))
    rows = {name: np.array(row)[:, None] for name, row in cells.items()}
    return Worn(np.array([clean]), rows, severities, IMAGES)


def shares(right: Array) -> Array:
    """Accuracy of all images, then of 200 resamples, from bool `(images,)`."""
    times = np.concatenate([np.ones((1, len(right)), np.int64), *resample(len(right), 200, 0)])
    return (times @ right) / len(right)


def worn(names: list[str], seed: int = 0, share: float = 0.7) -> Worn:
    rng = np.random.default_rng(seed)
    cells = {
        name: np.stack([shares(rng.random(IMAGES) < part) for part in np.linspace(share, 0.3, 5)])
        for name in names
    }
    return Worn(shares(rng.random(IMAGES) < 0.9), cells, FIVE, IMAGES)


def named(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def found(worn: Worn, reference: Reference | None = None) -> dict[str, Score]:
    return named(corruption_scores(worn, "accuracy", reference))


TOLD = {"fog": [0.2, 0.4], "snow": [0.5, 0.9]}


def test_by_hand() -> None:
    scores = found(point(TOLD, 0.8))
    assert scores["mPC"].value == pytest.approx((0.2 + 0.4 + 0.5 + 0.9) / 4)
    assert scores["rPC"].value == pytest.approx(0.5 / 0.8)
    assert scores["corruption.snow"].value == pytest.approx(0.7)
    assert list(scores) == ["mPC", "rPC", "corruption.fog", "corruption.snow"]
    assert scores["mPC"].definition == "michaelis2019/mPC,P=accuracy,corruptions=2,severities=1+2"


def test_corruption_error_by_hand() -> None:
    """CE = sum of errors / sum of the reference's; mCE is the mean of CE, not the ratio of the sums."""
    reference = Reference.version("m/1", point({"fog": [0.2, 0.4], "snow": [0.1, 0.1]}, 0.6))
    scores = found(point({"fog": [0.2, 0.4], "snow": [0.5, 0.9]}, 0.9), reference)
    expected = ((0.8 + 0.6) / (0.8 + 0.6) + (0.5 + 0.1) / (0.9 + 0.9)) / 2
    assert scores["mCE_error"].value == pytest.approx(expected)
    relative = ((1.4 - 2 * 0.1) / (1.4 - 2 * 0.4) + (0.6 - 2 * 0.1) / (1.8 - 2 * 0.4)) / 2
    assert scores["relative_mCE_error"].value == pytest.approx(relative)
    assert scores["mCE_error"].definition.endswith("reference=m/1")


@pytest.mark.parametrize("hole", ["fog", "clean"])
def test_what_is_missing_makes_the_mean_undefined(hole: str) -> None:
    own = worn(["fog", "snow"])
    if hole == "clean":
        own.clean[:] = np.nan
    else:
        own.cells[hole][3] = np.nan
    scores = found(own, Reference.version("m/1", worn(["fog", "snow"], 1)))
    assert scores["rPC"].value is None
    assert scores["relative_mCE_error"].value is None
    assert (scores["mPC"].value is None) == (hole == "fog")
    assert (scores["mCE_error"].value is None) == (hole == "fog")
    assert scores["corruption.snow"].value is not None
    assert all((score.value is None) == (score.low is None) for score in scores.values())


def test_what_cannot_be_divided_by() -> None:
    """A reference that never errs, or that corruption costs nothing; a model that is never right."""
    perfect = Reference.version("m/1", point({"fog": [1, 1], "snow": [0.5, 0.5]}, 0.75))
    scores = found(point(TOLD, 0.8), perfect)
    assert scores["mCE_error"].value is None
    assert scores["relative_mCE_error"].value is None
    helped = Reference.version("m/1", point({"fog": [0.8, 0.8], "snow": [0.5, 0.5]}, 0.75))
    scores = found(point(TOLD, 0.8), helped)
    assert scores["mCE_error"].value is not None
    assert scores["relative_mCE_error"].value is None
    assert found(point(TOLD, 0))["rPC"].value is None


def test_alexnet_has_an_error_of_one_against_itself() -> None:
    own = point({name: [1 - error] * 5 for name, error in ALEXNET.items()}, 1 - 0.435)
    scores = found(own, Reference.alexnet())
    assert len(ALEXNET) == 15
    assert scores["mCE_error"].value == pytest.approx(1)
    assert scores["relative_mCE_error"].value == pytest.approx(1)
    assert "not_leaderboard_comparable" in scores["mCE_error"].definition
    turned = Worn(own.clean, dict(reversed(list(own.cells.items()))), FIVE, IMAGES)
    assert found(turned, Reference.alexnet())["mCE_error"].value == pytest.approx(1)


def test_a_reference_must_fit() -> None:
    with pytest.raises(ValueError, match="snow"):
        found(point(TOLD, 0.8), Reference.version("m/1", point({"fog": [0.1, 0.1]}, 0.8)))
    with pytest.raises(ValueError, match="severities"):
        found(point({"fog": [0.1]}, 0.8), Reference.version("m/1", point({"fog": [0.1, 0.1]}, 0.8)))


def test_a_version_against_itself_is_one() -> None:
    own = worn(["fog", "snow"])
    scores = found(own, Reference.version("m/1", own))
    for name in ("mCE_error", "relative_mCE_error"):
        assert scores[name].value == pytest.approx(1)
        # Drawn in pairs it never varies; only then are the bounds what images that are all alike leave open.
        assert scores[name].low == pytest.approx(1 - reach(IMAGES))
        assert scores[name].high == pytest.approx(1 + reach(IMAGES))


def test_pairs_are_surer_than_strangers() -> None:
    """The same hard images in both versions: the ratio varies less than if each had its own."""
    hard = np.random.default_rng(0).random(IMAGES)
    mine = Worn(shares(hard < 0.9), {"fog": shares(hard < 0.6)[None]}, (1,), IMAGES)
    same = Worn(shares(hard < 0.8), {"fog": shares(hard < 0.5)[None]}, (1,), IMAGES)
    apart = Worn(shares(hard[::-1] < 0.8), {"fog": shares(hard[::-1] < 0.5)[None]}, (1,), IMAGES)
    pair, strangers = (found(mine, Reference.version("v", r))["mCE_error"] for r in (same, apart))
    assert pair.value == strangers.value
    assert None not in (pair.low, pair.high, strangers.low, strangers.high)
    assert pair.high - pair.low < 0.7 * (strangers.high - strangers.low)  # type: ignore[operator]


def test_intervals_draw_an_image_with_all_its_corruptions() -> None:
    """Images that are right or wrong everywhere: as uncertain as so many images, not as so many answers."""
    same = shares(np.random.default_rng(0).random(100) < 0.6)
    own = Worn(same, {name: np.tile(same, (5, 1)) for name in ("fog", "snow", "frost")}, FIVE, 100)
    score = found(own)["mPC"]
    assert score.low is not None
    assert score.high is not None
    assert score.high - score.low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 100), rel=0.2)


def test_shares_stay_shares() -> None:
    own = Worn(np.ones(201), {"fog": np.ones((5, 201))}, FIVE, 20)
    scores = found(own)
    assert (scores["mPC"].low, scores["mPC"].high) == pytest.approx((1 - reach(20), 1))
    assert (scores["rPC"].value, scores["rPC"].high) == pytest.approx((1, 1 + reach(20)))
    wrong = found(Worn(np.zeros(201), {"fog": np.zeros((5, 201))}, FIVE, 20))
    assert (wrong["mPC"].low, wrong["rPC"].value) == (0, None)


def test_intervals_are_those_of_the_bootstrap() -> None:
    right = np.random.default_rng(3).random(IMAGES) < 0.7
    (expected,) = bootstrap(lambda times: (times @ right / IMAGES)[:, None], IMAGES)
    assert interval_of(shares(right), IMAGES) == pytest.approx(expected)


def test_there_is_no_interval_where_resamples_are_unlike_the_data() -> None:
    draws = np.linspace(0.4, 0.6, 101)
    assert interval_of(np.append(0.5, draws), IMAGES) == pytest.approx((0.405, 0.595))
    assert interval_of(np.append(0.7, draws), IMAGES) == (None, None)
    assert interval_of(np.append(np.nan, draws), IMAGES) == (None, None)
    assert interval_of(np.append(0.5, draws), 1) == (None, None)
    assert interval_of(np.array([0.5]), IMAGES) == (None, None)
    draws[:5] = np.nan
    assert interval_of(np.append(0.5, draws), IMAGES)[0] is not None
    draws[:6] = np.nan  # of 101, more than 1 in 20
    assert interval_of(np.append(0.5, draws), IMAGES) == (None, None)


def test_shapes_are_checked() -> None:
    for cells in ({"fog": np.ones((5, 4))}, {"fog": np.ones((4, 3))}, {}):
        with pytest.raises(ValueError, match="must be"):
            Worn(np.ones(3), cells, FIVE, 3)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=5, max_size=5), min_size=1, max_size=15), st.floats(0.05, 1)
)
def test_better_everywhere_is_a_smaller_error(rows: list[list[float]], factor: float) -> None:
    reference = Reference("half", dict.fromkeys(map(str, range(15)), np.array(0.5)), np.array(0.2), FIVE)
    one, less = (
        found(point({str(i): [1 - v * by for v in row] for i, row in enumerate(rows)}, 0.9), reference)
        for by in (1, factor)
    )
    assert one["mCE_error"].value is not None
    assert less["mCE_error"].value == pytest.approx(one["mCE_error"].value * factor, abs=1e-12)


def test_calibration_is_the_mean_of_every_cells() -> None:
    own = Worn(np.array([0.05, 0.04]), {
        "fog": np.array([[0.1, 0.2], [0.3, 0.4]]), "snow": np.array([[0.5, 0.5], [0.7, 0.9]]),
    }, (1, 5), IMAGES)  # fmt: skip
    scores = named(calibration_scores(own, "ECE"))
    assert {name: score.value for name, score in scores.items()} == {
        "corrupted_ece_error": pytest.approx((0.1 + 0.3 + 0.5 + 0.7) / 4),
        "corrupted_ece_error.severity.1": pytest.approx(0.3),
        "corrupted_ece_error.severity.5": pytest.approx(0.5),
        "corrupted_ece_error.clean": 0.05,
    }
    assert scores["corrupted_ece_error"].definition == "mean_of/ECE"

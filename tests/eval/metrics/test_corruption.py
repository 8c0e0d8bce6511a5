"""mPC, rPC, mCE and calibration under corruption against their definitions written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.base import Score
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.corruption import (
    ALEXNET,
    Right,
    calibration_scores,
    corruption_scores,
    mean_corruption_error,
    mean_performance,
    relative_performance,
)
from eval.metrics.intervals import reach
from models.results import Classification

TOLD = {"fog": [0.8, 0.6], "snow": [0.5, 0.1]}


def right(names: list[str], images: int = 40, seed: int = 0, share: float = 0.7) -> Right:
    rng = np.random.default_rng(seed)
    return Right(
        rng.random(images) < 0.9,
        {name: rng.random((5, images)) < np.linspace(share, 0.3, 5)[:, None] for name in names},
    )


def named(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_performance_by_hand() -> None:
    assert mean_performance(TOLD) == pytest.approx((0.8 + 0.6 + 0.5 + 0.1) / 4)
    assert relative_performance(TOLD, 0.8) == pytest.approx(0.5 / 0.8)


def test_what_is_missing_makes_the_mean_undefined() -> None:
    holed: dict[str, list[float | None]] = {"fog": [0.8, 0.6], "snow": [0.5, None]}
    assert mean_performance(holed) is None
    assert relative_performance(holed, 0.8) is None
    assert mean_corruption_error(holed, {"fog": 0.5, "snow": 0.5}) is None
    assert mean_corruption_error(TOLD, {"fog": 0.5, "snow": None}) is None
    assert mean_performance({}) is None
    assert relative_performance(TOLD, 0) is None
    assert relative_performance(TOLD, None) is None
    assert mean_corruption_error(TOLD, {"fog": 0.0, "snow": 0.5}) is None  # nothing to divide by


def test_corruption_error_by_hand() -> None:
    """CE = sum of errors / sum of the reference's; mCE is the mean of CE, not the ratio of the sums."""
    reference = {"fog": 0.7, "snow": 0.9}
    expected = ((0.8 + 0.6) / (0.7 + 0.7) + (0.5 + 0.1) / (0.9 + 0.9)) / 2
    assert mean_corruption_error(TOLD, reference) == pytest.approx(expected)
    relative = ((0.8 + 0.6 - 2 * 0.1) / (1.4 - 2 * 0.4) + (0.6 - 2 * 0.1) / (1.8 - 2 * 0.4)) / 2
    found = mean_corruption_error(TOLD, reference, clean=0.1, reference_clean=0.4)
    assert found == pytest.approx(relative)
    with pytest.raises(ValueError, match="snow"):
        mean_corruption_error(TOLD, {"fog": 0.7})


def test_alexnet_has_an_error_of_one_against_itself() -> None:
    errors = {name: [error] * 5 for name, error in ALEXNET.items()}
    assert len(ALEXNET) == 15
    assert mean_corruption_error(errors, ALEXNET) == pytest.approx(1)


def test_scores_of_images_by_hand() -> None:
    own = right(["fog", "snow"])
    scores = named(corruption_scores(own, resamples=0))
    cells = [float(row.mean()) for rows in own.worn.values() for row in rows]
    clean = float(own.clean.mean())
    assert scores["corrupted_accuracy"].value == pytest.approx(sum(cells) / 10, abs=1e-12)
    assert scores["relative_corrupted_accuracy"].value == pytest.approx(sum(cells) / 10 / clean, abs=1e-12)
    assert scores["corrupted_accuracy.snow"].value == pytest.approx(sum(cells[5:]) / 5, abs=1e-12)
    assert scores["corruption_error"].value is None  # two corruptions are not AlexNet's fifteen
    assert scores["relative_corruption_error"].value is None
    assert all(score.support == 40 and score.low is None for score in scores.values())


def test_scores_against_alexnet_and_against_a_version() -> None:
    names = list(ALEXNET)
    own, before = right(names), right(names, seed=1, share=0.5)
    errors = {name: [1 - float(row.mean()) for row in rows] for name, rows in own.worn.items()}
    theirs = {name: 1 - float(rows.mean()) for name, rows in before.worn.items()}
    alone = named(corruption_scores(own, resamples=0))["corruption_error"]
    assert alone.value == pytest.approx(mean_corruption_error(errors, ALEXNET), abs=1e-12)
    assert "not_leaderboard_comparable" in alone.definition
    pair = named(corruption_scores(own, against=before, resamples=0))
    assert pair["corruption_error"].value == pytest.approx(mean_corruption_error(errors, theirs), abs=1e-12)
    assert "alexnet" not in pair["corruption_error"].definition
    relative = mean_corruption_error(
        errors, theirs, clean=1 - float(own.clean.mean()), reference_clean=1 - float(before.clean.mean())
    )
    assert pair["relative_corruption_error"].value == pytest.approx(relative, abs=1e-12)


def test_order_of_corruptions_does_not_matter_to_alexnet() -> None:
    own = right(list(ALEXNET))
    turned = Right(own.clean, dict(reversed(list(own.worn.items()))))
    one, two = (named(corruption_scores(r, resamples=0))["corruption_error"].value for r in (own, turned))
    assert one == pytest.approx(two, abs=1e-12)


def test_a_version_against_itself_is_one() -> None:
    own = right(["fog", "snow"])
    scores = named(corruption_scores(own, against=own))
    for name in ("corruption_error", "relative_corruption_error"):
        assert scores[name].value == pytest.approx(1)
        # Drawn in pairs it never varies; only then are the bounds what images that are all alike leave open.
        low, high = scores[name].low, scores[name].high
        assert low is not None
        assert high is not None
        assert (low, high) == pytest.approx((1 - reach(40), 1 + reach(40)))


def test_intervals_draw_an_image_with_all_its_corruptions() -> None:
    """Images that are right or wrong everywhere: as uncertain as so many images, not as so many answers."""
    same = np.random.default_rng(0).random(100) < 0.6
    own = Right(same, {name: np.tile(same, (5, 1)) for name in ("fog", "snow", "frost")})
    score = corruption_scores(own)[0]
    assert score.low is not None
    assert score.high is not None
    assert score.high - score.low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 100), rel=0.2)


def test_shares_stay_shares() -> None:
    own = Right(np.ones(20, bool), {"fog": np.ones((5, 20), bool)})
    scores = named(corruption_scores(own))
    assert scores["corrupted_accuracy"].high == 1
    assert scores["corrupted_accuracy"].low == pytest.approx(1 - reach(20))
    assert scores["relative_corrupted_accuracy"].value == 1
    wrong = named(corruption_scores(Right(np.zeros(20, bool), {"fog": np.zeros((5, 20), bool)})))
    assert wrong["corrupted_accuracy"].low == 0
    assert wrong["relative_corrupted_accuracy"].value is None


def test_no_images_have_no_scores() -> None:
    own = Right(np.zeros(0, bool), {"fog": np.zeros((5, 0), bool)})
    assert {score.value for score in corruption_scores(own)} == {None}


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="must be"):
        Right(np.ones(3, bool), {"fog": np.ones((5, 4), bool)})
    with pytest.raises(ValueError, match="must be"):
        Right(np.ones(3, bool), {"fog": np.ones((5, 3), bool), "snow": np.ones((4, 3), bool)})
    with pytest.raises(ValueError, match="must be"):
        Right(np.ones(3, bool), {})
    with pytest.raises(ValueError, match="same images"):
        corruption_scores(right(["fog"]), against=right(["snow"]))


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=5, max_size=5), min_size=1, max_size=15), st.floats(0.05, 1)
)
def test_better_everywhere_is_a_smaller_error(rows: list[list[float]], factor: float) -> None:
    errors = {str(i): row for i, row in enumerate(rows)}
    reference = dict.fromkeys(errors, 0.5)
    less = {name: [v * factor for v in row] for name, row in errors.items()}
    one, two = mean_corruption_error(errors, reference), mean_corruption_error(less, reference)
    assert one is not None
    assert two == pytest.approx(one * factor)


def answers(seed: int, images: int, sure: float) -> list[Classification]:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(4, sure), images).astype(np.float32)
    return [Classification(row) for row in scores]


def test_calibration_is_the_mean_of_every_cells() -> None:
    labels, truth = list("abcd"), np.random.default_rng(0).integers(0, 4, 60).tolist()
    told = {
        name: [answers(10 * i + s, 60, 1 / s) for s in (1, 2, 3)] for i, name in enumerate(("fog", "snow"))
    }
    expected = []
    for row in told.values():
        for cell in row:
            metric = CalibrationMetric(labels, resamples=0)
            metric.update(cell, truth)
            expected.append(metric.compute()[0].value or 0.0)
    scores = calibration_scores(told, truth, labels)
    found = named(scores)
    assert found["corrupted_ece_error"].value == pytest.approx(sum(expected) / 6, abs=1e-12)
    second = (expected[1] + expected[4]) / 2
    assert found["corrupted_ece_error.severity.2"].value == pytest.approx(second, abs=1e-12)
    assert list(found)[1:] == [f"corrupted_ece_error.severity.{s}" for s in (1, 2, 3)]
    for score in scores:
        assert score.low is None or score.low <= (score.value or 0) <= (score.high or 1)
        assert score.definition == "mean_of/guo2017/ECE,bins=15,edges=guo"
        assert score.support == 60


def test_calibration_needs_as_many_severities() -> None:
    cell = answers(0, 3, 1.0)
    with pytest.raises(ValueError, match="severities"):
        calibration_scores({"fog": [cell, cell], "snow": [cell]}, [0, 1, 2], list("abcd"))
    with pytest.raises(ValueError, match="severities"):
        calibration_scores({}, [], list("abcd"))

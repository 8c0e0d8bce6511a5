"""D-ECE by a plain loop over bins, and on hand-made detectors."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.curves import Table
from eval.metrics.detection import DetectionMetric
from eval.metrics.detection_calibration import BINS, calibration_error, reliability
from eval.metrics.intervals import wilson
from tests.eval.metrics.oracles import by_name, fed, random_scenes, values
from tests.eval.metrics.test_detection import BOX, OTHER, found, slow_counts, there


def right_of_ten(right: int, score: float) -> DetectionMetric:
    """Ten images with a detection each."""
    metric = DetectionMetric(("cat",), resamples=0)
    images = [found((BOX if i < right else OTHER, score, 0)) for i in range(10)]
    metric.update(images, [there((BOX, 0))] * 10)
    return metric


@pytest.mark.parametrize(("right", "score", "error"), [(8, 0.8, 0.0), (5, 0.8, 0.3), (10, 0.625, 0.375)])
def test_confidence_against_precision(right: int, score: float, error: float) -> None:
    assert values(right_of_ten(right, score))["dece_error"] == pytest.approx(
        error, abs=1e-7
    )  # float32 scores


def test_a_score_on_an_edge_belongs_to_the_bin_above_and_one_to_the_last() -> None:
    for score, place in ((0.0, 0), (0.05, 1), (0.7, 14), (0.95, 19), (1.0, 19)):
        bins = reliability(right_of_ten(5, score).table())
        assert [i for i, b in enumerate(bins) if b.count] == [place], score


def test_the_bins_tell_what_a_diagram_needs() -> None:
    bins = right_of_ten(8, 0.72).reliability()
    full = bins[14]
    assert (full.low, full.high, full.count, full.precision) == (0.7, 0.75, 10, 0.8)
    assert full.confidence == pytest.approx(0.72)
    assert (full.precision_low, full.precision_high) == wilson(8, 10)
    assert bins[0].confidence is bins[0].precision is bins[0].precision_low is None
    assert len(bins) == BINS


def test_a_crowd_is_left_out_and_nothing_is_none() -> None:
    metric = DetectionMetric(("cat",), resamples=0)
    metric.update([found((BOX, 0.9, 0))], [there(((0.0, 0.0, 100.0, 100.0), 0), crowd=True)])
    score = by_name(metric)["dece_error"]
    assert (score.value, score.support) == (None, 0)
    assert np.isnan(calibration_error(Table([], 1))(np.ones((1, 0), np.int64))).all()


@pytest.mark.parametrize("seed", range(10))
def test_random_sets_agree_with_a_plain_loop(seed: int) -> None:
    """Scores are tenths here, so each bin holds one score: its hits are those that a slightly higher
    threshold loses."""
    scenes = random_scenes(seed)
    total, gap = 0, 0.0
    for tenth in range(1, 10):
        counts = np.array(
            [
                [slow_counts(s, k, 0.5, low) for s in scenes for k in range(4)]
                for low in (tenth / 10, tenth / 10 + 0.05)
            ]
        ).sum(axis=1)
        hits, false, _ = (counts[0] - counts[1]).tolist()
        total += hits + false
        gap += abs(hits - (hits + false) * tenth / 10)
    score = by_name(fed(scenes, 4, resamples=0))["dece_error"]
    assert score.support == total
    assert score.value == pytest.approx(gap / total, abs=1e-12)


def test_the_error_weighs_images_as_copies_would() -> None:
    metric = fed(random_scenes(6, images=9), 4, resamples=0)
    statistic, matches = calibration_error(metric.table()), sorted(metric._matches, key=lambda m: m.key())
    for seed in range(10):
        drawn = np.sort(np.random.default_rng(seed).integers(0, 9, 9))
        copies = DetectionMetric(metric._labels, resamples=0)
        copies._matches = [matches[i] for i in drawn]
        weighted = statistic(np.bincount(drawn, minlength=9)[None])[0, 0]
        assert values(copies)["dece_error"] == pytest.approx(weighted, abs=1e-12)

"""Differences of two versions on the same images, against slower and independent ways to get them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from eval.metrics.detection import DetectionMetric
from eval.metrics.intervals import wilson
from eval.metrics.paired import paired_difference, tango
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.truth import Objects
from models.results import Array, Classification, Detections, Segmentation

Z = 1.959963984540054


def tango_by_likelihood(gained: int, lost: int, n: int) -> tuple[float, float]:
    """The same interval from its definition: the nuisance share maximises the likelihood numerically."""

    def statistic(delta: float) -> float:
        least, most = max(0.0, -delta), (1 - delta) / 2

        def unlikely(share: float) -> float:
            parts = ((gained, share + delta), (lost, share), (n - gained - lost, 1 - 2 * share - delta))
            return -sum(count * math.log(max(p, 1e-300)) for count, p in parts if count)

        found = minimize_scalar(unlikely, bounds=(least, most), method="bounded", options={"xatol": 1e-13})
        share = min((least, most, found.x), key=unlikely)
        return float(
            (gained - lost - n * delta) / np.sqrt(max(n * (2 * share + delta * (1 - delta)), 1e-300))
        )

    point, edge = (gained - lost) / n, 1 - 1e-9
    low = brentq(lambda d: statistic(d) - Z, -edge, point) if statistic(-edge) > Z else -1.0
    high = brentq(lambda d: statistic(d) + Z, point, edge) if statistic(edge) < -Z else 1.0
    return float(low), float(high)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 300))
def test_tango_is_its_definition(gained: int, lost: int, agreed: int) -> None:
    n = gained + lost + agreed
    assert tango(gained, lost, n) == pytest.approx(tango_by_likelihood(gained, lost, n), abs=2e-4)


def test_nothing_discordant_is_no_proof() -> None:
    for n in (1, 50, 1000):
        low, high = tango(0, 0, n)
        assert low == pytest.approx(-(Z**2) / (n + Z**2), abs=1e-9)
        assert high == pytest.approx(Z**2 / (n + Z**2), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 50))
def test_turning_the_pair_round_turns_the_interval_round(gained: int, lost: int, agreed: int) -> None:
    n = gained + lost + agreed
    low, high = tango(gained, lost, n)
    if n == 0:
        assert (low, high) == (None, None)
        return
    assert low is not None
    assert high is not None
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert tango(lost, gained, n) == pytest.approx((-high, -low), abs=1e-9)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    n, gained, lost = 200, 0.03, 0.05
    inside = 0
    for _ in range(1000):
        b, c, _rest = rng.multinomial(n, [gained, lost, 1 - gained - lost]).tolist()
        low, high = tango(b, c, n)
        inside += low is not None and high is not None and low <= gained - lost <= high
    low, _high = wilson(inside, 1000, 0.999)
    assert low is not None
    assert low <= 0.95
    assert inside >= 930


@pytest.mark.parametrize("counts", [(-1, 0, 5), (0, -1, 5), (3, 3, 5)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be counts within"):
        tango(*counts)


def scored(labels: Array) -> list[Classification]:
    return [Classification(np.eye(3, dtype=np.float32)[label]) for label in labels]


def test_accuracy_counts_the_discordant_pairs() -> None:
    rng = np.random.default_rng(2)
    truth, first, second = (rng.integers(0, 3, 90) for _ in range(3))
    told = paired_difference("classification", "abc", scored(first), scored(second), truth.tolist())
    mine, other = first == truth, second == truth
    gained, lost = int((mine & ~other).sum()), int((~mine & other).sum())
    assert told.value == pytest.approx(mine.mean() - other.mean())
    assert (told.low, told.high) == tango(gained, lost, 90)
    assert told.support == 90


def scenes(seed: int, count: int = 12) -> tuple[list[Detections], list[Detections], list[Objects]]:
    rng = np.random.default_rng(seed)
    first: list[Detections] = []
    second: list[Detections] = []
    truths: list[Objects] = []
    for image in range(count):
        corners = rng.uniform(0, 60, (3, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 30, (3, 2))], axis=1)
        labels = rng.integers(0, 2, 3)
        truths.append(Objects(boxes, labels, 400.0 * np.ones(3), image=f"{image:03d}"))
        for found, spread in ((first, 3.0), (second, 6.0)):
            moved = (boxes + rng.normal(0, spread, boxes.shape)).astype(np.float32)
            moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
            scores = rng.uniform(0.2, 1, 3).astype(np.float32)
            found.append(Detections(moved, np.sort(scores)[::-1].copy(), labels))
    return first, second, truths


def average_precision(answers: list[Detections], truths: list[Objects], drawn: Array) -> float:
    """AP of a resampled data set, matched all over again; copies get ids that keep the order."""
    metric = DetectionMetric("ab", resamples=0)
    for copy, i in enumerate(drawn.tolist()):
        t = truths[i]
        named = Objects(t.boxes, t.labels, t.areas, image=f"{t.image}-{copy:03d}")
        metric.update([answers[i]], [named])
    return next(s.value for s in metric.compute() if s.name == "ap") or 0.0


def test_ap_is_resampled_together() -> None:
    first, second, truths = scenes(3)
    told = paired_difference("detection", "ab", first, second, truths)
    once = np.arange(len(truths))
    gap = average_precision(first, truths, once) - average_precision(second, truths, once)
    assert told.value == pytest.approx(gap, abs=1e-12)
    rng = np.random.Generator(np.random.Philox(key=0))
    draws = [np.sort(rng.integers(0, len(truths), len(truths))) for _ in range(150)]
    exact = np.array(
        [average_precision(first, truths, d) - average_precision(second, truths, d) for d in draws]
    )
    assert told.low is not None
    assert told.high is not None
    inside = ((told.low <= exact) & (exact <= told.high)).mean()
    assert 0.88 <= inside < 1  # the first 150 of the thousand draws the interval is read from
    assert told.low < gap < told.high


def test_miou_is_the_metric_s_own_and_resampled_together() -> None:
    rng = np.random.default_rng(4)
    truths = [rng.integers(0, 3, (6, 5)).astype(np.uint8) for _ in range(10)]
    sets: list[list[Segmentation]] = []
    for wrong in (0.1, 0.4):
        answers = []
        for truth in truths:
            other = rng.integers(0, 3, truth.shape).astype(np.uint8)
            answers.append(Segmentation(np.where(rng.random(truth.shape) < wrong, other, truth)))
        sets.append(answers)
    truths[0][0, 0] = 255

    def miou(answers: list[Segmentation], drawn: Array) -> float:
        metric = SegmentationMetric("abc", resamples=0)
        for i in drawn.tolist():
            metric.update([answers[i]], [truths[i]])
        return next(s.value for s in metric.compute() if s.name == "miou") or 0.0

    told = paired_difference("segmentation", "abc", sets[0], sets[1], truths)
    draws = np.random.Generator(np.random.Philox(key=0))
    gaps = [
        miou(sets[0], drawn) - miou(sets[1], drawn)
        for drawn in (draws.integers(0, 10, 10) for _ in range(1000))
    ]
    once = np.arange(10)
    assert told.value == pytest.approx(miou(sets[0], once) - miou(sets[1], once), abs=1e-12)
    assert [told.low, told.high] == pytest.approx(np.quantile(gaps, [0.025, 0.975]).tolist(), abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(2, 3), (3, 2)])
def test_what_does_not_pair_up_is_refused(first: int, second: int) -> None:
    answers = scored(np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="must pair up"):
        paired_difference("classification", "abc", answers[:first], answers[:second], [0, 0, 0])

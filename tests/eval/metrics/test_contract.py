"""What every metric promises. A new metric is one line in CASES."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pytest

from eval.metrics.base import Metric
from eval.metrics.boundary import BoundaryMetric
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.detection import DetectionMetric
from eval.metrics.one_vs_rest import OneVsRestMetric
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.tables import METRICS, metric_for
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array, Classification, Detections, Segmentation

LABELS = ("ant", "bee", "cat", "dog", "eel", "fly", "bee")


@dataclass(frozen=True)
class Case:
    make: Callable[..., Metric[Any, Any]]  # takes labels, or has its own
    draw: Callable[[np.random.Generator], tuple[Any, Any]]
    strangers: Callable[[], Metric[Any, Any]]  # cannot be merged with


def classification(rng: np.random.Generator) -> tuple[Classification, int]:
    scores = np.round(rng.dirichlet(np.full(7, 0.3)), 1).astype(np.float32)
    return Classification(scores), int(rng.integers(0, 6))


def detection(rng: np.random.Generator) -> tuple[Detections, Objects]:
    many = int(rng.integers(0, 4))
    boxes = np.tile([0.0, 0, 20, 20], (many, 1)) + rng.integers(0, 5, (many, 1)) * 10
    truth = Objects(boxes, rng.integers(0, 6, many), crowd=rng.random(many) < 0.2)
    shift = rng.integers(-2, 3, (many, 4))
    labels, scores = np.where(rng.random(many) < 0.8, truth.labels, 6), rng.integers(1, 5, many) / 4
    return Detections((boxes + shift).astype(np.float32), scores.astype(np.float32), labels), truth


def masked(rng: np.random.Generator) -> tuple[Detections, Objects]:
    many = int(rng.integers(0, 4))
    masks, boxes = rng.random((many, 6, 6)) < 0.6, np.zeros((many, 4))
    truth = Objects(boxes, rng.integers(0, 6, many), masks.sum(axis=(1, 2)).astype(float), masks=masks)
    said = masks ^ (rng.random(masks.shape) < 0.15)
    scores = (rng.integers(1, 5, many) / 4).astype(np.float32)
    return Detections(boxes.astype(np.float32), scores, truth.labels, said), truth


def segmentation(rng: np.random.Generator) -> tuple[Segmentation, Any]:
    truth = rng.integers(0, 6, (4, 5))
    guess = np.where(rng.random((4, 5)) < 0.7, truth, rng.integers(0, 6, (4, 5)))
    return Segmentation(guess), np.where(rng.random((4, 5)) < 0.1, 255, truth)


CASES = {
    "classification": Case(
        lambda labels=LABELS: ClassificationMetric(labels),
        classification,
        lambda: ClassificationMetric(LABELS[:6]),
    ),
    "top 2 as scikit-learn": Case(
        lambda labels=LABELS: ClassificationMetric(labels, k=2, ties="sklearn"),
        classification,
        lambda: ClassificationMetric(LABELS, k=2),
    ),
    "one against the rest": Case(
        lambda labels=LABELS: OneVsRestMetric(labels), classification, lambda: OneVsRestMetric(LABELS[:6])
    ),
    "bins of equal mass": Case(
        lambda labels=LABELS: CalibrationMetric(labels, edges="mass"),
        classification,
        lambda: CalibrationMetric(LABELS, bins=10, edges="mass"),
    ),
    "calibration": Case(
        lambda labels=LABELS: CalibrationMetric(labels),
        classification,
        lambda: CalibrationMetric(LABELS, edges="netcal"),
    ),
    "boxes": Case(
        lambda labels=LABELS: DetectionMetric(labels),
        detection,
        lambda: DetectionMetric(LABELS, overlap="masks"),
    ),
    "masks": Case(
        lambda labels=LABELS: DetectionMetric(labels, overlap="masks"),
        masked,
        lambda: DetectionMetric(LABELS, score=0.1),
    ),
    "boundaries": Case(
        lambda labels=LABELS: BoundaryMetric(labels), segmentation, lambda: BoundaryMetric(LABELS, share=0.1)
    ),
    "segmentation": Case(
        lambda labels=LABELS: SegmentationMetric(labels),
        segmentation,
        lambda: SegmentationMetric(LABELS, ignore_index=0),
    ),
}
every_metric = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def samples(case: Case, count: int = 25) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(0)
    predicted, expected = zip(*(case.draw(rng) for _ in range(count)), strict=True)
    return list(predicted), list(expected)


def state(case: Case, predicted: Sequence[Any], expected: Sequence[Any], size: int = 100) -> Metric[Any, Any]:
    metric = case.make()
    for start in range(0, len(predicted), size):
        metric.update(predicted[start : start + size], expected[start : start + size])
    return metric


@every_metric
def test_parts_merged_are_the_whole_in_any_order(case: Case) -> None:
    predicted, expected = samples(case)
    whole = state(case, predicted, expected).compute()
    assert state(case, predicted, expected, size=3).compute() == whole
    assert state(case, predicted[::-1], expected[::-1], size=4).compute() == whole
    shuffled = np.random.default_rng(1).permutation(25)
    parts = [
        state(case, [predicted[i] for i in rows], [expected[i] for i in rows])
        for rows in np.array_split(shuffled, 3)
    ]
    nothing = case.make()
    for part in [case.make(), *parts]:
        nothing.merge(part)
    assert nothing.compute() == whole


@every_metric
def test_merging_leaves_the_other_alone(case: Case) -> None:
    predicted, expected = samples(case)
    one, other = state(case, predicted[:10], expected[:10]), state(case, predicted[10:], expected[10:])
    before = other.compute()
    one.merge(other)
    one.update(predicted[:5], expected[:5])
    assert other.compute() == before


@every_metric
def test_computing_changes_nothing(case: Case) -> None:
    metric = state(case, *samples(case))
    assert metric.compute() == metric.compute()
    restored: Metric[Any, Any] = pickle.loads(pickle.dumps(metric))  # noqa: S301
    assert restored.compute() == metric.compute()


@every_metric
def test_nothing_measured_is_none_not_zero(case: Case) -> None:
    metric = case.make()
    metric.update([], [])
    for score in metric.compute():
        assert (score.value, score.support, score.low, score.high) == (None, 0, None, None), score.name


@every_metric
def test_scores_are_plain_finite_and_named_once(case: Case) -> None:
    metric = state(case, *samples(case))
    scores = metric.compute()
    names = [score.name for score in scores]
    assert len(set(names)) == len(names)
    assert names == [score.name for score in case.make().compute()]
    for score in scores:
        assert score.definition
        assert type(score.support) is int
        assert (score.value is None) <= (score.low is score.high is None)
        for number in (score.value, score.low, score.high):
            assert number is None or (type(number) is float and np.isfinite(number)), score
        if score.low is not None and score.high is not None:
            assert score.low <= score.high
        if not score.name.endswith(("_loss", "_error")) and score.name not in {"kappa", "mcc"}:
            assert score.value is None or 0 <= score.value <= 1, score
        if score.support == 0:
            assert score.value is None, score


@every_metric
def test_an_interval_holds_its_number(case: Case) -> None:
    for score in state(case, *samples(case)).compute():
        if score.low is not None and score.high is not None:
            assert score.value is not None
            assert score.low <= score.value <= score.high, score


@every_metric
def test_every_image_twice_changes_no_number(case: Case) -> None:
    rng = np.random.default_rng(2)
    predicted, expected = (
        list(side) for side in zip(*(untied(case.draw(rng), rng) for _ in range(25)), strict=True)
    )
    once, twice = state(case, predicted, expected), state(case, predicted * 2, expected * 2)
    for one, two in zip(once.compute(), twice.compute(), strict=True):
        assert two.value == (None if one.value is None else pytest.approx(one.value, abs=1e-9)), one.name
        assert two.support == 2 * one.support


@every_metric
def test_what_is_resampled_is_what_is_computed(case: Case) -> None:
    """Each image once gives the scores themselves; shares of images are the mean of their hits."""
    metric = state(case, *samples(case))
    resampled = metric.resampled()
    assert resampled is not None
    scores = {score.name: score for score in metric.compute()}
    read = resampled.values(np.ones((2, 25), np.int64))
    assert read.shape == (2, len(resampled.names))
    assert (read[0] == read[1])[~np.isnan(read[0])].all()
    for name, value in zip(resampled.names, read[0].tolist(), strict=True):
        expected = scores[name].value
        assert np.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-12), name
    for name, hits in resampled.hits.items():
        assert scores[name].value == pytest.approx(hits.mean())


@every_metric
def test_names_travel_with_their_classes(case: Case) -> None:
    """The classes in another order: the same scores under the same names."""
    turn = np.array([3, 0, 5, 6, 1, 2, 4])  # class k becomes turn[k]
    names = [f"c{k}" for k in range(len(LABELS))]
    ours, theirs = case.make(names), case.make([names[k] for k in np.argsort(turn)])
    rng = np.random.default_rng(0)
    for _ in range(25):
        predicted, expected = untied(case.draw(rng), rng)
        ours.update([predicted], [expected])
        theirs.update([turned(predicted, turn)], [turned(expected, turn)])
    before, after = ({score.name: score for score in metric.compute()} for metric in (ours, theirs))
    assert before.keys() == after.keys()
    for name, score in before.items():
        value = None if score.value is None else pytest.approx(score.value, abs=1e-12)
        assert (after[name].value, after[name].support) == (value, score.support), name


def untied(sample: tuple[Any, Any], rng: np.random.Generator) -> tuple[Any, Any]:
    """Without equal scores: their rules know the order of the classes, and of images without a name."""
    predicted, expected = sample
    if isinstance(predicted, Detections):
        jitter = rng.random(len(predicted)).astype(np.float32) / 1000
        predicted = replace(predicted, scores=predicted.scores - jitter)
    if isinstance(predicted, Classification):
        jitter = rng.random(7).astype(np.float32) / 1000
        predicted = Classification((predicted.scores + jitter) / 2)
    return predicted, expected


def turned(one: Any, turn: Array) -> Any:
    """An answer or a truth after class k became `turn[k]`."""
    if isinstance(one, Classification):
        return Classification(one.scores[np.argsort(turn)])
    if isinstance(one, Detections | Objects):
        return replace(one, labels=turn[one.labels])
    if isinstance(one, Segmentation):
        return Segmentation(turn[one.labels])
    return (
        turn[one] if isinstance(one, int) else np.where(one == 255, 255, turn[np.where(one == 255, 0, one)])
    )


@every_metric
def test_unequal_lengths_are_refused(case: Case) -> None:
    predicted, expected = samples(case, 3)
    metric = case.make()
    for p, e in ((predicted[:2], expected), (predicted, expected[:2]), ([], expected)):
        with pytest.raises(ValueError, match="must pair up"):
            metric.update(p, e)
    assert metric.compute() == case.make().compute()


@every_metric
def test_strangers_are_not_merged(case: Case) -> None:
    with pytest.raises(ValueError, match="must be the same"):
        case.make().merge(case.strangers())


def test_every_task_has_metrics_whose_names_do_not_collide() -> None:
    assert set(METRICS) == set(get_args(TaskName))
    for task in METRICS:
        metrics = metric_for(task, LABELS)
        names = [score.name for metric in metrics for score in metric.compute()]
        assert len(set(names)) == len(names)
        assert len({id(m) for m in (*metrics, *metric_for(task, LABELS))}) == 2 * len(metrics)

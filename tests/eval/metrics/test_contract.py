"""What every metric promises. A new metric is one line in CASES."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pytest

from eval.metrics.base import Metric
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.detection import DetectionMetric
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.tables import METRICS, metric_for
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Classification, Detections, Segmentation

LABELS = ("ant", "bee", "cat", "dog", "eel", "fly", "bee")


@dataclass(frozen=True)
class Case:
    make: Callable[[], Metric[Any, Any]]
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
        lambda: ClassificationMetric(LABELS), classification, lambda: ClassificationMetric(LABELS[:6])
    ),
    "calibration": Case(
        lambda: CalibrationMetric(LABELS), classification, lambda: CalibrationMetric(LABELS, edges="netcal")
    ),
    "boxes": Case(
        lambda: DetectionMetric(LABELS), detection, lambda: DetectionMetric(LABELS, overlap="masks")
    ),
    "masks": Case(
        lambda: DetectionMetric(LABELS, overlap="masks"), masked, lambda: DetectionMetric(LABELS, score=0.1)
    ),
    "segmentation": Case(
        lambda: SegmentationMetric(LABELS), segmentation, lambda: SegmentationMetric(LABELS, ignore_index=0)
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

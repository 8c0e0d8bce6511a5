"""The headline numbers against the task's whole metrics: of all images and of every resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from eval.auditing.headline import HEADLINES
from eval.metrics.base import Metric
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.detection import DetectionMetric
from eval.metrics.intervals import resample
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array, Classification, Detections, Segmentation

LABELS = ("ape", "bee", "cat", "dog")
IMAGES = 30
Pairs = tuple[list[Any], list[Any]]


def classes(rng: np.random.Generator) -> Pairs:
    scores = rng.dirichlet(np.full(4, 0.5), IMAGES).astype(np.float32)
    scores[:4] = np.eye(4, dtype=np.float32)  # as sure as can be
    scores[4] = 0.25  # all tied
    scores[5:9] = np.array([0.6, 0.2, 0.1, 0.1], np.float32)  # on the edge of a bin, as float32
    return [Classification(row) for row in scores], rng.integers(0, 4, IMAGES).tolist()


def boxes(rng: np.random.Generator) -> Pairs:
    found, truth = [], []
    for i in range(IMAGES):
        corners = rng.random((i % 4, 2)) * 60
        own = np.hstack([corners, corners + 8 + rng.random((i % 4, 2)) * 30])
        labels = rng.integers(0, 3, len(own))  # no dog is ever there
        truth.append(
            Objects(
                own, labels, (own[:, 2:] - own[:, :2]).prod(axis=1), rng.random(len(own)) < 0.1, None, f"{i}"
            )
        )
        moved = np.vstack([own + rng.normal(0, 3, own.shape), [[1, 1, 9, 9]]]).astype(np.float32)
        named = np.append(np.where(rng.random(len(own)) < 0.8, labels, 3), 0)
        found.append(Detections(moved, rng.random(len(named)).astype(np.float32).round(1), named))
    return found, truth


def maps(rng: np.random.Generator) -> Pairs:
    found, truth = [], []
    for _ in range(IMAGES):
        own = rng.integers(0, 3, (5, 7))
        noisy = np.where(rng.random(own.shape) < 0.3, rng.integers(0, 4, own.shape), own)
        found.append(Segmentation(noisy))
        truth.append(np.where(rng.random(own.shape) < 0.1, 255, own).astype(np.uint8))
    return found, truth


CASES: Sequence[tuple[TaskName, Any, list[tuple[Metric[Any, Any], str]]]] = [
    ("detection", boxes, [(DetectionMetric(LABELS, resamples=0), "ap")]),
    ("segmentation", maps, [(SegmentationMetric(LABELS, resamples=0), "miou")]),
    ("classification", classes, [
        (ClassificationMetric(LABELS, resamples=0), "recall.micro"),
        (CalibrationMetric(LABELS, resamples=0), "ece_error"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("task", "made", "metrics"), CASES)
def test_headlines_are_the_metrics_own(
    task: TaskName, made: Any, metrics: list[tuple[Metric[Any, Any], str]]
) -> None:
    answers, truths = made(np.random.default_rng(0))
    headline: Any = HEADLINES[task](LABELS)
    kept = [headline.kept(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
    values = headline.values(kept, truths if headline.needs_truth else [])
    times = np.concatenate([np.ones((1, IMAGES), np.int64), *resample(IMAGES, 20, 1)])
    columns: list[Array] = []
    for metric, name in metrics:
        metric.update(answers, truths)
        resampled = metric.resampled()
        assert resampled is not None
        columns.append(resampled.values(times)[:, resampled.names.index(name)])
    found = values(times)
    assert found == pytest.approx(np.column_stack(columns), abs=1e-12, nan_ok=True)
    assert len(set(found[:, 0].tolist())) > 5  # the resamples differ
    first = {score.name: score for metric, _ in metrics for score in metric.compute()}
    assert found[0, 0] == pytest.approx(first[headline.name].value, abs=1e-12)
    assert first[headline.name].definition == headline.rule
    if headline.calibration:
        assert first["ece_error"].definition == headline.calibration


@pytest.mark.parametrize(("task", "made", "metrics"), CASES)
def test_nothing_answered_is_undefined(task: TaskName, made: Any, metrics: object) -> None:
    assert np.isnan(HEADLINES[task](LABELS).values([], [])(np.zeros((3, 0), np.int64))).all()


def test_nothing_to_find_is_undefined() -> None:
    nothing = Objects(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool), None, "a")
    headline = HEADLINES["detection"](LABELS)
    kept = headline.kept(Detections.empty(), nothing)  # type: ignore[arg-type]
    assert np.isnan(headline.values([kept], [nothing])(np.ones((2, 1), np.int64))).all()  # type: ignore[list-item]


def test_what_is_no_class_cannot_be_kept() -> None:
    _, truths = boxes(np.random.default_rng(0))
    one = np.ones(1, np.float32)
    stray = Detections(np.array([[0, 0, 2, 2]], np.float32), one, np.array([4]))
    with pytest.raises(ValueError, match="labels must be in"):
        HEADLINES["detection"](LABELS).kept(stray, truths[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="4"):
        HEADLINES["segmentation"](LABELS).kept(Segmentation(np.full((1, 1), 4)), np.zeros((1, 1), np.uint8))  # type: ignore[arg-type]


def test_masks_are_not_kept() -> None:
    """A mask of a megapixel is no part of the box's AP."""
    found, truth = boxes(np.random.default_rng(0))
    heavy = Detections(found[3].boxes, found[3].scores, found[3].labels, np.ones((4, 999, 999), bool))
    headline = HEADLINES["detection"](LABELS)
    assert headline.kept(heavy, truth[3]) == headline.kept(found[3], truth[3])  # type: ignore[arg-type]

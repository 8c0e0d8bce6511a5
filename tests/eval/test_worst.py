"""The worst answers: the same ones in whatever order, and no more than were asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.data.dataset import Expected, Sample
from eval.metrics.detection import DetectionMetric
from eval.metrics.truth import Objects
from eval.worst import Worst, pair, severity
from models.results import Array, Classification, Detections, Result, Segmentation


def answer(score: float) -> Classification:
    """Class 1 at `score`; wrong where class 0 was expected."""
    return Classification(np.array([1 - score, score], np.float32))


def noted(count: int, told: Sequence[tuple[str, float]]) -> list[str]:
    worst = Worst(count)
    for name, score in told:
        worst.note(Sample(name, b"", 0), answer(score))
    return [sample.id for sample, _ in worst.examples]


scores = st.sampled_from([0.1, 0.4, 0.6, 0.75, 0.9])


@given(st.dictionaries(st.text(max_size=3), scores, max_size=20), st.integers(0, 5), st.randoms())
def test_the_order_of_arrival_changes_nothing(told: dict[str, float], count: int, random: object) -> None:
    rows = list(told.items())
    shuffled = sorted(rows, key=lambda _: random.random())  # type: ignore[attr-defined]
    wrong = sorted((-score, name) for name, score in rows if score > 0.5)
    assert noted(count, rows) == noted(count, shuffled) == [name for _, name in wrong[:count]]


def test_a_negative_number_of_examples_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        Worst(-1)


def box(*corners: float) -> Objects:
    return Objects(np.array([corners], float).reshape(-1, 4), np.zeros(len(corners) // 4, np.int64))


@pytest.mark.parametrize(
    ("got", "expected", "wrong"),
    [
        (answer(0.75), 1, 0.0),
        (answer(0.75), 0, 0.75),
        (Detections.empty(), box(0, 0, 4, 4), 1.0),
        (Detections.empty(), box(), 0.0),
        (Segmentation(np.array([[1, 1], [0, 3]])), np.array([[1, 0], [255, 255]]), 0.5),
        (Segmentation(np.array([[1]])), np.array([[255]]), 0.0),
    ],
)
def test_severity(got: Result, expected: Expected, wrong: float) -> None:
    assert severity(got, expected) == wrong


def test_an_answer_of_another_task_is_refused() -> None:
    with pytest.raises(TypeError, match="task, got Classification"):
        severity(answer(0.5), box())


def test_unsure_objects_are_not_found() -> None:
    unsure = Detections(np.array([[0, 0, 4, 4]], np.float32), np.array([0.49], np.float32), np.array([0]))
    assert severity(unsure, box(0, 0, 4, 4)) == 1.0


def test_the_surer_of_two_takes_the_object() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 4]], np.float32)
    false, missed = pair(
        Detections(boxes, np.array([0.6, 0.9], np.float32), np.array([0, 0])), box(0, 0, 4, 4)
    )
    assert (false.tolist(), missed.tolist()) == ([True, False], [False])


corners = arrays(np.int64, st.tuples(st.integers(0, 6), st.just(4)), elements=st.integers(0, 9))


@given(corners, corners, st.integers(0, 1000))
def test_misses_and_false_objects_are_those_of_the_metric(found: Array, truth: Array, seed: int) -> None:
    """By another road: precision and recall of `DetectionMetric` at the same point."""
    rng = np.random.default_rng(seed)
    found, truth = (np.concatenate([c[:, :2], c[:, :2] + 1 + c[:, 2:]], axis=1) for c in (found, truth))
    scores = rng.permutation(np.linspace(0.5, 1, len(found))).astype(np.float32)
    answered = Detections(found.astype(np.float32), scores, rng.integers(0, 2, len(found)))
    expected = Objects(
        truth.astype(float), rng.integers(0, 2, len(truth)), crowd=rng.random(len(truth)) < 0.3
    )
    false, missed = pair(answered, expected)
    metric = DetectionMetric(["a", "b"], resamples=0)
    metric.update([answered], [expected])
    told = {score.name: score for score in metric.compute()}
    wanted = len(truth) - int(expected.crowd.sum())
    hits = wanted - int(missed.sum())
    assert told["recall.micro"].value == (hits / wanted if wanted else None)
    counted = hits + int(false.sum())
    assert told["precision.micro"].value == (hits / counted if counted else None)

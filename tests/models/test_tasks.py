"""Every task answers in order, at any size, alone or in company."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.card import InputSpec, ModelCard, Postprocess, TaskName
from models.results import Array, Classification, Detections, Segmentation
from models.tasks import TASKS, Predictor
from models.tasks.detect import suppress


def card(task: TaskName, family: str, **fields: object) -> ModelCard:
    spec = InputSpec(height=32, width=32, resize="letterbox", fill=0)
    facts = {
        "name": "m", "version": 1, "task": task, "family": family, "input": spec, "outputs": ("o",),
        "labels": ("a", "b"), "licence": "Apache-2.0", "sha256": "0" * 64, **fields,
    }  # fmt: skip
    return ModelCard.model_validate(facts)


class BrightRunner:
    """Says where the input is bright: class 1 above half, one box around the bright pixels."""

    def __init__(self, task: TaskName) -> None:
        self.task = task
        self.batches: list[int] = []

    def run(self, batch: Array) -> list[Array]:
        self.batches.append(len(batch))
        grey = batch.mean(axis=1)
        if self.task == "classification":
            level = grey.mean(axis=(1, 2))
            return [np.stack([1 - level, level], axis=1) * 10]
        if self.task == "segmentation":
            return [np.stack([1 - grey, grey], axis=1)]
        boxes = np.zeros((len(batch), 1, 4), np.float32)
        for i, plane in enumerate(grey):
            rows, cols = np.nonzero(plane > 0.5)
            if len(rows):
                boxes[i, 0] = cols.min(), rows.min(), cols.max() + 1, rows.max() + 1
        return [boxes, np.tile(np.array([[[0.1, 0.9]]], np.float32), (len(batch), 1, 1))]


def block(height: int, width: int) -> Array:
    """Black, with a white block from a quarter to three quarters of each side."""
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
    return image


SIZES = [(32, 32), (64, 32), (20, 60), (128, 96)]
CASES: list[tuple[TaskName, str]] = [
    ("classification", "logits"),
    ("classification", "probabilities"),
    ("detection", "dense"),
    ("segmentation", "logits"),
    ("segmentation", "probabilities"),
]


@pytest.mark.parametrize(("task", "family"), CASES)
def test_alone_or_in_company(task: TaskName, family: str) -> None:
    runner = BrightRunner(task)
    predictor = Predictor(TASKS[task](card(task, family)), runner, max_batch=3)
    images = [block(*size) for size in SIZES]
    together, alone = predictor.predict(images), [predictor.predict([i])[0] for i in images]
    for one, other in zip(together, alone, strict=True):
        for name in one.__slots__:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert runner.batches == [3, 1, 1, 1, 1, 1]
    assert predictor.predict([]) == []


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_those_of_the_image_as_sent(size: tuple[int, int]) -> None:
    found = Predictor(TASKS["detection"](card("detection", "dense")), BrightRunner("detection")).predict(
        [block(*size)]
    )[0]
    assert isinstance(found, Detections)
    height, width = size
    want = [width // 4, height // 4, 3 * width // 4, 3 * height // 4]
    assert found.labels.tolist() == [1, 0]  # best first
    np.testing.assert_allclose(found.boxes[0], want, atol=max(size) / 32)


@pytest.mark.parametrize("size", SIZES)
def test_label_maps_are_those_of_the_image_as_sent(size: tuple[int, int]) -> None:
    task = TASKS["segmentation"](card("segmentation", "logits"))
    found = Predictor(task, BrightRunner("segmentation")).predict([block(*size)])[0]
    assert isinstance(found, Segmentation)
    want = block(*size)[..., 0] > 0
    assert found.labels.shape == size
    assert (found.labels.astype(bool) == want).mean() > 0.9


def test_probabilities_pass_and_logits_are_turned_into_them() -> None:
    raw = np.array([0.25, 0.75], np.float32)
    plain = TASKS["classification"](card("classification", "probabilities")).interpret([raw], (1, 1))
    assert isinstance(plain, Classification)
    np.testing.assert_array_equal(plain.scores, raw)
    huge = TASKS["classification"](card("classification", "logits")).interpret([raw * 4000], (1, 1))
    assert isinstance(huge, Classification)
    assert huge.scores.tolist() == [0, 1]  # no overflow


def slow_suppress(boxes: Array, labels: Array, iou_threshold: float) -> list[int]:
    """The definition, one pair at a time."""
    kept: list[int] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        for j in kept:
            a1, b1, a2, b2 = boxes[j]
            shared = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - shared
            if labels[i] == labels[j] and union > 0 and shared / union > iou_threshold:
                break
        else:
            kept.append(i)
    return kept


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([0.0, 0.3, 0.6, 1.0]))
def test_suppression_is_the_definition(seed: int, count: int, iou_threshold: float) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.integers(0, 30, (count, 2)), rng.integers(0, 25, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    labels = rng.integers(0, 3, count)
    want = slow_suppress(boxes, labels, iou_threshold)
    assert suppress(boxes, labels, iou_threshold=iou_threshold, limit=1000).tolist() == want
    assert suppress(boxes, labels, iou_threshold=iou_threshold, limit=5).tolist() == want[:5]


@pytest.mark.parametrize("seed", range(12))
def test_suppression_of_many_blocks_is_the_definition(seed: int) -> None:
    """Hundreds of boxes around a few objects, more than are compared with each other at once."""
    rng = np.random.default_rng(seed)
    count, whose = int(rng.integers(129, 700)), rng.integers(0, 30, 700)
    corner, size = rng.integers(0, 90, (30, 2)), rng.integers(4, 40, (30, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)[whose] + rng.integers(-3, 4, (700, 4))
    labels = rng.integers(0, 3, 700)
    want = slow_suppress(boxes[:count], labels[:count], 0.5)
    assert len(want) > 40
    for limit in (1, 40, len(want), 1000):
        got = suppress(boxes[:count], labels[:count], iou_threshold=0.5, limit=limit)
        assert got.tolist() == want[:limit]


def test_boxes_of_other_classes_go_too_where_the_card_says_so() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9]], np.float32)
    scores = np.array([[0.9, 0], [0, 0.8]], np.float32)
    for agnostic, want in ((False, [0, 1]), (True, [0])):
        own = card("detection", "dense", postprocess=Postprocess(class_agnostic=agnostic))
        found = TASKS["detection"](own).interpret([boxes, scores], (32, 32))
        assert isinstance(found, Detections)
        assert found.labels.tolist() == want


def test_masks_of_a_huge_picture_are_as_many_as_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.tasks.detect.MASK_PIXELS", 3 * 20 * 30 + 5)
    boxes = np.array([[i * 6, 0, i * 6 + 5, 5] for i in range(5)], np.float32)
    scores, masks = np.array([0.5, 0.9, 0.7, 0.6, 0.8], np.float32), np.ones((5, 1, 4, 4), np.float32)
    task = TASKS["detection"](card("detection", "maskrcnn"))
    for shape, want in (((20, 30), 3), ((40, 60), 1), ((5, 5), 5)):
        found = task.interpret([boxes, np.arange(5) % 2, scores, masks], shape)
        assert isinstance(found, Detections)
        assert found.masks is not None
        assert found.masks.shape == (want, *shape)
        assert found.scores.tolist() == sorted(scores.tolist(), reverse=True)[:want]


def test_weak_and_surplus_boxes_are_dropped() -> None:
    rules = Postprocess(score_threshold=0.5, max_detections=2)
    task = TASKS["detection"](card("detection", "dense", postprocess=rules))
    boxes = np.array([[i * 10, 0, i * 10 + 5, 5] for i in range(4)], np.float32)
    scores = np.array([[0.4, 0], [0.6, 0], [0, 0.9], [0.7, 0]], np.float32)
    found = task.interpret([boxes, scores], (32, 32))
    assert isinstance(found, Detections)
    np.testing.assert_allclose(found.scores, [0.9, 0.7])
    assert found.labels.tolist() == [1, 0]

"""What a model says survives JSON to the last bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pydantic import TypeAdapter

from models.card import InputSpec, ModelCard, TaskName
from models.results import Array, Classification, Detections, Result, Segmentation
from models.wire import (
    ClassifyAnswer,
    DetectAnswer,
    SegmentAnswer,
    answer_of,
    from_runs,
    mask_counts,
    results_of,
    to_runs,
)

LABELS = ("ant", "bee", "cat")


def card(task: TaskName) -> ModelCard:
    family = "dense" if task == "detection" else "logits"
    return ModelCard(
        name="m", version=3, task=task, family=family, input=InputSpec(height=8, width=8), outputs=("o",),
        labels=LABELS, licence="Apache-2.0", sha256="0" * 64,
    )  # fmt: skip


def sent(task: TaskName, results: list[Any], **options: Any) -> dict[str, Any]:
    body = orjson.dumps(answer_of(card(task), results, **options), option=orjson.OPT_SERIALIZE_NUMPY)
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def random_results(task: TaskName, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    if task == "classification":
        return [Classification(rng.dirichlet(np.ones(3)).astype(np.float32)) for _ in range(4)]
    if task == "segmentation":
        return [Segmentation(rng.integers(0, 3, (5, 7))) for _ in range(3)]
    many = [0, 1, 6]
    return [
        Detections(
            rng.uniform(0, 50, (n, 4)).astype(np.float32),
            np.sort(rng.random(n).astype(np.float32))[::-1],
            rng.integers(0, 3, n),
            rng.random((n, 5, 7)) > 0.5 if n else None,
        )
        for n in many
    ]


def same(left: Result, right: Result) -> None:
    assert type(left) is type(right)
    for name in left.__slots__:
        one, other = getattr(left, name), getattr(right, name)
        assert (one is None) == (other is None), name
        if one is not None:
            np.testing.assert_array_equal(one, other)


def pixels_of(result: Result) -> int:
    """Of the picture it is about, as far as the result knows."""
    maps = {Segmentation: "labels", Detections: "masks"}.get(type(result))
    found = getattr(result, maps) if maps else None
    return 0 if found is None else int(np.prod(found.shape[-2:]))


TASKS: list[TaskName] = ["classification", "detection", "segmentation"]
SHAPES = {"classification": ClassifyAnswer, "detection": DetectAnswer, "segmentation": SegmentAnswer}


@pytest.mark.parametrize("task", TASKS)
def test_results_survive_to_the_last_bit(task: TaskName) -> None:
    results = random_results(task)
    told = results_of(sent(task, results, scores=True), task, [pixels_of(r) for r in results])
    for before, after in zip(results, told, strict=True):
        same(before, after)


@pytest.mark.parametrize("task", TASKS)
def test_the_documented_shape_is_the_sent_shape(task: TaskName) -> None:
    body = sent(task, random_results(task), scores=True)
    told = TypeAdapter(SHAPES[task]).validate_python(body)
    assert set(body) == set(told.model_dump(exclude={"explanation"}))  # only where it was asked for


def test_top_is_sorted_and_ties_go_to_the_lower_index() -> None:
    flat = Classification(np.array([0.25, 0.5, 0.25], np.float32))
    prediction = sent("classification", [flat], top_k=2)["predictions"][0]
    assert [g["name"] for g in prediction["top"]] == ["bee", "ant"]
    assert (prediction["label"], prediction["name"], prediction["score"]) == (1, "bee", 0.5)
    assert "scores" not in prediction


def test_weak_objects_are_left_out() -> None:
    boxes = np.zeros((2, 4), np.float32)
    found = Detections(boxes, np.array([0.9, 0.2], np.float32), np.array([0, 1]))
    assert sent("detection", [found], score_threshold=0.5)["predictions"][0]["names"] == ["ant"]


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7))
def test_runs_of_any_mask_are_those_of_pycocotools(seed: int, height: int, width: int) -> None:
    """Full, empty, and with columns free on either side."""
    draw = np.random.default_rng(seed)
    mask = draw.random((height, width)) < draw.choice([0.0, 0.2, 0.8, 1.0])
    mask[:, : draw.integers(0, width + 1)] &= draw.random() < 0.5
    mask[:, draw.integers(0, width + 1) :] &= draw.random() < 0.5
    counts = mask_counts(mask)
    assert counts.dtype == np.int64
    assert counts.sum() == mask.size
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert (
        coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width) == theirs
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools on NumPy 2
def test_masks_are_coco_runs() -> None:
    mask = np.random.default_rng(1).random((6, 9)) > 0.4
    mask[0, 0] = True
    found = Detections(
        np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int64), mask[None]
    )
    runs = sent("detection", [found])["predictions"][0]["masks"][0]
    theirs = coco_mask.decode(coco_mask.frPyObjects(runs, *runs["size"]))
    np.testing.assert_array_equal(theirs.astype(bool), mask)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_runs_there_and_back(values: list[int]) -> None:
    flat: Array = np.array(values)
    runs, counts = to_runs(flat)
    assert np.array_equal(from_runs(runs, counts, (1, len(values)))[0], flat)
    assert not (runs[1:] == runs[:-1]).any()


BAD: list[Any] = [
    {},
    {"task": "classification"},
    {"task": "juggling", "predictions": []},
    {"task": "classification", "predictions": [{"scores": "no"}]},
    {"task": "detection", "predictions": [{"boxes": [[1, 2, 3]], "scores": [1], "labels": [0]}]},
    {"task": "segmentation", "predictions": [{"size": [2, 2], "values": [0], "counts": [3]}]},
    {"task": "segmentation", "predictions": [{"size": [2, 2], "values": [0, 1], "counts": [5, -1]}]},
    {"task": "segmentation", "predictions": [{"size": [2, 3], "values": [0], "counts": [6]}]},
    {"task": "classification", "predictions": [{"scores": [1]}, {"scores": [1]}]},
]


@pytest.mark.parametrize("body", BAD, ids=str)
def test_what_is_no_answer_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        results_of(body, body.get("task", "classification"), [4])

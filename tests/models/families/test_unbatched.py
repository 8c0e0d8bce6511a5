"""A graph without a batch axis, and as many objects as it finds, is asked about one picture at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.publish import publish
from models.repository import RepositoryError, opened
from models.results import Array, Detections
from models.runtime import OnnxRunner
from tests.models.families.graphs import BOXES, picks

FACTS: dict[str, Any] = {
    "name": "picks",
    "version": 1,
    "task": "detection",
    "family": "torchvision",
    "input": {"height": 8, "width": 8, "mean": (0, 0, 0), "std": (1, 1, 1)},
    "outputs": ("boxes", "labels", "scores"),
    "labels": ("one", "two"),
    "postprocess": {"first_label": 1},
    "licence": "Apache-2.0",
    "max_batch": 1,
}
SHAPES: list[list[int | str]] = [[3, "H", "W"], [1, 3, 8, 8]]


def grey(level: int) -> Array:
    return np.full((16, 16, 3), level, np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_get_their_own_numbers_of_objects(shape: list[int | str], tmp_path: Path) -> None:
    found = opened(publish(tmp_path, picks(shape), FACTS, golden_image=grey(4)))
    assert [port.shape for port in found.outputs] == [(1, -1, 4), (1, -1), (1, -1)]
    assert [len(port.shape) for port in found.inputs] == [4]
    answers = found.predictor.predict([grey(level) for level in (3, 0, 5)])
    assert [len(answer) for answer in answers if isinstance(answer, Detections)] == [3, 0, 5]
    last = answers[-1]
    assert isinstance(last, Detections)
    assert np.array_equal(last.boxes, BOXES * 2)
    assert last.labels.tolist() == [0, 1, 0, 1, 0]


def test_it_must_not_be_asked_about_several(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="max_batch must be 1 without a batch axis, got 2"):
        publish(tmp_path, picks(SHAPES[0]), {**FACTS, "max_batch": 2}, golden_image=grey(4))
    runner = OnnxRunner(picks(SHAPES[0]), batched=False)
    with pytest.raises(ValueError, match="one picture at a time, got 2"):
        runner.run(np.zeros((2, 3, 8, 8), np.float32))


def test_a_batched_family_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not of the family 'ssd'"):
        publish(tmp_path, picks(SHAPES[0]), {**FACTS, "family": "ssd"}, golden_image=grey(4))

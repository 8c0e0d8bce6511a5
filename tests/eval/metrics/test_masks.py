"""Numbers of masks come where everything has masks, and not one number where anything has none."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.detection import DetectionMetric
from eval.metrics.masks import MaskMetric
from eval.metrics.truth import Objects
from models.results import Detections

SQUARE = np.zeros((1, 6, 6), bool)
SQUARE[0, 1:4, 1:4] = True
BOX = np.array([[1.0, 1, 4, 4]])


def found(masks: bool = True) -> Detections:
    one, label = np.array([0.9], np.float32), np.zeros(1, np.int64)
    return Detections(BOX.astype(np.float32), one, label, SQUARE if masks else None)


def wanted(masks: bool = True) -> Objects:
    return Objects(BOX, np.zeros(1, np.int64), masks=SQUARE if masks else None)


NOTHING = Objects(np.zeros((0, 4)), np.zeros(0, np.int64))


def test_the_numbers_are_those_of_masks() -> None:
    ours, reference = MaskMetric(["a"]), DetectionMetric(["a"], overlap="masks")
    for metric in (ours, reference):
        metric.update([found(), Detections.empty(), found()], [wanted(), wanted(), NOTHING])
    assert ours.compute() == reference.compute()
    assert ours.compute()[0].name == "mask.ap"
    assert ours.resampled() is not None


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(Detections.empty(), NOTHING)],
        [(found(masks=False), wanted())],
        [(found(), wanted(masks=False))],
        [(found(), wanted()), (found(masks=False), wanted())],
        [(found(masks=False), wanted()), (found(), wanted())],
    ],
    ids=["no image", "no object", "answers", "truth", "a later answer", "an earlier answer"],
)
def test_not_a_number_where_a_mask_is_lacking(pairs: list[tuple[Detections, Objects]]) -> None:
    metric = MaskMetric(["a"])
    for answer, truth in pairs:
        metric.update([answer], [truth])
    assert metric.compute() == []
    assert metric.resampled() is None


def test_what_is_lacking_is_lacking_after_a_merge() -> None:
    metric, other = MaskMetric(["a"]), MaskMetric(["a"])
    metric.update([found()], [wanted()])
    other.update([found(masks=False)], [wanted()])
    metric.merge(other)
    assert metric.compute() == []

"""Which metrics measure which task. A new task is one line here; every maker takes labels and `resamples`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eval.metrics.base import Metric
from eval.metrics.boundary import BoundaryMetric
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.detection import DetectionMetric
from eval.metrics.masks import MaskMetric
from eval.metrics.one_vs_rest import OneVsRestMetric
from eval.metrics.segmentation import SegmentationMetric
from models.card import TaskName

__all__ = ["METRICS", "metric_for"]

METRICS: Final[Mapping[TaskName, tuple[Callable[..., Metric[Any, Any]], ...]]] = {
    "classification": (ClassificationMetric, CalibrationMetric, OneVsRestMetric),
    "detection": (DetectionMetric, MaskMetric),
    "segmentation": (SegmentationMetric, BoundaryMetric),
}


# Of these, what is not worth its time once more for every part of the data.
WHOLE_ONLY: Final = (BoundaryMetric, MaskMetric, OneVsRestMetric)


def metric_for(
    task: TaskName, labels: Sequence[str], *, part: bool = False, partial: bool = False
) -> tuple[Metric[Any, Any], ...]:
    """New, empty metrics of a task; the names of their scores do not collide.

    Args:
        labels: class names, index = class.
        part: of a part of the data, beside the whole: only what is cheap.
        partial: answers name only the best class: nothing that rests on the other scores.
    """
    if partial and task == "classification":
        return (ClassificationMetric(labels, k=1),)
    return tuple(make(labels) for make in METRICS[task] if not (part and make in WHOLE_ONLY))

"""Which metrics measure which task. A new task is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eval.metrics.base import Metric
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.detection import DetectionMetric
from eval.metrics.segmentation import SegmentationMetric
from models.card import TaskName

__all__ = ["METRICS", "metric_for"]

METRICS: Final[Mapping[TaskName, tuple[Callable[[Sequence[str]], Metric[Any, Any]], ...]]] = {
    "classification": (ClassificationMetric, CalibrationMetric),
    "detection": (DetectionMetric,),
    "segmentation": (SegmentationMetric,),
}


def metric_for(task: TaskName, labels: Sequence[str]) -> tuple[Metric[Any, Any], ...]:
    """New, empty metrics of a task; the names of their scores do not collide.

    Args:
        labels: class names, index = class.
    """
    return tuple(make(labels) for make in METRICS[task])

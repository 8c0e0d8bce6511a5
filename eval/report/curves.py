"""What the metrics of an evaluation know beyond scores, as figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.metrics.base import Metric, Score
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.detection import DetectionMetric
from eval.metrics.segmentation import SegmentationMetric
from eval.report.detection import calibration, confused, mistakes_table, precision_recall_plot
from eval.report.document import Plot, Table
from eval.report.ranking import Ranked, ranking_plots
from eval.report.tables import top_confusions
from models.card import TaskName
from models.results import Array

__all__ = ["drawn"]

BARS: Mapping[TaskName, tuple[str, str]] = {
    "classification": ("f1.class.", "F1"),
    "detection": ("ap.class.", "AP"),
    "segmentation": ("iou.class.", "IoU"),
}
TAKEN_IN = 5  # classes of a matrix that needs no list beside it
FEW_CLASSES = 20
MANY_CLASSES = 100  # beyond, a matrix cannot be read


def drawn(
    task: TaskName, labels: Sequence[str], metrics: Sequence[Metric[Any, Any]], scores: Sequence[Score]
) -> tuple[list[Plot], list[Table]]:
    """The figures and the tables of one task, those that say most first."""
    by_name = {score.name: score for score in scores}
    plots, tables = _bars(task, labels, by_name), []
    for metric in metrics:
        if isinstance(metric, ClassificationMetric | SegmentationMetric):
            plots += _matrix(metric.confusion, labels)
            tables += _confusions(metric.confusion, labels)
        if isinstance(metric, CalibrationMetric):
            plots.append(_reliability(metric))
        if isinstance(metric, Ranked) and len(labels) <= FEW_CLASSES:
            plots += ranking_plots(metric, labels)
        if isinstance(metric, DetectionMetric):
            table = metric.table()
            counts, names = confused(table, labels)
            plots.append(precision_recall_plot(table, labels))
            plots += [*_matrix(counts, names), calibration(metric, table)]
            tables += [mistakes_table(table, by_name), *_confusions(counts, names)]
    return plots, tables


def _bars(task: TaskName, labels: Sequence[str], by_name: Mapping[str, Score]) -> list[Plot]:
    if len(labels) > FEW_CLASSES:
        return []
    prefix, called = BARS[task]
    bars = [by_name.get(prefix + label) for label in labels]
    points = [(s.value, s.low, s.high) if s else (None, None, None) for s in bars]
    return [Plot("bars", f"{called} per class", {called: points}, "class", called, list(labels))]


def _matrix(confusion: Array, labels: Sequence[str]) -> list[Plot]:
    if len(labels) > MANY_CLASSES:
        return []
    rows = {"counts": [[float(v) for v in row] for row in confusion]}
    return [
        Plot("matrix", "Confusion: what was answered, by true class", rows, "answered", "true", list(labels))
    ]


def _confusions(confusion: Array, labels: Sequence[str]) -> list[Table]:
    return [top_confusions(confusion, labels)] if len(labels) > TAKEN_IN else []


def _reliability(metric: CalibrationMetric) -> Plot:
    """Points of the bins that hold images, with their Wilson intervals and counts."""
    points = [
        (b.confidence, b.accuracy, b.low, b.high, float(b.count), b.left, b.right)
        for b in metric.reliability()
        if b.count
    ]
    title = "Calibration: right as often as it is sure?"
    return Plot("reliability", title, {"bins": points}, "confidence", "accuracy")

"""What an evaluation shows: key figures, per-class plots, examples, every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.data.dataset import Sample
from eval.metrics.base import Metric, Score
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.truth import Objects
from eval.report.document import Cell, Gallery, Headline, Picture, Plot, Section, Table, scores_table
from eval.report.pictures import detected, picture, segmented
from models.card import TaskName
from models.decoding import decode
from models.results import Classification, Detections, Result, Segmentation

__all__ = ["KEY", "evaluation_section", "telling"]

KEY: Mapping[TaskName, tuple[str, ...]] = {
    "classification": ("accuracy", "precision.macro", "recall.macro", "f1.macro", "ece_error"),
    "detection": ("ap", "ap50", "ap75", "ar100", "precision.micro", "recall.micro", "f1.micro"),
    "segmentation": ("miou", "pixel_accuracy", "mean_accuracy", "dice.macro"),
}
BARS: Mapping[TaskName, tuple[str, str]] = {
    "classification": ("f1.class.", "F1"),
    "detection": ("ap.class.", "AP"),
    "segmentation": ("iou.class.", "IoU"),
}
FEW_CLASSES = 20
EXAMPLES = 6


def telling(answer: Result, sample: Sample) -> bool:
    """True if the example shows a mistake: a wrong class, a wrong number of objects, many wrong pixels."""
    if isinstance(answer, Classification):
        return answer.label != sample.expected
    if isinstance(answer, Detections) and isinstance(sample.expected, Objects):
        return int((answer.scores >= 0.5).sum()) != len(sample.expected)
    if isinstance(answer, Segmentation):
        return bool((answer.labels != sample.expected).mean() > 0.03)
    return False


def evaluation_section(
    title: str,
    task: TaskName,
    labels: Sequence[str],
    metrics: Sequence[Metric[Any, Any]],
    scores: Sequence[Score],
    examples: Sequence[tuple[Sample, Result]],
    claims: Mapping[str, tuple[float, str]],
) -> Section:
    """One model on one data set.

    Args:
        examples: answers worth looking at, with their samples.
        claims: what the card says; shown beside what was measured.
    """
    by_name = {score.name: score for score in scores}
    headlines = [
        Headline(name, s.value, s.support, s.low, s.high) for name in KEY[task] if (s := by_name.get(name))
    ]
    tables = [_claims(claims, by_name)] if claims else []
    return Section(
        title,
        headlines=headlines,
        plots=_plots(task, labels, metrics, by_name),
        galleries=[Gallery("Where it is wrong", [_example(*e, labels) for e in examples[:EXAMPLES]])],
        tables=[*tables, scores_table(scores, "All scores")],
    )


def _claims(claims: Mapping[str, tuple[float, str]], by_name: Mapping[str, Score]) -> Table:
    rows: list[Mapping[str, Cell]] = []
    for name, (claimed, data) in claims.items():
        score = by_name.get(name)
        value = score.value if score else None
        apart = None if value is None else value - claimed
        rows.append({"claim": name, "on": data, "claimed": claimed, "measured": value, "difference": apart})
    return Table(rows, "Claims of the model card", "A claim holds for the data it names.")


def _plots(
    task: TaskName, labels: Sequence[str], metrics: Sequence[Metric[Any, Any]], by_name: Mapping[str, Score]
) -> list[Plot]:
    prefix, called = BARS[task]
    bars = [by_name.get(prefix + label) for label in labels]
    plots = []
    if len(labels) <= FEW_CLASSES:
        points = [(s.value, s.low, s.high) if s else (None, None, None) for s in bars]
        plots.append(Plot("bars", f"{called} per class", {called: points}, "class", called, list(labels)))
    for metric in metrics:
        if isinstance(metric, ClassificationMetric) and len(labels) <= FEW_CLASSES:
            rows = {"counts": [[float(v) for v in row] for row in metric.confusion]}
            plots.append(Plot("matrix", "Confusion", rows, "predicted", "true", list(labels)))
        if isinstance(metric, CalibrationMetric):
            filled = [b for b in metric.reliability() if b.count]
            curve = {"bins": [(b.confidence, b.accuracy) for b in filled]}
            plots.append(Plot("reliability", "Calibration", curve, "confidence", "accuracy"))
    return plots


def _example(sample: Sample, answer: Result, labels: Sequence[str]) -> list[Picture]:
    image = decode(sample.file)
    if isinstance(answer, Classification) and isinstance(sample.expected, int):
        was, became = labels[sample.expected], labels[answer.label]
        return [picture(image, f"true {was}, answered {became} ({answer.scores[answer.label]:.2f})")]
    if isinstance(answer, Detections) and isinstance(sample.expected, Objects):
        return detected(image, answer, sample.expected, labels)
    if isinstance(answer, Segmentation) and not isinstance(sample.expected, int | Objects):
        return segmented(image, answer.labels, sample.expected)
    raise TypeError(f"the answer must be of the data's task, got {type(answer).__name__}")

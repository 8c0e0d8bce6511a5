"""What a detector's matches say: precision over recall, what was taken for what, the kinds of mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.metrics.base import Score
from eval.metrics.breakdown import COSTS, mistakes
from eval.metrics.coco import precision_recall
from eval.metrics.curves import RECALLS
from eval.metrics.curves import Table as Matched
from eval.metrics.detection import DetectionMetric
from eval.metrics.detection_calibration import reliability
from eval.metrics.operating import confusion
from eval.report.axes import COLOURS
from eval.report.document import Cell, Plot, Table
from eval.worst import SURE
from models.results import Array

__all__ = ["calibration", "confused", "mistakes_table", "precision_recall_plot"]

BACKGROUND = "background"
MEANS = {
    "classification": "in the right place, of another class",
    "localisation": "of the right class, IoU below 0.5",
    "both": "another class and IoU below 0.5",
    "duplicate": "an object that a surer detection took",
    "background": "nothing there",
    "missed": "an object nothing came near",
    "false_positives": "all false detections",
    "false_negatives": "all objects not found",
}


def confused(table: Matched, labels: Sequence[str]) -> tuple[Array, list[str]]:
    """int `(C + 1, C + 1)` `[true, found]` with the background last, and the names of its rows."""
    return confusion(table, SURE), [*labels, BACKGROUND]


def precision_recall_plot(table: Matched, labels: Sequence[str]) -> Plot:
    """One curve a class; of many classes their mean and the worst, as many as can be told apart."""
    curves = {label: precision_recall(table, i) for i, label in enumerate(labels)}
    curves = {label: curve for label, curve in curves.items() if np.isfinite(curve).all()}
    ordered = sorted(curves.items(), key=lambda item: float(item[1].mean()))
    title = "Precision over recall at IoU 0.5, with AP50"
    if len(ordered) > len(COLOURS):
        worst = ordered[: len(COLOURS) - 1]
        ordered = [("mean of all", np.mean(list(curves.values()), axis=0)), *worst]
        title = f"{title}: the mean and the {len(worst)} worst of {len(curves)} classes"
    series = {
        f"{label} {curve.mean():.3f}": list(zip(RECALLS.tolist(), curve.tolist(), strict=True))
        for label, curve in ordered
    }
    return Plot("curves", title, series, "recall", "precision")


def calibration(metric: DetectionMetric, table: Matched) -> Plot:
    """Precision against score, where there are detections."""
    points = [
        (b.confidence, b.precision, b.precision_low, b.precision_high, float(b.count), b.low, b.high)
        for b in reliability(table, metric.place)
        if b.count
    ]
    title = "Calibration: right as often as it is sure?"
    return Plot("reliability", title, {"bins": points}, "score", "precision")


def mistakes_table(table: Matched, scores: Mapping[str, Score], prefix: str = "") -> Table:
    """The kinds of mistakes: how many, and what mending them would gain; the dearest first."""
    counts = mistakes(table)
    rows: list[Mapping[str, Cell]] = []
    for kind in COSTS:
        score = scores.get(f"{prefix}dap.{kind}_error")
        cost = None if score is None else score.value
        between = None if score is None or score.low is None else f"{score.low:.4f} to {score.high:.4f}"
        rows.append(
            {
                "mistake": kind.replace("_", " "),
                "what it is": MEANS[kind],
                "count": counts.get(kind),
                "AP50 lost": cost,
                "95 % interval": between,
            }
        )
    kinds, totals = rows[: len(counts)], rows[len(counts) :]
    kinds.sort(key=lambda row: -float(row["AP50 lost"] or 0))
    note = "After TIDE (Bolya et al., 2020). Counts are of all detections, whatever their score."
    return Table([*kinds, *totals], "Mistakes", note)

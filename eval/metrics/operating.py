"""A detector at the one IoU and score threshold it is used with: precision, recall, F1, false alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.metrics.base import Score
from eval.metrics.coco import Table
from eval.metrics.intervals import bootstrap_sums
from eval.metrics.matching import HIT, MISS
from eval.metrics.ratios import defined, f_measure, ratio
from models.results import Array

__all__ = ["best_f1", "operating_scores"]


def operating_scores(
    table: Table, labels: Sequence[str], *, iou: float, place: int, score: float, resamples: int, seed: int
) -> list[Score]:
    """Precision, recall and F1 (micro, macro, per class), false positives per image, and the best F1.

    Detections below the score are dropped; the rest are matched by COCO's rules at one IoU, all areas
    together. Crowds and what is matched to them do not count. Macro means run over the classes that
    have objects, where 0/0 counts 0; a class that is only ever hallucinated has precision 0 and
    counts in the micro numbers.

    Args:
        labels: distinct class names.
        place: index of `iou` among the thresholds of the table.
    """
    found, hits, rows = _count(table, place, score)
    wanted = table.positives()
    rule = f"iou={iou:g},score={score:g}"
    micro = _micro(rows.sum(axis=0, keepdims=True).astype(np.float64))[0]
    intervals = bootstrap_sums(rows, _micro, resamples=resamples, seed=seed)
    all_hits, all_found, all_wanted = (int(part.sum()) for part in (hits, found, wanted))
    supports = (all_found, all_wanted, all_found + all_wanted - all_hits, table.images)
    names = ("precision.micro", "recall.micro", "f1.micro", "fppi_error")
    scores = [
        Score(name, defined(value), support, f"assay/detection_{name}@{rule}", *interval)
        for name, value, support, interval in zip(names, micro, supports, intervals, strict=True)
    ]
    ratios = {
        "precision": ratio(hits, found),
        "recall": ratio(hits, wanted),
        "f1": f_measure(hits, found, wanted),
    }
    per_class = {"precision": found, "recall": wanted, "f1": found + wanted - hits}
    for kind, values in ratios.items():
        there = np.nan_to_num(values[wanted > 0], nan=0.0)
        mean = float(there.mean()) if there.size else None
        scores.append(
            Score(
                f"{kind}.macro", mean, all_wanted, f"assay/detection_{kind}.macro@{rule},classes=with_truth"
            )
        )
        scores += [
            Score(f"{kind}.class.{name}", defined(value), support, f"assay/detection_{kind}@{rule}")
            for name, value, support in zip(labels, values.tolist(), per_class[kind].tolist(), strict=True)
        ]
    best, _ = best_f1(table, place)
    definition = f"assay/detection_f1.best@iou={iou:g},score=chosen_on_this_data(optimistic)"
    return [*scores, Score("f1.best", best, all_wanted, definition)]


def best_f1(table: Table, place: int) -> tuple[float | None, float | None]:
    """The highest micro F1 over all score thresholds, and the threshold; None and None without data.

    Optimistic: the threshold is chosen on the images it is measured on.
    """
    order = np.argsort(-table.scores, kind="stable")
    outcome, scores = table.outcome[0, place, order], table.scores[order]
    hits, found = np.cumsum(outcome == HIT), np.cumsum((outcome == HIT) | (outcome == MISS))
    last = np.append(np.diff(scores) != 0, True)[: len(scores)]  # equal scores come in or stay out together
    values = f_measure(hits[last], found[last], table.positives().sum())
    if not np.isfinite(values).any():
        return (0.0, None) if table.positives().any() else (None, None)
    at = int(np.nanargmax(values))
    return float(values[at]), float(scores[last][at])


def _count(table: Table, place: int, score: float) -> tuple[Array, Array, Array]:
    """Detections and hits of each class, int64 `(C,)`, and per image `(I, 4)`: hits, found, wanted, 1."""
    # Scores are float32: the threshold 0.7 must let an answered 0.7 (0.69999999) through.
    kept = table.scores >= min(score, float(np.float32(score)))
    outcome = table.outcome[0, place]
    hit, miss = kept & (outcome == HIT), kept & (outcome == MISS)
    label = np.repeat(np.arange(table.classes), np.diff(table.starts))
    found = np.bincount(label[hit | miss], minlength=table.classes)
    hits = np.bincount(label[hit], minlength=table.classes)
    columns = (table.image[hit], table.image[hit | miss], table.truth_image[~table.ignored[0]])
    counts = [np.bincount(column, minlength=table.images) for column in columns]
    return found, hits, np.stack([*counts, np.ones(table.images, np.int64)], axis=1)


def _micro(sums: Array) -> Array:
    """`(R, 4)` sums -> `(R, 4)`: precision, recall, F1, false positives per image."""
    hits, found, wanted, images = sums.T
    columns = (
        ratio(hits, found),
        ratio(hits, wanted),
        f_measure(hits, found, wanted),
        ratio(found - hits, images),
    )
    return np.stack(columns, axis=1)

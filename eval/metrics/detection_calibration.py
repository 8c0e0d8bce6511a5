"""Does a detector's 0.8 mean that 8 in 10 of its detections are right?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from eval.metrics.base import Score
from eval.metrics.curves import Table
from eval.metrics.intervals import bootstrap_sums, wilson
from eval.metrics.ratios import defined, ratio
from models.results import Array

__all__ = ["BINS", "ScoreBin", "calibration_error", "calibration_scores", "reliability"]

BINS: Final = 20


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Detections whose scores fall between two bounds, `[low, high)`, the last one closed.

    Attributes:
        low, high: of the scores.
        count: detections that are hits or false alarms; the rest is None where there are none.
        confidence: their mean score.
        precision: the share of hits among them.
        precision_low, precision_high: its 95 % Wilson interval.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None


def reliability(table: Table, place: int = 0, bins: int = BINS) -> list[ScoreBin]:
    """Confidence against precision at one IoU, by score.

    Args:
        place: index of the IoU among the thresholds of the table.
    """
    _, where, score, hit = _counted(table, place, bins)
    counts, hits = (np.bincount(rows, minlength=bins).tolist() for rows in (where, where[hit]))
    totals = np.bincount(where, score, bins)
    means, shares = (map(defined, ratio(part, counts).tolist()) for part in (totals, hits))
    bounds = (np.arange(bins + 1) / bins).tolist()
    columns = zip(bounds[:-1], bounds[1:], counts, means, shares, hits, strict=True)
    return [ScoreBin(low, high, n, mean, share, *wilson(k, n)) for low, high, n, mean, share, k in columns]


def calibration_error(table: Table, place: int = 0, bins: int = BINS) -> Callable[[Array], Array]:
    """D-ECE under other weights of the images, as `bootstrap` takes it: `(R, 1)`.

    Kueppers et al., 2020, arXiv 2004.13546, by confidence alone: the mean over detections of
    |precision - mean confidence| of their bin; bins are of equal width. Hits and false alarms are COCO's
    at one IoU, over all classes and sizes; what is matched to a crowd does not count. Every detection
    that was answered counts: a service that holds back unsure ones is judged by those it gives.
    """
    rows = _rows(table, place, bins)
    return lambda times: _error(times @ rows)


def calibration_scores(
    table: Table, iou: float, place: int, *, resamples: int = 0, seed: int = 0, bins: int = BINS
) -> list[Score]:
    """`dece_error`, the detection expected calibration error. Its interval is BCa: resampling adds noise to
    every bin, which can but widen its gap."""
    rows = _rows(table, place, bins)
    value = _error(rows.sum(axis=0, keepdims=True))[0, 0]
    (interval,) = bootstrap_sums(rows, _error, resamples=resamples, seed=seed, method="bca")
    definition = f"kueppers2020/D-ECE@iou={iou:g},bins={bins},by=confidence"
    return [Score("dece_error", defined(value), int(rows[:, :bins].sum()), definition, *interval)]


def _rows(table: Table, place: int, bins: int) -> Array:
    """float64 `(images, 2 bins)`: detections of each bin, and the sum of score - hit."""
    image, where, score, hit = _counted(table, place, bins)
    cells, size = image * bins + where, table.images * bins
    sides = np.bincount(cells, minlength=size), np.bincount(cells, score - hit, size)
    return np.hstack([side.reshape(-1, bins) for side in sides])


def _error(sums: Array) -> Array:
    """`(R, 2 bins)` sums -> `(R, 1)`."""
    counts, gaps = np.split(sums, 2, axis=1)
    return ratio(np.abs(gaps).sum(axis=1), counts.sum(axis=1))[:, None]


def _counted(table: Table, place: int, bins: int) -> tuple[Array, Array, Array, Array]:
    """Image, bin, score and whether it is a hit, of every detection that counts."""
    hit, counted = table.outcome(place)
    score = table.found["score"][counted]
    # Scores are float32; only as such do they meet the edges.
    edges = (np.arange(1, bins) / bins).astype(np.float32)
    where = np.searchsorted(edges, score.astype(np.float32), side="right")
    return table.found["image"][counted], where, score, hit[counted]

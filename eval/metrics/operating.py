"""A detector at the one IoU and score threshold it is used with: precision, recall, F1, false alarms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.metrics.base import Score
from eval.metrics.curves import Table
from eval.metrics.matching import BACKGROUND, SKIPPED
from eval.metrics.ratios import defined, f_measure, ratio
from models.results import Array

__all__ = ["best_f1", "confusion", "kept", "operating_point", "operating_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Hits, detections and objects of the classes that an image has any of; one row a class and image."""

    image: Array
    label: Array
    counts: tuple[Array, Array, Array]
    classes: int

    @staticmethod
    def of(table: Table, place: int, score: float) -> _Counts:
        hit, counted = (kept(table, score) & rows for rows in table.outcome(place))
        sides = ((table.found, hit), (table.found, counted), (table.wanted, ~table.wanted["ignored"][:, 0]))
        parts = [
            side["image"][rows].astype(np.int64) * table.classes + side["label"][rows] for side, rows in sides
        ]
        cells = np.unique(np.concatenate(parts))
        hits, all_found, wanted = (
            np.bincount(np.searchsorted(cells, p), minlength=len(cells)) for p in parts
        )
        return _Counts(*np.divmod(cells, table.classes), (hits, all_found, wanted), table.classes)

    def sums(self, times: Array) -> Array:
        """`(3, C)`: of each class, images weighted by `times`."""
        weight = times[self.image]
        return np.array([np.bincount(self.label, weight * c, self.classes) for c in self.counts])


def kept(table: Table, score: float) -> Array:
    """bool `(D,)`: the detections with at least this score.

    Scores are float32: the threshold 0.7 must let an answered 0.7 (0.69999999) through.
    """
    above: Array = table.found["score"] >= min(score, float(np.float32(score)))
    return above


def operating_point(table: Table, place: int, score: float) -> Callable[[Array], Array]:
    """All of `operating_scores` but the last under other weights of the images, as `bootstrap` takes it.

    Args:
        place: index of the IoU among the thresholds of the table.
    """
    counts = _Counts.of(table, place, score)

    def statistic(times: Array) -> Array:
        rows = [_point(counts.sums(row), int(row.sum())) for row in times]
        return np.array(rows).reshape(len(rows), -1)

    return statistic


def operating_scores(
    table: Table,
    labels: Sequence[str],
    *,
    iou: float,
    place: int,
    score: float,
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
    sums = _Counts.of(table, place, score).sums(np.ones(table.images, np.int64))
    hits, found, wanted = sums.astype(np.int64)
    supports = {"precision": found, "recall": wanted, "f1": found + wanted - hits}
    at = f"@iou={iou:g},score={score:g}"
    told: list[tuple[str, int, str]] = []
    for kind, support in supports.items():
        definition = f"assay/detection_{kind}"
        told.append((f"{kind}.micro", int(support.sum()), f"{definition}.micro{at}"))
        told.append((f"{kind}.macro", int(wanted.sum()), f"{definition}.macro{at},classes=with_truth"))
        told += [(f"{kind}.class.{n}", int(support[k]), f"{definition}{at}") for k, n in enumerate(labels)]
    told.append(("fppi_error", table.images, f"assay/detection_fppi_error{at}"))
    read = zip(told, _point(sums, table.images).tolist(), strict=True)
    scores = [Score(name, defined(v), support, rule) for (name, support, rule), v in read]
    best, _ = best_f1(table, place)
    definition = f"assay/detection_f1.best@iou={iou:g},score=chosen_on_this_data(optimistic)"
    return [*scores, Score("f1.best", best, int(wanted.sum()), definition)]


def best_f1(table: Table, place: int) -> tuple[float | None, float | None]:
    """The highest micro F1 over all score thresholds, and the threshold; None and None without data.

    Optimistic: the threshold is chosen on the images it is measured on.
    """
    order = np.argsort(-table.found["score"], kind="stable")
    hits, found = (np.cumsum(rows[order]) for rows in table.outcome(place))
    scores = table.found["score"][order]
    last = np.append(np.diff(scores) != 0, True)[: len(scores)]  # equal scores come in or stay out together
    values = f_measure(hits[last], found[last], table.positives().sum())
    if not np.isfinite(values).any():
        return (0.0, None) if table.positives().any() else (None, None)
    at = int(np.nanargmax(values))
    return float(values[at]), float(scores[last][at])


def confusion(table: Table, score: float) -> Array:
    """int64 `(C + 1, C + 1)`: how often an object of class `[row]` was found as class `[column]`.

    The last row is background: detections that met nothing; the last column objects that nothing met.
    Best score first, each detection takes the free object it overlaps most, whatever the class of the
    two, if it does by the IoU of the operating point. Objects in crowds are left out, and detections that
    met but a crowd of their own class. So the sums of the rows are the objects of each class, those of
    the columns the detections that count.

    Differences: precision and recall match within a class, so the diagonal may fall short of their hits.
    """
    classes, size = table.classes, table.classes + 1
    rows = kept(table, score) & (table.found["met"] != SKIPPED)
    met, label = table.found["met"][rows].astype(np.int64), table.found["label"][rows]
    met[met == BACKGROUND] = classes
    counts = np.bincount(met * size + label, minlength=size * size).reshape(size, size)
    counts[:classes, classes] = table.positives() - counts[:classes].sum(axis=1)
    return counts


def _point(sums: Array, images: int) -> Array:
    """`(3, C)` hits, detections, objects -> `(7 + 3 C,)`: micro, macro, classes of each kind; FPPI."""
    hits, found, wanted = sums
    real, all_hits, all_found, all_wanted = wanted > 0, hits.sum(), found.sum(), wanted.sum()
    kinds = (
        (ratio(all_hits, all_found), ratio(hits, found)),
        (ratio(all_hits, all_wanted), ratio(hits, wanted)),
        (f_measure(all_hits, all_found, all_wanted), f_measure(hits, found, wanted)),
    )
    columns: list[Array] = []
    for micro, classes in kinds:
        macro = ratio(np.nan_to_num(classes[real]).sum(), real.sum())
        columns += [micro[None], macro[None], classes]
    return np.concatenate([*columns, ratio(all_found - all_hits, images)[None]])

"""How one image came out before and after: what was found, kept, lost and gained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eval.data.dataset import IGNORED, Expected
from eval.metrics.truth import Objects
from eval.worst import SURE, pair
from models.card import TaskName
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["MARGIN", "UNITS", "Judged", "judge"]

# By how much the mistakes of an image must differ for it to be better or worse. Two label maps hardly ever
# agree to the pixel.
MARGIN: Mapping[TaskName, float] = {"classification": 0.0, "detection": 0.0, "segmentation": 0.01}
UNITS: Mapping[TaskName, str] = {"classification": "images", "detection": "objects", "segmentation": "pixels"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One image.

    Attributes:
        units: right in both, only before (lost), only after (gained), in neither. Of the image itself
            (classification), its true objects at IoU 0.5 and score 0.5 (detection), its pixels that count
            (segmentation).
        false: objects that are none, before and after.
        mistakes: before and after: 0 or 1; missed and false objects; the share of wrong pixels.
        differs: whether the answers do: another class; objects that do not pair up, class by class, at IoU
            0.5; another class at more than one pixel in a hundred.
        classes: int64 `(K, 4)`: class, units of it that were right before, after, and all of it.
    """

    units: tuple[int, int, int, int]
    false: tuple[int, int]
    mistakes: tuple[float, float]
    differs: bool
    classes: Array


def judge(before: Result, after: Result, expected: Expected, classes: int) -> Judged:
    """Both answers beside the truth, all in the same class numbers.

    Raises:
        TypeError: an answer is not of the data's task.
    """
    match before, after, expected:
        case Classification(), Classification(), int():
            return _class(before.label, after.label, expected)
        case Detections(), Detections(), Objects():
            return _objects(before[before.scores >= SURE], after[after.scores >= SURE], expected, classes)
        case Segmentation(), Segmentation(), np.ndarray():
            return _pixels(before.labels, after.labels, expected, classes)
    kinds = ", ".join(type(one).__name__ for one in (before, after, expected))
    raise TypeError(f"both answers must be of the data's task, got {kinds}")


def _class(before: int, after: int, expected: int) -> Judged:
    right = before == expected, after == expected
    row = np.array([[expected, *right, 1]], np.int64)
    mistakes = float(not right[0]), float(not right[1])
    return Judged(_crossed(*map(np.array, right)), (0, 0), mistakes, before != after, row)


def _crossed(before: Array, after: Array) -> tuple[int, int, int, int]:
    cells = (before & after, before & ~after, ~before & after, ~before & ~after)
    both, lost, gained, neither = (int(cell.sum()) for cell in cells)
    return both, lost, gained, neither


def _objects(before: Detections, after: Detections, expected: Objects, classes: int) -> Judged:
    real = ~expected.crowd.astype(bool)
    (false, missed), (false_after, missed_after) = (pair(found, expected) for found in (before, after))
    found, found_after = ~missed[real], ~missed_after[real]
    wrong = int(false.sum()), int(false_after.sum())
    mistakes = float(wrong[0] + missed.sum()), float(wrong[1] + missed_after.sum())
    apart = pair(after, Objects(before.boxes.astype(np.float64), before.labels))
    rows = _by_class(expected.labels[real], found, found_after, classes)
    return Judged(_crossed(found, found_after), wrong, mistakes, any(part.any() for part in apart), rows)


def _pixels(before: Array, after: Array, expected: Array, classes: int) -> Judged:
    counted = expected != IGNORED
    truth = expected[counted]
    right, right_after = before[counted] == truth, after[counted] == truth
    wrong = [float((~one).mean()) if one.size else 0.0 for one in (right, right_after)]
    differs = bool((before != after).mean() > MARGIN["segmentation"])
    rows = _by_class(truth, right, right_after, classes)
    return Judged(_crossed(right, right_after), (0, 0), (wrong[0], wrong[1]), differs, rows)


def _by_class(truth: Array, before: Array, after: Array, classes: int) -> Array:
    chosen = (truth[before], truth[after], truth)
    counts = np.stack([np.bincount(some.astype(np.int64), minlength=classes) for some in chosen], axis=1)
    there = np.flatnonzero(counts[:, 2])
    return np.column_stack([there, counts[there]])

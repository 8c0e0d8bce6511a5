"""Which answers are worth a look: the worst of them, whatever order they came in."""

from __future__ import annotations

from bisect import insort

import numpy as np

from eval.data.dataset import IGNORED, Expected, Sample
from eval.metrics.overlaps import box_overlaps, xywh
from eval.metrics.truth import Objects
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["SURE", "Worst", "pair", "severity"]

SURE = 0.5  # least score of an object that counts as found
OVERLAP = 0.5  # least IoU of a hit


class Worst:
    """The `count` answers of highest severity; of equal ones those whose sample id comes first.

    Holds no more than `count` samples, and the same ones in whatever order all are noted.
    """

    def __init__(self, count: int = 12) -> None:
        if count < 0:
            raise ValueError(f"count must not be negative, got {count}")
        self._count = count
        self._kept: list[tuple[float, str, int, Sample, Result]] = []

    @property
    def examples(self) -> list[tuple[Sample, Result]]:
        """Worst first."""
        return [(sample, answer) for *_, sample, answer in self._kept]

    def note(self, sample: Sample, answer: Result, place: int = 0) -> None:
        """Keep it if it is among the worst; an answer without a mistake never is.

        Args:
            place: of the sample in the data, which tells those of one id apart.
        """
        wrong = severity(answer, sample.expected)
        if wrong > 0:
            insort(self._kept, (-wrong, sample.id, place, sample, answer), key=lambda kept: kept[:3])
            del self._kept[self._count :]


def severity(answer: Result, expected: Expected) -> float:
    """How wrong an answer is; 0 where it is right.

    Classification: the score of the wrong class. Detection: missed and false objects of score 0.5 or
    more, by `pair`. Segmentation: the share of wrong pixels among those that count.

    Raises:
        TypeError: the answer is not of the data's task.
    """
    if isinstance(answer, Classification) and isinstance(expected, int):
        return 0.0 if answer.label == expected else float(answer.scores[answer.label])
    if isinstance(answer, Detections) and isinstance(expected, Objects):
        false, missed = pair(answer[answer.scores >= SURE], expected)
        return float(false.sum() + missed.sum())
    if isinstance(answer, Segmentation) and not isinstance(expected, int | Objects):
        counted = expected != IGNORED
        return float((answer.labels != expected)[counted].mean()) if counted.any() else 0.0
    raise TypeError(f"the answer must be of the data's task, got {type(answer).__name__}")


def pair(found: Detections, expected: Objects) -> tuple[Array, Array]:
    """Which found objects are false and which true ones are missed, at IoU 0.5 of boxes of one class.

    The surest object takes the free true one it overlaps most, as in COCO; what lies in a crowd is
    neither right nor false.

    Returns:
        bool `(len(found),)` and bool `(len(expected),)`.
    """
    crowd = expected.crowd.astype(bool)
    overlaps = box_overlaps(xywh(found.boxes), xywh(expected.boxes), crowd)
    overlaps[found.labels[:, None] != expected.labels] = 0.0
    false, free = np.ones(len(found), bool), ~crowd
    for row in np.argsort(-found.scores, kind="stable"):
        for objects in (free, crowd):
            allowed = np.where(objects, overlaps[row], 0.0)
            if allowed.max(initial=0.0) >= OVERLAP:
                false[row] = free[allowed.argmax()] = False
                break
    return false, free

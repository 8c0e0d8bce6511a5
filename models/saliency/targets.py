"""What is explained: one number of an answer, whatever the task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["BoxTarget", "ClassTarget", "RegionTarget", "Target", "aim"]


class Target(Protocol):
    """A number in [0, 1] that an answer gives; the more of it goes with a part, the more the part matters."""

    @property
    def label(self) -> int:
        """Index of the class that is explained."""

    @property
    def clean(self) -> float:
        """The number for the whole picture."""

    def score(self, answer: Result) -> float:
        """The number. Raises TypeError for an answer of another task."""


@dataclass(frozen=True, slots=True)
class ClassTarget:
    """The probability of a class."""

    label: int
    clean: float

    def score(self, answer: Result) -> float:
        if not isinstance(answer, Classification):
            raise TypeError(f"a class is explained by classifications, got {type(answer).__name__}")
        return float(answer.scores[self.label])


@dataclass(frozen=True, slots=True, eq=False)
class BoxTarget:
    """The best match of one object among the objects found.

    D-RISE (Petsiuk et al. 2020, arXiv 2006.03204, equations 2-5): the most, over found objects, of IoU
    times similarity of the class probabilities times objectness.

    **Differences**: an answer has one class and one score for an object, not a vector of probabilities; so
    the similarity is 1 for the same class and 0 for another, and the score stands for objectness.

    Attributes:
        box: float `(4,)`, xyxy pixels.
    """

    label: int
    clean: float
    box: Array

    def score(self, answer: Result) -> float:
        if not isinstance(answer, Detections):
            raise TypeError(f"an object is explained by detections, got {type(answer).__name__}")
        same = answer.labels == self.label
        found = self.overlaps(answer.boxes[same]) * answer.scores[same]
        return float(found.max(initial=0.0))

    def overlaps(self, boxes: Array) -> Array:
        """float64 `(N,)` IoU of the object with others `(N, 4)`; 0 where neither has an area."""
        one, others = self.box.astype(np.float64), boxes.astype(np.float64)
        corner = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
        shared = corner.clip(0).prod(axis=1)
        areas = (others[:, 2:] - others[:, :2]).clip(0).prod(axis=1)
        union = (one[2:] - one[:2]).clip(0).prod() + areas - shared
        ratios: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        return ratios


@dataclass(frozen=True, slots=True, eq=False)
class RegionTarget:
    """The share of a region's pixels that are given the region's class.

    Attributes:
        region: bool `(H, W)`, at least one pixel; where the answer to the whole picture has the class.
    """

    label: int
    region: Array
    clean: float = 1.0

    def score(self, answer: Result) -> float:
        if not isinstance(answer, Segmentation):
            raise TypeError(f"a region is explained by segmentations, got {type(answer).__name__}")
        return float((answer.labels[self.region] == self.label).mean())


def aim(answer: Result, label: int | None = None) -> Target | None:
    """What there is to explain in the answer to the whole picture; None where it has nothing of the kind.

    A class's probability; the surest object; or the region of a class: of the largest one that is not
    class 0 where there is another, because class 0 is most often the background.

    Args:
        label: the class; the one the answer is most about when None.
    """
    if isinstance(answer, Classification):
        label = answer.label if label is None else label
        return ClassTarget(label, float(answer.scores[label]))
    if isinstance(answer, Detections):
        own = np.flatnonzero((answer.labels == label) if label is not None else answer.labels >= 0)
        if not len(own):
            return None
        best = own[answer.scores[own].argmax()]
        target = BoxTarget(int(answer.labels[best]), 0.0, answer.boxes[best])
        return replace(target, clean=target.score(answer))
    counts = np.bincount(answer.labels.ravel())
    if label is None:
        label = int(counts[1:].argmax()) + 1 if counts[1:].any() else 0
    region = answer.labels == label
    return RegionTarget(label, region) if region.any() else None

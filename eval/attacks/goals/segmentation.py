"""What may be wanted of a segmenter: many wrong pixels, or a class that is gone.

A label map of many thousand pixels is all but continuous, so searches by scores work on labels alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from eval.attacks.base import Verdict
from eval.data.dataset import IGNORED
from eval.errors import EndpointError
from models.results import Array, Result, Segmentation

__all__ = ["FLOOR", "GONE", "Erase", "Pixels", "large_classes"]

FLOOR = 0.5  # pixel accuracy: more pixels wrong than right
GONE = 0.1  # recall of a class of which nobody would say that it was found
LEAST = 0.01  # of the pixels that count: a smaller class is no feat to erase


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Few pixels are right. The loss is pixel accuracy where the truth counts.

    Attributes:
        labels: integer `(H, W)`, the true map; `IGNORED` where it does not count.
        floor: pixel accuracy at which it is reached; the clean picture is attacked above it.
    """

    graded: ClassVar[bool] = True
    truth: ClassVar[int] = -1
    starts: ClassVar[Sequence[Array]] = ()
    labels: Array = field(repr=False)
    floor: float = FLOOR
    valid: Array = field(init=False, repr=False)
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "valid", self.labels != IGNORED)
        object.__setattr__(self, "total", int(np.count_nonzero(self.valid)))

    @property
    def name(self) -> str:
        return "pixels" if self.floor == FLOOR else f"pixels:{self.floor:g}"

    def judge(self, answer: Result) -> Verdict:
        hits = int(np.count_nonzero(_hits(answer, self.labels) & self.valid))
        if not self.total:
            return Verdict(0.0, False)
        accuracy = hits / self.total
        return Verdict(accuracy, accuracy <= self.floor, right=accuracy > self.floor)


@dataclass(frozen=True, slots=True, eq=False)
class Erase:
    """A class is gone: next to none of its true pixels is labelled so. The loss is its recall; of several
    classes the least one.

    Attributes:
        labels: integer `(H, W)`, the true map.
        classes: any one of these will do; all have pixels in it.
        called: the name.
        gone: recall at which it is reached; the clean picture is attacked if that of all is above.

    Raises:
        ValueError: no classes, or one without pixels.
    """

    graded: ClassVar[bool] = True
    truth: ClassVar[int] = -1
    starts: ClassVar[Sequence[Array]] = ()
    labels: Array = field(repr=False)
    classes: tuple[int, ...]
    called: str = "erase"
    gone: float = GONE
    pixels: Array = field(init=False, repr=False)  # of each of the classes

    def __post_init__(self) -> None:
        pixels = np.array([np.count_nonzero(self.labels == label) for label in self.classes], np.int64)
        if not pixels.size or not pixels.all():
            raise ValueError(f"classes must have pixels in the map, got {self.classes} with {pixels}")
        object.__setattr__(self, "pixels", pixels)

    @property
    def name(self) -> str:
        return self.called

    def judge(self, answer: Result) -> Verdict:
        hits = _hits(answer, self.labels)
        found = [np.count_nonzero(hits & (self.labels == label)) for label in self.classes]
        recall = float((found / self.pixels).min())
        return Verdict(recall, recall <= self.gone, right=recall > self.gone)


def large_classes(labels: Array) -> tuple[int, ...]:
    """The classes of a true map that cover at least a hundredth of what counts in it."""
    found, pixels = np.unique(labels[labels != IGNORED], return_counts=True)
    return tuple(found[pixels >= LEAST * pixels.sum()].tolist())


def _hits(answer: Result, labels: Array) -> Array:
    """bool `(H, W)`: answered as the truth is."""
    if not isinstance(answer, Segmentation):
        raise EndpointError(f"pixels can only be wanted of a segmenter, got {type(answer).__name__}")
    if answer.labels.shape != labels.shape:
        raise EndpointError(f"the map answered must be {labels.shape}, got {answer.labels.shape}")
    equal: Array = answer.labels == labels
    return equal

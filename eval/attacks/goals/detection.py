"""What may be wanted of a detector: objects that vanish, appear, or change their class.

Every goal is told by the picture's truth alone, so that an answer is worth the same whenever it is judged:
a picture in which the goal is reached when it is clean has nothing to attack. Crowds, as in COCO, are
neither demanded nor punished.

Chow et al. 2020, "TOG: targeted adversarial objectness gradient attacks on real-time object detection
systems", arXiv 2004.04320, have the three outcomes. **Differences**: theirs follow gradients. The losses here
are read off answers, and fall on below the score at which an object counts, as far as weak ones are served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eval.attacks.base import Verdict
from eval.errors import EndpointError
from eval.metrics.overlaps import box_overlaps, xywh
from eval.metrics.truth import Objects
from models.results import Array, Detections, Result

__all__ = ["IOU", "SCORE", "Fabricate", "Mislabel", "Seen", "Vanish", "Wanted"]

SCORE = 0.3  # from which a detection counts: what the service gives to whoever asks for nothing else
IOU = 0.5  # from which it is that object
ROUNDING = 1e-9  # of a share of the objects


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """The true objects of a picture, laid out so that thousands of answers can be held against them.

    Attributes:
        boxes: float64 `(G, 4)`, x, y, width, height, without the crowds.
        labels: int64 `(G,)`.
        crowds: bool `(G + K,)`: which of all boxes are crowds; they come last.
        every: float64 `(G + K, 4)` and int64 `(G + K,)`, boxes and labels of all.
    """

    boxes: Array
    labels: Array
    crowds: Array
    every: tuple[Array, Array]

    @staticmethod
    def of(objects: Objects) -> Wanted:
        """Boxes only; masks are not kept."""
        crowd = objects.crowd.astype(bool) if len(objects) else np.zeros(0, bool)
        order = np.argsort(crowd, kind="stable")
        boxes, labels, real = xywh(objects.boxes)[order], objects.labels[order], int((~crowd).sum())
        return Wanted(boxes[:real], labels[:real], crowd[order], (boxes, labels))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An answer held against the truth.

    Attributes:
        scores: float64 `(D,)`.
        shares: float64 `(D, G)`, IoU with every object that is no crowd.
        same: bool `(D, G)`, of its class.
        crowded: bool `(D,)`, as much of it as `iou` lies in a crowd of its class.
        score, iou: from which a detection counts, and is that object.
    """

    scores: Array
    shares: Array
    same: Array
    crowded: Array
    score: float
    iou: float

    @staticmethod
    def of(wanted: Wanted, answer: Result, score: float = SCORE, iou: float = IOU) -> Seen:
        """Raises EndpointError for an answer that is no detector's."""
        if not isinstance(answer, Detections):
            raise EndpointError(f"objects can only be wanted of a detector, got {type(answer).__name__}")
        boxes, labels = wanted.every
        shares = box_overlaps(xywh(answer.boxes), boxes, wanted.crowds)
        same = answer.labels[:, None] == labels
        real = len(wanted)
        crowded = (same[:, real:] & (shares[:, real:] >= iou)).any(axis=1)
        scores = answer.scores.astype(np.float64)
        return Seen(scores, shares[:, :real], same[:, :real], crowded, score, iou)

    def found(self) -> Array:
        """bool `(G,)`: a detection of its class has enough overlap and score."""
        counts = self.scores >= self.score
        return np.asarray((self.same[counts] & (self.shares[counts] >= self.iou)).any(axis=0))

    def others(self) -> Array:
        """bool `(D, G)`: of another class, and right about no other object."""
        right = (self.same & (self.shares >= self.iou)).any(axis=1) | self.crowded
        others: Array = ~(self.same | right[:, None])
        return others

    def mistaken(self, others: Array) -> Array:
        """bool `(G,)`: found as another class, and not as its own."""
        counts = self.scores >= self.score
        taken = np.asarray((others[counts] & (self.shares[counts] >= self.iou)).any(axis=0))
        return taken & ~self.found()

    def false(self) -> Array:
        """float64: scores of the detections that are on no true object, whatever its class."""
        false: Array = self.scores[(self.shares < self.iou).all(axis=1) & ~self.crowded]
        return false


@dataclass(frozen=True, slots=True, eq=False)
class Vanish:
    """Objects are no longer found: no detection of their class has enough overlap and score.

    The loss is the sum over objects of the best score * IoU among the detections of their class.

    Attributes:
        share: of the true objects, found when clean or not, that must be missing: 1 for all; 0 for any,
            one at the least. The clean picture is attacked if fewer are.
        score, iou: from which an object counts as found.
    """

    graded: ClassVar[bool] = True
    truth: ClassVar[int] = -1
    starts: ClassVar[Sequence[Array]] = ()
    wanted: Wanted
    share: float = 1.0
    score: float = SCORE
    iou: float = IOU

    @property
    def name(self) -> str:
        return {1.0: "vanish", 0.0: "vanish:any"}.get(self.share, f"vanish:{self.share:g}")

    def judge(self, answer: Result) -> Verdict:
        seen = Seen.of(self.wanted, answer, self.score, self.iou)
        held = (seen.scores[:, None] * seen.shares * seen.same).max(axis=0, initial=0.0)
        objects = len(self.wanted)
        missing = objects - int(np.count_nonzero(seen.found()))
        gone = missing >= max(1.0, self.share * objects - ROUNDING)
        return Verdict(float(held.sum()), gone, right=not gone and objects > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Fabricate:
    """Objects are found where there are none of any class. Less the sum of the scores of all such detections
    is the loss. One that stands beside another on a true object, or in a crowd, is not such.

    Attributes:
        count: so many must be found; the clean picture is attacked if fewer are.
        score: from which one counts.
        iou: with a true object, below which there is none.
    """

    graded: ClassVar[bool] = True
    truth: ClassVar[int] = -1
    starts: ClassVar[Sequence[Array]] = ()
    wanted: Wanted
    count: int = 1
    score: float = SCORE
    iou: float = IOU

    @property
    def name(self) -> str:
        return "fabricate" if self.count == 1 else f"fabricate:{self.count}"

    def judge(self, answer: Result) -> Verdict:
        false = Seen.of(self.wanted, answer, self.score, self.iou).false()
        reached = int(np.count_nonzero(false >= self.score)) >= self.count
        return Verdict(-float(false.sum()), reached, right=not reached)


@dataclass(frozen=True, slots=True, eq=False)
class Mislabel:
    """An object is found as another class, and no longer as its own. A detection that is right about a
    neighbour says nothing of this object.

    The loss is the least, over objects, of the best score * IoU of its own class less that of all others.
    The clean picture is attacked if an object is found and none is mislabelled.

    Attributes:
        score, iou: from which an object counts as found, as its class or another.
    """

    name: ClassVar[str] = "mislabel"
    graded: ClassVar[bool] = True
    truth: ClassVar[int] = -1
    starts: ClassVar[Sequence[Array]] = ()
    wanted: Wanted
    score: float = SCORE
    iou: float = IOU

    def judge(self, answer: Result) -> Verdict:
        seen = Seen.of(self.wanted, answer, self.score, self.iou)
        if not len(self.wanted):
            return Verdict(0.0, False)
        others, weight = seen.others(), seen.scores[:, None] * seen.shares
        own, taken = ((weight * of).max(axis=0, initial=0.0) for of in (seen.same, others))
        mistaken = bool(seen.mistaken(others).any())
        return Verdict(float((own - taken).min()), mistaken, right=not mistaken and bool(seen.found().any()))

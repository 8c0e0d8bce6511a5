"""The number a task is judged by under corruption, and the little of an answer that it rests on.

What is kept of an answer takes 9 bytes of a classifier, 32 for each class of a label map, and 28 for each
detection (and its packed header), whatever the classes or the size of the picture. The numbers are exactly
those of `eval.metrics`; the tests hold them against it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeAlias, TypeVar, cast

import numpy as np

from eval.metrics.calibration import bin_of
from eval.metrics.curves import Curve
from eval.metrics.detection import DetectionMetric
from eval.metrics.ratios import ratio
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.truth import Objects
from eval.packed import pack, unpack
from models.card import TaskName
from models.results import Array, Classification, Detections, Segmentation

__all__ = ["HEADLINES", "Headline", "Values"]

Answer = TypeVar("Answer")
Truth = TypeVar("Truth")
# int64 `(R, N)`, how often each image counts -> float64 `(R, K)`; NaN = undefined.
Values: TypeAlias = Callable[[Array], Array]
BINS = 15  # of equal width, as `CalibrationMetric` has them
RIGHT = np.dtype([("right", np.bool_), ("confidence", "<f8")])


class Headline(ABC, Generic[Answer, Truth]):
    """One number of a task, and for a classifier its calibration error beside it.

    Attributes:
        name, rule: of the number, as the task's metric names and defines it.
        calibration: definition of the second number; empty where there is none.
        share: it is a share of the images.
        needs_truth: to read the numbers; else what is kept of the answers is enough.
    """

    name: str
    rule: str
    calibration = ""
    share = False
    needs_truth = False

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels

    @abstractmethod
    def kept(self, answer: Answer, truth: Truth) -> bytes:
        """All that the numbers need to know of one answer.

        Raises:
            ValueError: it is none that can be scored.
        """

    @abstractmethod
    def values(self, kept: Sequence[bytes], truths: Sequence[Truth]) -> Values:
        """The numbers of some images as a function of how often each counts."""


class Accuracy(Headline[Classification, int]):
    """Accuracy and the expected calibration error of the best class."""

    name, rule = "accuracy", "sklearn/accuracy_score"
    calibration = f"guo2017/ECE,bins={BINS},edges=guo"
    share = True

    def kept(self, answer: Classification, truth: int) -> bytes:
        return np.array((answer.label == truth, answer.scores.max()), RIGHT).tobytes()

    def values(self, kept: Sequence[bytes], truths: Sequence[int]) -> Values:
        rows = np.frombuffer(b"".join(kept), RIGHT)
        right, confidence = rows["right"], rows["confidence"]
        member = np.eye(BINS)[bin_of(confidence.astype(np.float32))]
        sums = np.column_stack([np.ones(len(rows)), right, member * (confidence - right)[:, None]])

        def values(times: Array) -> Array:
            drawn = times @ sums
            gaps = np.abs(drawn[:, 2:]).sum(axis=1)
            return np.column_stack([ratio(drawn[:, 1], drawn[:, 0]), ratio(gaps, drawn[:, 0])])

        return values


class Ap(Headline[Detections, Objects]):
    """COCO's AP of boxes."""

    name, rule = "ap", "coco/AP@[.50:.95]"
    needs_truth = True

    def kept(self, answer: Detections, truth: Objects) -> bytes:
        label, classes = answer.labels, len(self.labels)
        if len(answer) and not 0 <= label.min() <= label.max() < classes:
            raise ValueError(f"labels must be in [0, {classes}), got {label.min()} to {label.max()}")
        return pack(Detections(answer.boxes, answer.scores, answer.labels))

    def values(self, kept: Sequence[bytes], truths: Sequence[Objects]) -> Values:
        metric = DetectionMetric(self.labels, resamples=0)
        for packed, truth in zip(kept, truths, strict=True):
            metric.update([cast(Detections, unpack(packed))], [truth])
        table = metric.table()
        classes = [k for k in range(table.classes) if len(table.objects(k))]  # others have no AP
        curves = [Curve.of(table, k, 0) for k in classes]  # area 0: objects of any size

        def values(times: Array) -> Array:
            ordered = times[:, table.order].astype(np.int32)
            parts = [curve.average(ordered).mean(axis=1) for curve in curves]
            per_class = np.array(parts).reshape(len(parts), len(times))
            mean = ratio(np.nansum(per_class, axis=0), np.isfinite(per_class).sum(axis=0))
            return mean[:, None]

        return values


class Miou(Headline[Segmentation, Array]):
    """Mean IoU, of pixel counts over all images."""

    name, rule = "miou", "cityscapes/mIoU"

    def kept(self, answer: Segmentation, truth: Array) -> bytes:
        metric = SegmentationMetric(self.labels, resamples=0)
        metric.update([answer], [truth])
        counts = metric.confusion
        told = np.column_stack([np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)])
        there = np.flatnonzero(told.any(axis=1))
        return np.column_stack([there, told[there]]).astype("<i8").tobytes()

    def values(self, kept: Sequence[bytes], truths: Sequence[Array]) -> Values:
        counts = np.zeros((len(kept), 3, len(self.labels)))
        for own, packed in zip(counts, kept, strict=True):
            rows = np.frombuffer(packed, "<i8").reshape(-1, 4)
            own[:, rows[:, 0]] = rows[:, 1:].T
        flat = counts.reshape(len(kept), 3 * len(self.labels))

        def values(times: Array) -> Array:
            hits, actual, predicted = np.split(times @ flat, 3, axis=1)
            iou = ratio(hits, actual + predicted - hits)
            mean = ratio(np.nansum(iou, axis=1), np.isfinite(iou).sum(axis=1))
            return mean[:, None]

        return values


HEADLINES: Final[Mapping[TaskName, type[Accuracy] | type[Ap] | type[Miou]]] = {
    "classification": Accuracy,
    "detection": Ap,
    "segmentation": Miou,
}

"""Panoptic quality, of images cut into things and stuff (Kirillov et al., 2019, arXiv 1801.00868)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

import numpy as np

from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.intervals import NONE, RESAMPLES, bootstrap
from eval.metrics.labels import distinct
from eval.metrics.pairs import require_pairs
from eval.metrics.ratios import defined, ratio
from models.results import Array

__all__ = ["VOID", "PanopticMetric", "Segments"]

VOID: Final = 0  # id of what belongs to no segment
COUNTS: Final = np.dtype(
    [("label", np.int32), ("image", np.int32), ("iou", np.float64)]
    + [(name, np.int32) for name in ("hits", "found", "wanted")]
)
PARTS: Final = ("", ".things", ".stuff")
KINDS: Final = ("pq", "sq", "rq")


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """One image cut into segments; row i of `ids`, `labels` and `crowd` describes segment i.

    Attributes:
        map: integer `(H, W)`, id of the segment of each pixel, 0 where there is none (void).
        ids: int64 `(N,)`, positive, no two the same.
        labels: int64 `(N,)`.
        crowd: bool `(N,)` of a truth; many objects in one segment. Left out: none is.
    """

    map: Array
    ids: Array
    labels: Array
    crowd: Array = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        n = len(self.ids)
        if n and not self.crowd.size:
            object.__setattr__(self, "crowd", np.zeros(n, bool))
        for name in ("ids", "labels", "crowd"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must be ({n},), got {getattr(self, name).shape}")
        if self.map.ndim != 2 or not np.issubdtype(self.map.dtype, np.integer):
            raise ValueError(f"map must be integers (H, W), got {self.map.dtype} {self.map.shape}")
        if n and (self.ids.min() <= VOID or len(np.unique(self.ids)) < n):
            raise ValueError("ids must be positive and distinct; 0 is void")
        strangers = np.setdiff1d(self.map, np.append(self.ids, VOID))
        if len(strangers):
            raise ValueError(f"map must hold ids of the segments or 0, got {strangers[:5].tolist()}")


class PanopticMetric(Metric[Segments, Segments]):
    """PQ, SQ and RQ over all classes, over things and over stuff, and of each class, by panopticapi's rules.

    A predicted segment matches a true one of its class at IoU > 0.5, where pixels predicted on void are no
    part of the union; there is at most one such. Crowds are not matched. What is left over is a false
    positive, unless more than half of it lies on void or on the crowd of its class, and a miss.
    PQ = sum of IoU / (TP + FP / 2 + FN / 2) = SQ x RQ, with counts over all images; the means run over
    classes with any TP, FP or FN, where SQ counts 0 if there is no TP. Intervals are 95 % percentile
    bootstrap over images.

    As there, the last crowd counts where a class has several in one image.

    Differences: SQ of a class without TP is undefined, not 0, when shown alone. Areas are counted in the
    map, not read from a file. Segments of a truth that are in the map but not told of are an error.

    Args:
        labels: class names, index = class.
        things: bool of each class; the rest is stuff.
        resamples: of the bootstrap; 0 for no intervals.
    """

    def __init__(
        self, labels: Sequence[str], things: Sequence[bool], *, resamples: int = RESAMPLES, seed: int = 0
    ) -> None:
        self._labels = distinct(labels)
        if len(things) != len(labels):
            raise ValueError(f"things must say it of {len(labels)} classes, got {len(things)}")
        self._things = tuple(bool(thing) for thing in things)
        self._resamples, self._seed = resamples, seed
        self._images: list[Array] = []

    def update(self, predicted: Sequence[Segments], expected: Sequence[Segments]) -> None:
        """Add one batch of images.

        Raises:
            ValueError: unequal lengths or shapes, a class that does not exist, or a predicted segment without
                a pixel.
        """
        require_pairs(predicted, expected)
        self._images += [self._checked(p, e) for p, e in zip(predicted, expected, strict=True)]

    def _checked(self, predicted: Segments, expected: Segments) -> Array:
        if predicted.map.shape != expected.map.shape:
            raise ValueError(f"map must be {expected.map.shape} like the truth, got {predicted.map.shape}")
        for name, labels in (("predicted", predicted.labels), ("expected", expected.labels)):
            if labels.size and not 0 <= labels.min() <= labels.max() < len(self._labels):
                span = f"{labels.min()} to {labels.max()}"
                raise ValueError(f"{name} labels must be in [0, {len(self._labels)}), got {span}")
        return _compared(predicted, expected)

    def merge(self, other: Self) -> None:
        mine, theirs = ((m._labels, m._things, m._resamples, m._seed) for m in (self, other))
        if mine != theirs:
            raise ValueError(f"settings must be the same to merge, got {mine} and {theirs}")
        self._images += other._images

    def resampled(self) -> Resampled:
        """All scores."""
        counts = _joined(self._images)
        names = tuple(name for name, *_ in self._told(counts))
        return Resampled(names, lambda times: self._values(counts, times))

    def compute(self) -> list[Score]:
        images = sorted(self._images, key=np.ndarray.tobytes)  # sums of floats depend on their order
        counts = _joined(images)
        once = np.ones((1, len(images)), np.int64)
        told, values = self._told(counts), self._values(counts, once)[0].tolist()
        intervals = [NONE] * len(told)
        if self._resamples and len(images) > 1:
            statistic = partial(self._values, counts)
            intervals = bootstrap(
                statistic, len(images), resamples=self._resamples, seed=self._seed, shares=True
            )
        read = zip(told, values, intervals, strict=True)
        return [Score(n, defined(v), support, rule, *i) for (n, support, rule), v, i in read]

    def _told(self, counts: Array) -> list[tuple[str, int, str]]:
        """Name, support and definition of every score; the supports are hits, false alarms and misses."""
        hits, found, wanted = (
            np.bincount(counts["label"], counts[name], len(self._labels)).astype(np.int64)
            for name in ("hits", "found", "wanted")
        )
        segments, rule = found + wanted - hits, "panopticapi/{}".format
        told = []
        for part, member in zip(PARTS, self._members(), strict=True):
            told += [
                (f"{kind}{part}", int(segments[member].sum()), rule(kind.upper() + part)) for kind in KINDS
            ]
        for kind, support in zip(KINDS, (segments, hits, segments), strict=True):
            rows = zip(self._labels, support.tolist(), strict=True)
            told += [(f"{kind}.class.{name}", n, rule(kind.upper())) for name, n in rows]
        return told

    def _members(self) -> tuple[Array, Array, Array]:
        """bool `(C,)`: all, things, stuff."""
        things = np.array(self._things, bool)
        return np.ones(len(things), bool), things, ~things

    def _values(self, counts: Array, times: Array) -> Array:
        """`(R, 9 + 3 C)`; the numbers of `_told` where image i counts `times[:, i]`-fold."""
        label, image, classes = counts["label"], counts["image"], len(self._labels)
        columns = [counts[name] for name in ("iou", "hits", "found", "wanted")]
        values = []
        for row in times:
            weight = row[image]
            iou, hits, found, wanted = (np.bincount(label, weight * c, classes) for c in columns)
            pq, sq, rq = ratio(iou, (found + wanted) / 2), ratio(iou, hits), ratio(hits, (found + wanted) / 2)
            means = []
            for member in self._members():
                there = member & (found + wanted > 0)
                means += [ratio(np.nansum(kind[there]), there.sum()) for kind in (pq, sq, rq)]
            values.append(np.concatenate([means, pq, sq, rq]))
        return np.array(values).reshape(len(times), -1)


def _compared(predicted: Segments, expected: Segments) -> Array:
    """`COUNTS` records of one image, one a class there is: sum of the IoU of the hits, hits, predicted
    segments that count (hits and false positives), true segments (hits and misses)."""
    shared = _shared(expected, predicted)
    area, wanted = shared[:, 1:].sum(axis=0), shared[1:].sum(axis=1, keepdims=True)
    void, shared = shared[0, 1:], shared[1:, 1:]
    if (area == 0).any():
        raise ValueError(f"ids must occur in the map, got none of {predicted.ids[area == 0].tolist()}")
    same = expected.labels[:, None] == predicted.labels
    iou = ratio(shared, area + wanted - shared - void)
    true, found = np.nonzero(same & ~expected.crowd[:, None] & (iou > 0.5))
    unseen = void.copy()
    for i in np.flatnonzero(expected.crowd).tolist():  # of several crowds of a class the last one counts
        unseen[same[i]] = (void + shared[i])[same[i]]
    counted = unseen / area <= 0.5
    counted[found] = True
    parts = (predicted.labels[found], predicted.labels[counted], expected.labels[~expected.crowd])
    labels = np.unique(np.concatenate(parts))
    rows = np.zeros(len(labels), COUNTS)
    rows["label"] = labels
    rows["iou"] = np.bincount(np.searchsorted(labels, parts[0]), iou[true, found], len(labels))
    for name, part in zip(("hits", "found", "wanted"), parts, strict=True):
        rows[name] = np.bincount(np.searchsorted(labels, part), minlength=len(labels))
    return rows


def _shared(one: Segments, other: Segments) -> Array:
    """int64 `(N + 1, M + 1)`: pixels that segments have in common; the first of both is void."""
    size = len(other.ids) + 1
    pairs = _places(one) * size + _places(other)
    return np.bincount(pairs.ravel(), minlength=(len(one.ids) + 1) * size).reshape(-1, size)


def _places(segments: Segments) -> Array:
    """int64 `(H, W)`: 0 for void, i + 1 for segment i."""
    known = np.append(VOID, segments.ids)
    order = np.argsort(known)
    return np.asarray(order[np.searchsorted(known, segments.map, sorter=order)])


def _joined(images: Sequence[Array]) -> Array:
    counts = np.concatenate([np.zeros(0, COUNTS), *images])
    counts["image"] = np.repeat(np.arange(len(images)), [len(rows) for rows in images])
    return counts

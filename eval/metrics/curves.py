"""Matched images as columns, and precision over recall of one class, countable again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from eval.metrics.matching import DETECTION, MOST, OBJECT, Matches
from models.results import Array

__all__ = ["IOUS", "RECALLS", "Curve", "Table"]

IOUS: Final = np.linspace(0.5, 0.95, 10)
RECALLS: Final = np.linspace(0, 1, 101)
CHUNK = 200_000  # most detections held at once while resampling: what a cache holds


class Table:
    """Matched images as columns; detections by class, then best score first, then image.

    Attributes:
        images: how many; numbered by their ids, so that two versions' answers can be resampled alike.
        order: int64 `(images,)`, when each of them came.
        found: `DETECTION` records `(D,)`.
        places: int64 `(D,)`, of the detections when ordered by image, then best score first.
        wanted: `OBJECT` records `(G,)`, by class.
        starts, truths: int64 `(C + 1,)`; class k has detections `starts[k]` to `starts[k + 1]` and
            objects `truths[k]` to `truths[k + 1]`.
    """

    def __init__(self, matches: Iterable[Matches], classes: int) -> None:
        came = list(matches)
        self.images, self.classes = len(came), classes
        self.order = np.array(sorted(range(len(came)), key=lambda i: came[i].key()), np.int64)
        ordered = [came[i] for i in self.order]
        found = np.concatenate([np.zeros(0, DETECTION), *(m.found for m in ordered)])
        found["image"] = np.repeat(np.arange(self.images), [len(m.found) for m in ordered])
        wanted = np.concatenate([np.zeros(0, OBJECT), *(m.wanted for m in ordered)])
        wanted["image"] = np.repeat(np.arange(self.images), [len(m.wanted) for m in ordered])
        self.places = np.lexsort((-found["score"], found["label"]))
        self.found = found[self.places]
        self.wanted = wanted[np.argsort(wanted["label"], kind="stable")]
        bounds = np.arange(classes + 1)
        self.starts = np.searchsorted(self.found["label"], bounds)
        self.truths = np.searchsorted(self.wanted["label"], bounds)

    def rows(self, label: int) -> Array:
        """The detections of one class."""
        return self.found[self.starts[label] : self.starts[label + 1]]

    def objects(self, label: int) -> Array:
        """The objects of one class."""
        return self.wanted[self.truths[label] : self.truths[label + 1]]

    def outcome(self, place: int) -> tuple[Array, Array]:
        """bool `(D,)` each: which detections are hits at one threshold, and which hits or false alarms."""
        hit, passed = (((self.found[name][:, 0] >> place) & 1).astype(bool) for name in ("hit", "passed"))
        return hit, ~passed

    def positives(self, area: int = 0) -> Array:
        """int64 `(C,)`: objects of each class that count."""
        real = self.wanted["label"][~self.wanted["ignored"][:, area]]
        return np.bincount(real, minlength=self.classes).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The detections of one class that count at some threshold, best score first.

    Precision over recall falls but at hits, so only these are looked at; of all others just the running
    number matters.

    Attributes:
        image: int `(D,)`.
        hits, passed: at each threshold the places of the hits and of what does not count.
        truth: int `(P,)`, image of each object that counts.
    """

    image: Array
    hits: tuple[Array, ...]
    passed: tuple[Array, ...]
    truth: Array

    @staticmethod
    def of(table: Table, label: int, area: int, thresholds: int = len(IOUS)) -> Curve:
        """COCO's, at the first thresholds: at most 100 detections an image."""
        rows, objects = table.rows(label), table.objects(label)
        rows = rows[rows["rank"] < MOST[-1]]
        bits = 1 << np.arange(thresholds)[:, None]
        passed = (rows["passed"][:, area] & bits) != 0
        counts = ~passed.all(axis=0)
        rows, passed = rows[counts], passed[:, counts]
        hits = (rows["hit"][:, area] & bits) != 0
        truth = objects["image"][~objects["ignored"][:, area]]
        found, skipped = (tuple(np.flatnonzero(row) for row in where) for where in (hits, passed))
        return Curve(np.ascontiguousarray(rows["image"]), found, skipped, truth)

    def _steps(self, weight: Array) -> Iterator[tuple[Array, Array]]:
        """At each threshold the hits so far, and the best precision from there on; `(R, hits)` both.

        Args:
            weight: int `(R, D)`, how often each detection counts.
        """
        running = np.cumsum(weight, axis=1, dtype=weight.dtype)
        for hits, passed in zip(self.hits, self.passed, strict=True):
            so_far = np.cumsum(weight[:, hits], axis=1, dtype=weight.dtype)
            among = running[:, hits]
            if len(passed):
                skipped = np.cumsum(weight[:, passed], axis=1, dtype=weight.dtype)
                skipped = np.concatenate([np.zeros((len(weight), 1), skipped.dtype), skipped], axis=1)
                among = among - skipped[:, np.searchsorted(passed, hits)]
            precision = so_far / (among + np.spacing(1))  # as COCO has it: one of one is a little less than 1
            yield so_far, np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]

    def precision(self) -> Array:
        """float64 `(T, 101)`: interpolated precision at each recall; there must be objects."""
        levels = np.zeros((len(self.hits), len(RECALLS)))
        for level, (so_far, best) in zip(
            levels, self._steps(np.ones((1, len(self.image)), int)), strict=True
        ):
            first = np.searchsorted(so_far[0] / len(self.truth), RECALLS, side="left")
            first = first[first < best.shape[1]]
            level[: len(first)] = best[0, first]
        return levels

    def average(self, times: Array) -> Array:
        """float64 `(R, T)`: AP where image i counts `times[:, i]`-fold; NaN without objects.

        Args:
            times: int32 `(R, images)`.
        """
        size = max(1, CHUNK // (len(self.image) + len(self.truth) + 1))
        parts = [self._average(times[i : i + size]) for i in range(0, len(times), size)]
        return np.concatenate([np.zeros((0, len(self.hits))), *parts])

    def _average(self, times: Array) -> Array:
        positives = times[:, self.truth].sum(axis=1)
        many, row = np.unique(positives, return_inverse=True)
        # How many recall levels are reached with 0, 1, 2 ... hits: a level counts from its first hit on.
        reached = np.arange(many.max() + 1) / np.maximum(many, 1)[:, None]
        reached = np.searchsorted(RECALLS, reached, side="right").astype(np.int32)
        at = (row * reached.shape[1])[:, None]
        values = np.zeros((len(times), len(self.hits)))
        for column, (so_far, best) in zip(values.T, self._steps(times[:, self.image]), strict=True):
            levels = reached.take(so_far + at)
            levels[:, 1:] -= levels[:, :-1].copy()
            column[:] = np.einsum("rk,rk->r", levels, best) / len(RECALLS)
        values[positives == 0] = np.nan
        return values

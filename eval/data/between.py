"""What shows only between pictures: copies, look-alikes, labels that contradict each other, leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from eval.data.alike import alike
from eval.data.dataset import Dataset
from eval.data.faults import Seen
from models.results import Array

__all__ = ["Remembered", "Told"]

Told: TypeAlias = tuple[str, str, tuple[int, ...]]  # kind, what exactly, the pictures by their place


class Remembered:
    """What must be remembered of every picture to compare it with others: 200 bytes each.

    Attributes:
        sizes: (width, height) -> pictures.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._number = 0
        self._first: dict[bytes, int] = {}
        self._truths: list[bytes] = []
        self._again: list[tuple[int, int]] = []
        self._small: list[bytes] = []
        self._whose: list[int] = []
        self._shown = np.zeros(len(data.labels), np.int64)
        self._counts = np.zeros(len(data.labels), np.int64)
        self.sizes: Counter[tuple[int, int]] = Counter()

    def add(self, one: Seen) -> None:
        """The next picture of the data."""
        number, self._number = self._number, self._number + 1
        self._truths.append(one.truth)
        if one.classes is not None:
            self._counts += one.classes
            self._shown += one.classes > 0
        if one.small is not None:
            self.sizes[one.shape[::-1]] += 1
        if one.digest and (first := self._first.setdefault(one.digest, number)) != number:
            self._again.append((first, number))
        elif one.small is not None:
            self._small.append(one.small.tobytes())
            self._whose.append(number)

    def copies(self) -> Iterator[Told]:
        """The same file more than once, and whether its labels are the same too."""
        ids = self._data.ids
        for first, number in self._again:
            yield "duplicate", f"{ids[number]} is {ids[first]}", (first, number)
            if self._truths[first] != self._truths[number]:
                named = self._named(first, number)
                yield "contradiction", f"{ids[number]} is {ids[first]}, with {named}", (first, number)

    def looks(self) -> Iterator[Told]:
        """Pairs that look the same."""
        pairs = alike(self._thumbnails())
        for i, j, bits in zip(
            pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist(), strict=True
        ):
            one, other = self._whose[i], self._whose[j]
            told = f"{self._data.ids[one]} and {self._data.ids[other]}, {bits} of 64 bits apart"
            yield "near_duplicate", told, (one, other)

    def leaks(self, other: Remembered) -> Iterator[Told]:
        """Pictures that are in the other data too, or look like one there."""
        ids, theirs, name = self._data.ids, other._data.ids, other._data.name
        for digest, number in self._first.items():
            if (there := other._first.get(digest)) is not None:
                yield "leak", f"{ids[number]} is {theirs[there]} of {name}", (number,)
        copied = {number for digest, number in self._first.items() if digest in other._first}
        count = len(self._small)
        pairs = alike(np.concatenate([self._thumbnails(), other._thumbnails()]))
        across = (pairs.first < count) & (pairs.second >= count)
        for i, j in zip(pairs.first[across].tolist(), (pairs.second[across] - count).tolist(), strict=True):
            one, far = self._whose[i], other._whose[j]
            if one not in copied:
                yield "near_leak", f"{ids[one]} and {theirs[far]} of {name}", (one,)

    def empty_classes(self) -> Iterator[Told]:
        """Classes that no picture shows; of data in the model's own numbers that says nothing."""
        for name, shown in zip(self._data.labels, self._shown.tolist(), strict=True):
            if not shown and not self._data.numbered:
                yield "class_without_pictures", name, ()

    def balance(self) -> list[tuple[str, int, int]]:
        """(class, pictures that show it, objects or pixels), most pictures first."""
        rows = zip(self._data.labels, self._shown.tolist(), self._counts.tolist(), strict=True)
        return sorted(rows, key=lambda row: (-row[1], -row[2]))

    def _thumbnails(self) -> Array:
        return np.frombuffer(b"".join(self._small), np.uint8).reshape(-1, 8, 9)

    def _named(self, first: int, number: int) -> str:
        if self._data.task != "classification":
            return "other labels"
        names = [self._data.labels[int.from_bytes(self._truths[i], "little")] for i in (first, number)]
        return f"the labels {names[0]} and {names[1]}"

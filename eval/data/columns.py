"""What is known of many samples, kept as columns: a list of dicts would need twenty times the memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.metrics.truth import Objects
from models.results import Array

__all__ = ["ObjectTable", "Tags"]


class Tags:
    """Text about samples, by column; each word is kept once.

    A column that a row does not have is empty there. Numbers are told as JSON tells them; what is neither
    text nor a number is left out.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[str]] = {}
        self._words: dict[str, str] = {}
        self._count = 0

    def add(self, row: Mapping[str, object]) -> None:
        """The next sample."""
        for name, value in row.items():
            if (word := _word(value)) is not None:
                column = self._columns.setdefault(name, [])
                column.extend([""] * (self._count - len(column)))
                column.append(self._words.setdefault(word, word))
        self._count += 1

    def __getitem__(self, index: int) -> dict[str, str]:
        return {name: own[index] if index < len(own) else "" for name, own in self._columns.items()}


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


class ObjectTable:
    """The objects of all pictures, five numbers and two marks each.

    Args:
        picture: `(N,)`, the picture of each object, counted from 0.
        boxes: float64 `(N, 4)`, xyxy.
        areas: float64 `(N,)`, pixels; left out: those of the boxes.
        crowd: bool `(N,)`; left out: none is.
        pictures: how many there are.
    """

    def __init__(
        self,
        picture: Sequence[int] | Array,
        labels: Sequence[int] | Array,
        boxes: Sequence[float] | Array,
        areas: Sequence[float] | Array | None = None,
        crowd: Sequence[int] | Array | None = None,
        *,
        pictures: int,
    ) -> None:
        self._boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        self._labels = np.asarray(labels, np.int32)
        self._areas = None if areas is None else np.asarray(areas, np.float64)
        self._crowd = None if crowd is None else np.asarray(crowd, bool)
        own = np.asarray(picture, np.int64)
        self._order = np.argsort(own, kind="stable").astype(np.int32)
        self._starts = np.searchsorted(own[self._order], np.arange(pictures + 1))

    def __len__(self) -> int:
        return len(self._labels)

    def rows(self, index: int) -> Array:
        """int32: the objects of a picture, in the order they were told."""
        return self._order[self._starts[index] : self._starts[index + 1]]

    def objects(self, index: int, image: str, masks: Array | None = None) -> Objects:
        """The truth about one picture."""
        rows = self.rows(index)
        boxes = self._boxes[rows]
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) if self._areas is None else self._areas[rows]
        crowd = np.zeros(len(rows), bool) if self._crowd is None else self._crowd[rows]
        return Objects(boxes, self._labels[rows].astype(np.int64), areas, crowd, masks, image)

"""Labelled images, one at a time: a data set is a list of ids and a way to load each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array

__all__ = ["Dataset", "Expected", "Sample"]

Expected: TypeAlias = int | Objects | Array


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image as a user would send it, and the truth about it.

    Attributes:
        id: stable; keys every random draw about this image.
        file: the encoded picture.
        expected: a class (classification), `Objects` (detection), or an integer label map
            `(H, W)` with 255 for pixels that do not count (segmentation).
    """

    id: str
    file: bytes
    expected: Expected


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples in a fixed order, loaded when asked for, so memory does not grow with their number.

    Attributes:
        name: as given by the user, e.g. `digits:test`.
        labels: class names; index = class in `expected`.
        numbered: classes are the model's own numbers already, whatever they are called.
    """

    name: str
    task: TaskName
    labels: tuple[str, ...]
    ids: Sequence[str]
    load: Callable[[int], Sample]
    numbered: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return self.load(range(len(self))[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(self.load, range(len(self)))

    def first(self, count: int | None) -> Dataset:
        """The first `count` samples, or all."""
        ids = self.ids if count is None else self.ids[:count]
        return replace(self, ids=ids)

    def in_classes_of(self, served: Sequence[str]) -> Dataset:
        """The same data, its classes numbered as the served model numbers them, matched by name.

        Raises:
            DatasetError: a class of the data is none of the model's.
        """
        if self.numbered and len(self.labels) <= len(served):
            return replace(self, labels=tuple(served))
        if tuple(served) == self.labels:
            return self
        missing = [name for name in self.labels if name not in served]
        if missing:
            raise DatasetError(
                f"{self.name}: the model has no class {missing[0]!r}; it has {', '.join(served[:8])} ..."
                " Rename the data's classes, or evaluate a model that knows them"
            )
        number = [list(served).index(name) for name in self.labels]

        def load(index: int) -> Sample:
            sample = self.load(index)
            return Sample(sample.id, sample.file, _renumbered(sample.expected, number))

        return replace(self, labels=tuple(served), load=load, numbered=True)


def _renumbered(expected: Expected, number: Sequence[int]) -> Expected:
    if isinstance(expected, int):
        return number[expected]
    if isinstance(expected, Objects):
        labels = expected.labels.copy()
        labels[:] = [number[label] for label in expected.labels]
        return Objects(expected.boxes, labels, expected.areas, expected.crowd, expected.masks, expected.image)
    table = [*number, *range(len(number), 256)]
    renumbered = expected.copy()
    for old, new in enumerate(table):
        renumbered[expected == old] = new
    return renumbered

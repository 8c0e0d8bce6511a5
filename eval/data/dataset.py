"""Labelled images, one at a time: a data set is a list of ids and a way to load each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array

__all__ = ["IGNORED", "Dataset", "Expected", "Sample"]

IGNORED = 255  # pixels that do not count
Expected: TypeAlias = int | Objects | Array


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image as a user would send it, and the truth about it.

    Attributes:
        id: stable; keys every random draw about this image.
        file: the encoded picture.
        expected: a class (classification), `Objects` (detection), or an integer label map
            `(H, W)` with 255 for pixels that do not count (segmentation).
        tags: what else is known of it, by column; slices are made of it.
    """

    id: str
    file: bytes
    expected: Expected
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples in a fixed order, loaded when asked for, so memory does not grow with their number.

    Attributes:
        name: as given by the user, e.g. `digits:test`.
        labels: class names; index = class in `expected`.
        numbered: classes are the model's own numbers already, whatever they are called.
        classes: the class of each sample where that is known without loading it; int `(N,)`.
        remarks: what the reader passed over, one line each; `assay data check` tells it.
    """

    name: str
    task: TaskName
    labels: tuple[str, ...]
    ids: Sequence[str]
    load: Callable[[int], Sample]
    numbered: bool = False
    classes: Array | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return self.load(range(len(self))[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(self.load, range(len(self)))

    def first(self, count: int | None) -> Dataset:
        """The first `count` samples, or all."""
        classes = None if self.classes is None else self.classes[:count]
        return replace(self, ids=self.ids if count is None else self.ids[:count], classes=classes)

    def mapped(self, mapping: Mapping[str, str | None]) -> Dataset:
        """The same data with other class names; None drops a class, names that are not told stay.

        Classes of one name become one, in the order of their first. What is dropped goes: its pictures
        (classification), its objects (detection); its pixels do not count (segmentation).

        Raises:
            DatasetError: a name is no class of the data, or nothing is left.
        """
        if lost := [name for name in mapping if name not in self.labels]:
            known = ", ".join(self.labels[:8])
            raise DatasetError(f"{self.name}: there is no class {lost[0]!r} to map; it has {known} ...")
        names = [mapping.get(name, name) for name in self.labels]
        labels = tuple(dict.fromkeys(name for name in names if name is not None))
        number = [-1 if name is None else labels.index(name) for name in names]
        kept: Sequence[int] = range(len(self))
        if self.task == "classification" and -1 in number:
            own = self.classes if self.classes is not None else [s.expected for s in self]
            kept = [i for i, label in enumerate(own) if number[int(label)] >= 0]
        if not labels or not kept:
            raise DatasetError(
                f"{self.name}: the mapping drops everything; it must leave a class with pictures"
            )

        def load(index: int) -> Sample:
            sample = self.load(kept[index])
            return replace(sample, expected=_renumbered(sample.expected, number))

        ids = [self.ids[i] for i in kept]
        classes = None if self.classes is None else np.array(number)[self.classes[kept]]
        return replace(self, labels=labels, ids=ids, load=load, numbered=False, classes=classes)

    def in_classes_of(self, served: Sequence[str]) -> Dataset:
        """The same data, its classes numbered as the served model numbers them, matched by name.

        Names are the same when they differ in case, `_` and `-` only, or when one is among the other's
        comma-separated synonyms. Numbered data keeps its numbers, or moves all of them alike where most
        names say so: some graphs have a background class in front.

        Raises:
            DatasetError: a class of the data is none of the model's.
        """
        if tuple(served) == self.labels:
            return self
        matched = _matched(self.labels, served)
        if self.numbered and len(self.labels) <= len(served):
            number = [i + _shift(matched) for i in range(len(self.labels))]
        else:
            number = [-1 if at is None else at for at in matched]
        missing = [name for name, at in zip(self.labels, number, strict=True) if not 0 <= at < len(served)]
        if missing:
            raise DatasetError(
                f"{self.name}: the model has no class {missing[0]!r}; it has {', '.join(served[:8])} ..."
                " Map the data's names to the model's with --map FILE, or evaluate a model that knows them"
            )

        def load(index: int) -> Sample:
            sample = self.load(index)
            return replace(sample, expected=_renumbered(sample.expected, number))

        classes = None if self.classes is None else np.array(number)[self.classes]
        return replace(self, labels=tuple(served), load=load, numbered=True, classes=classes)


def _synonyms(name: str) -> set[str]:
    words = name.casefold().replace("_", " ").replace("-", " ")
    return {" ".join(word.split()) for word in words.split(",")}


def _matched(names: Sequence[str], served: Sequence[str]) -> list[int | None]:
    """The served class of each name; None where there is none, or several to choose from."""
    exact: dict[str, list[int]] = {}
    alike: dict[str, set[int]] = {}
    for number, name in enumerate(served):
        exact.setdefault(name, []).append(number)
        for word in _synonyms(name):
            alike.setdefault(word, set()).add(number)
    found = [exact.get(name) or set().union(*(alike.get(w, ()) for w in _synonyms(name))) for name in names]
    return [next(iter(numbers)) if len(numbers) == 1 else None for numbers in found]


def _shift(matched: Sequence[int | None]) -> int:
    """By how much most of the matched classes lie behind their own number; 0 where they do not agree."""
    shifts = Counter(at - number for number, at in enumerate(matched) if at is not None)
    (shift, times), *_ = shifts.most_common(1) or [(0, 0)]
    return shift if 2 * times > shifts.total() else 0


def _renumbered(expected: Expected, number: Sequence[int]) -> Expected:
    """The truth in other class numbers; -1 drops a class."""
    if isinstance(expected, int):
        return number[expected]
    if isinstance(expected, Objects):
        own = np.array(number, np.int64)[expected.labels]
        kept = own >= 0
        masks = None if expected.masks is None else expected.masks[kept]
        return Objects(
            expected.boxes[kept], own[kept], expected.areas[kept], expected.crowd[kept], masks, expected.image
        )
    table = np.arange(max(256, len(number)))  # what is no class, such as 255, stays what it is
    table[: len(number)] = np.where(np.array(number) < 0, IGNORED, number)
    renumbered: Array = table[expected]
    return renumbered.astype(np.uint8 if table.max() < 256 else np.int64)

"""Two runs image by image: the same pictures, the same truth, both answers in the same class numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.collect import Asked
from eval.data.dataset import IGNORED, Expected
from eval.errors import EvalError
from eval.metrics.labels import distinct
from eval.metrics.truth import Objects
from eval.recorded import Recorded
from eval.target import name_of
from models.results import Array, Classification, Result, Segmentation

__all__ = ["Pair", "labels_of", "pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One image and what became of it before and after; the classes are those of `labels_of`.

    Attributes:
        digest: of the file that was sent.
        tags: slice -> value, as either run recorded them.
    """

    before: Asked
    after: Asked
    digest: str
    tags: dict[str, str]


def labels_of(before: Recorded, after: Recorded) -> tuple[str, ...]:
    """The classes of both: the first's in its order, then what only the second has; matched by name.

    Raises:
        EvalError: the two are of different tasks.
    """
    tasks = [run.target.task for run in (before, after)]
    if tasks[0] != tasks[1]:
        raise EvalError(
            f"both must be of one task, got {tasks[0]} ({name_of(before.target)}) and {tasks[1]} "
            f"({name_of(after.target)})"
        )
    own, other = distinct(before.target.labels), distinct(after.target.labels)
    return tuple(dict.fromkeys([*own, *other]))


def pairs(before: Recorded, after: Recorded) -> Iterator[Pair]:
    """Every image with both answers, in the order of the data, one at a time.

    Raises:
        EvalError: the two were not asked about the same files in the same order, or do not mean the same
            by their classes.
    """
    labels, sizes = labels_of(before, after), [len(before.data), len(after.data)]
    if sizes[0] != sizes[1]:
        raise EvalError(
            f"both must be about the same images, got {sizes[0]} of {before.data.name} and {sizes[1]} of "
            f"{after.data.name}"
        )
    numbers = [_numbers(run, labels) for run in (before, after)]
    for (row, one), (other, two) in zip(before.rows(), after.rows(), strict=True):
        if (row.id, row.digest) != (other.id, other.digest):
            raise EvalError(
                f"both must be about the same images in the same order; number {row.place + 1} is {row.id} "
                f"of {before.data.name} and {other.id} of {after.data.name}, or its file differs"
            )
        truths = [_truth(asked.sample.expected, n) for asked, n in zip((one, two), numbers, strict=True)]
        if not _same(*truths):
            raise EvalError(
                f"the truth about {row.id} must be the same for both: {_told(truths[0], labels)} for "
                f"{name_of(before.target)}, {_told(truths[1], labels)} for {name_of(after.target)}. Classes "
                "are matched by name: give both models the same names, and ask both about the same data"
            )
        mine, theirs = (_moved(asked, n, labels) for asked, n in zip((one, two), numbers, strict=True))
        sample = replace(one.sample, expected=truths[0])
        tags = {**other.tags, **row.tags}
        yield Pair(replace(mine, sample=sample), replace(theirs, sample=sample), row.digest, tags)


def _numbers(run: Recorded, labels: Sequence[str]) -> Array:
    """int64: the shared class of each class of the run."""
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[label] for label in distinct(run.target.labels)], np.int64)


def _moved(asked: Asked, number: Array, labels: Sequence[str]) -> Asked:
    """The answer in the shared classes; a class that a model does not know has score 0."""
    if asked.answer is None or np.array_equal(number, np.arange(len(labels))):
        return asked
    return replace(asked, answer=_renumbered(asked.answer, number, len(labels)))


def _renumbered(answer: Result, number: Array, classes: int) -> Result:
    if isinstance(answer, Classification):
        scores = np.zeros(classes, answer.scores.dtype)
        scores[number] = answer.scores
        return Classification(scores)
    if isinstance(answer, Segmentation):
        return Segmentation(number[answer.labels])
    return replace(answer, labels=number[answer.labels])


def _truth(expected: Expected, number: Array) -> Expected:
    if np.array_equal(number, np.arange(len(number))):
        return expected
    if isinstance(expected, int):
        return int(number[expected])
    if isinstance(expected, Objects):
        return replace(expected, labels=number[expected.labels])
    table = np.arange(max(IGNORED + 1, len(number)))
    table[: len(number)] = number
    moved: Array = table[expected]
    return moved


def _same(one: Expected, other: Expected) -> bool:
    if isinstance(one, Objects) and isinstance(other, Objects):
        columns = ("labels", "boxes", "crowd")
        return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
    if isinstance(one, Objects) or isinstance(other, Objects):
        return False
    return bool(np.array_equal(one, other))


def _told(truth: Expected, labels: Sequence[str]) -> str:
    if isinstance(truth, int):
        return repr(labels[truth])
    numbers = truth.labels if isinstance(truth, Objects) else np.unique(truth[truth != IGNORED])
    return ", ".join(labels[int(n)] for n in numbers[:5]) or "nothing"

"""What is attacked: the pictures of a data set that a goal can be reached on, and the goals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, overload

from eval.attacks.base import Goal
from eval.attacks.goals.tables import goals_of
from eval.collect import digest_of, truth_of
from eval.data.dataset import Dataset, Expected
from eval.errors import DatasetError
from eval.recorded import Request
from models.decoding import UnreadableImage, decode
from models.results import Array

__all__ = ["Pictures", "Subject", "digest_of_data", "opened", "subject_of"]


class Pictures(Sequence[Array]):
    """The pictures of a data set at some places, decoded when they are wanted."""

    def __init__(self, data: Dataset, places: Sequence[int]) -> None:
        self._data, self._places = data, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> Array | Pictures:
        if isinstance(index, slice):
            return Pictures(self._data, self._places[index])
        sample = self._data[self._places[index]]
        try:
            return decode(sample.file)
        except UnreadableImage as error:
            raise DatasetError(f"{sample.id} of {self._data.name} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Subject:
    """Samples with a goal each; all columns have the same length.

    Attributes:
        places: in the data.
        left_out: samples of the data on which the goal can never be reached.
    """

    places: Sequence[int]
    ids: Sequence[str]
    images: Pictures
    goals: Sequence[Goal]
    truths: Sequence[Expected]
    left_out: int

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, count: int) -> Subject:
        """The first so many."""
        cut = slice(count)
        columns = (self.places[cut], self.ids[cut], self.images[cut], self.goals[cut], self.truths[cut])
        return Subject(*columns, self.left_out)


def subject_of(data: Dataset, goal: str, seed: int) -> Subject:
    """The samples of the data that a goal can be reached on.

    Args:
        goal: as `goals_of` takes it.

    Raises:
        EvalError: no such goal, or a picture of the data cannot be read.
    """
    expected = [sample.expected for sample in data]
    pictures = Pictures(data, range(len(data)))
    goals = goals_of(goal, data.task, expected, data.labels, seed=seed, ids=data.ids, pictures=pictures)
    places = [place for place, one in enumerate(goals) if one is not None]
    return Subject(
        places,
        [data.ids[place] for place in places],
        Pictures(data, places),
        [one for one in goals if one is not None],
        [expected[place] for place in places],
        len(data) - len(places),
    )


def digest_of_data(data: Dataset) -> str:
    """By which data is known again: of every id, file and truth, in order.

    Raises:
        DatasetError: a picture cannot be read; better told now than after hours.
    """
    digest, pictures = hashlib.blake2b(digest_size=16), Pictures(data, range(len(data)))
    for place, sample in enumerate(data):
        pictures[place]
        told = f"{sample.id}\0{digest_of(sample.file)}\0{truth_of(sample.expected)}\0"
        digest.update(told.encode())
    return digest.hexdigest()


def opened(request: Request, goal: str, seed: int, data_digest: str) -> Subject:
    """The same of what a request asks; read once by each worker."""
    return _opened(json.dumps(request.told(0)), goal, seed, data_digest)


@lru_cache(maxsize=4)
def _opened(told: str, goal: str, seed: int, data_digest: str) -> Subject:
    told_again: dict[str, Any] = json.loads(told)
    data = Request.of(told_again).dataset()
    if digest_of_data(data) != data_digest:
        raise DatasetError(f"{data.name} is other data for a worker than here; give all of them the same")
    return subject_of(data, goal, seed)

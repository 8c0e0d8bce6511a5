"""A run that was recorded: what was asked of whom, and every answer beside its truth."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eval.collect import Asked, digest_of, truth_of
from eval.data.dataset import Dataset
from eval.data.tables import open_data
from eval.errors import DatasetError, EvalError
from eval.journal import Journal, Row
from eval.packed import unpack
from eval.target import Access, Target

__all__ = ["JOURNAL", "Recorded", "Request", "recorded"]

JOURNAL = "journal.sqlite"


@dataclass(frozen=True, slots=True)
class Request:
    """What an evaluation asks: plain values, so that a worker elsewhere can ask the same.

    Attributes:
        data: name of the data, as `open_data` takes it.
        limit: only the first so many images.
        slices: names of what the images are also told apart by.
        mapping: what the model calls the classes of the data; None drops one.
    """

    target: Target
    data: str
    limit: int | None = None
    slices: tuple[str, ...] = ()
    mapping: Mapping[str, str | None] = field(default_factory=dict)

    def dataset(self) -> Dataset:
        """The data, its classes numbered as the model numbers them. Raises DatasetError."""
        data = open_data(self.data, self.target.task)
        data = data.mapped(self.mapping) if self.mapping else data
        return data.in_classes_of(self.target.labels).first(self.limit)

    def told(self, images: int) -> dict[str, Any]:
        """As JSON values, for the journal. Headers keep their `$VARIABLE`, never what is in it."""
        body = asdict(self)
        access = body["target"]["access"]
        for name in ("template", "card"):
            access[name] = None if access[name] is None else str(access[name])
        claims = {name: list(claim) for name, claim in self.target.claims.items()}
        target = {**body["target"], "labels": list(self.target.labels), "claims": claims}
        return {**body, "target": target, "slices": list(self.slices), "images": images}

    @staticmethod
    def of(told: Mapping[str, Any]) -> Request:
        """What was told. Raises EvalError when the record is of another kind."""
        try:
            target, access = dict(told["target"]), dict(told["target"]["access"])
            for name in ("template", "card"):
                access[name] = None if access[name] is None else Path(access[name])
            claims = {name: (float(value), str(data)) for name, (value, data) in target["claims"].items()}
            facts = {"labels": tuple(target["labels"]), "claims": claims, "access": Access(**access)}
            asked = Target(**{**target, **facts})
            return Request(asked, told["data"], told["limit"], tuple(told["slices"]), dict(told["mapping"]))
        except (KeyError, TypeError, ValueError) as error:
            raise EvalError(
                f"the record does not say what was asked: {type(error).__name__} {error}"
            ) from error


@dataclass(frozen=True, slots=True)
class Recorded:
    """Every sample of a run with its answer, in the order of the data; iterate as often as needed.

    Attributes:
        journal: where it was recorded.
        data: in the classes of the model.
    """

    journal: Journal
    request: Request
    data: Dataset

    @property
    def target(self) -> Target:
        """What was asked."""
        return self.request.target

    @property
    def slices(self) -> Sequence[str]:
        """Names of what the images are told apart by."""
        return self.request.slices

    def __iter__(self) -> Iterator[Asked]:
        """Raises DatasetError when a file is no longer what was sent, EvalError for a damaged record."""
        return (asked for _, asked in self.rows())

    def rows(self, but: Container[int] = ()) -> Iterator[tuple[Row, Asked]]:
        """The same, each with its row of the journal; without the places `but`."""
        for row in self.journal.rows():
            if row.place in but:
                continue
            sample = self.data[row.place]
            now = (sample.id, digest_of(sample.file), truth_of(sample.expected))
            if now != (row.id, row.digest, row.truth):
                raise DatasetError(
                    f"{sample.id} of {self.data.name} is not what was sent as {row.id}: "
                    "the data changed since the run began. Put it back, or run anew"
                )
            try:
                answer = None if row.answer is None else unpack(row.answer)
            except ValueError as error:
                raise EvalError(f"{self.journal.path} is damaged at {row.id}: {error}; run anew") from error
            yield row, Asked(sample, answer, row.error, row.place, row.seconds)


def recorded(folder: Path) -> Recorded:
    """The run in a folder, finished or not.

    Raises:
        EvalError: there is none, or its data is no longer there.
    """
    with ExitStack() as undone:
        journal = undone.enter_context(Journal.open(folder / JOURNAL))
        request = Request.of(journal.told)
        data = request.dataset()
        if len(data) != journal.told["images"]:
            raise DatasetError(
                f"{request.data} had {journal.told['images']} images when the run began, now {len(data)}"
            )
        undone.pop_all()
        return Recorded(journal, request, data)

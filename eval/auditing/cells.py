"""What a model does under every corruption: one standing a cell, and the numbers over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np

from eval.auditing.headline import Headline
from eval.data.dataset import Dataset
from eval.errors import EvalError
from eval.metrics.base import Score
from eval.metrics.corruption import (
    ALEXNET,
    Reference,
    Worn,
    calibration_scores,
    corruption_scores,
    interval_of,
)
from eval.metrics.intervals import RESAMPLES, resample, wilson
from eval.metrics.ratios import defined
from eval.scoring import MOST_ERRORS
from models.card import TaskName
from models.results import Array

__all__ = ["CLEAN", "UNKEPT", "Cell", "Cells", "Corrupted", "Standing", "require_alexnets", "standing_of"]

IMAGENET = 1000  # classes


class Cell(NamedTuple):
    """A corruption at a severity; severity 0 is the picture as it is."""

    corruption: str
    severity: int

    def __str__(self) -> str:
        return f"{self.corruption}/{self.severity}" if self.severity else self.corruption


CLEAN = Cell("clean", 0)


class Cells(Protocol):
    """Where answers are kept, so that what is interrupted goes on inside a cell.

    Only answers are: an image that got none is asked about again by whoever goes on.
    """

    def kept(self, cell: str) -> Iterator[tuple[int, bytes]]:
        """Place in the data and what was kept of the answer, in the order of the data."""

    def keep(self, cell: str, rows: Iterable[tuple[int, bytes]]) -> None:
        """Add answers, in any order; committed when this returns."""


class _Unkept:
    """Keeps nothing."""

    def kept(self, cell: str) -> Iterator[tuple[int, bytes]]:
        return iter(())

    def keep(self, cell: str, rows: Iterable[tuple[int, bytes]]) -> None:
        pass


UNKEPT: Cells = _Unkept()


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What became of one cell.

    Attributes:
        score: the task's number, of the images that were answered; no value where too many were not.
        errors: images without an answer; they are in no score, and never right.
        why: the reason of the first of them in the order of the data.
        draws: float64 `(1 + R,)`: the number, then of each resample of the images; NaN = undefined.
        calibration: the calibration error alike; NaN where there is none.
    """

    cell: Cell
    score: Score
    errors: int
    why: str
    draws: Array
    calibration: Array


def standing_of(
    cell: Cell,
    kept: Mapping[int, bytes],
    errors: Mapping[int, str],
    data: Dataset,
    headline: Headline[Any, Any],
) -> Standing:
    """The numbers of a cell of which everything is known, in the order of the data.

    Args:
        kept: by place, what the headline needs of the answers.
        errors: by place, why there is none.
    """
    images, places = len(data), sorted(kept)
    draws = np.full((1 + RESAMPLES * (images > 1), 2), np.nan)
    if places and len(errors) <= MOST_ERRORS * images:
        truths = [data[place].expected for place in places] if headline.needs_truth else []
        values = headline.values([kept[place] for place in places], truths)
        # The same resamples for every cell and every version: they go in pairs.
        times = chain([np.ones((1, images), np.int64)], resample(images, len(draws) - 1, 0))
        numbers = np.concatenate([values(some[:, places]) for some in times])
        draws[:, : numbers.shape[1]] = numbers
    score = _score(cell, headline, draws[:, 0], len(places))
    why = errors[min(errors)] if errors else ""
    return Standing(cell, score, len(errors), why, draws[:, 0], draws[:, 1])


def _score(cell: Cell, headline: Headline[Any, Any], draws: Array, images: int) -> Score:
    """With Wilson's interval for a share of the images; else the bootstrap's."""
    place = f"{cell.corruption}.{cell.severity}" if cell.severity else f"clean_{headline.name}"
    value = defined(draws[0])
    if value is not None and headline.share:
        interval = wilson(round(value * images), images)
    else:
        interval = interval_of(draws, images)
    return Score(f"corruption.{place}", value, images, headline.rule, *interval)


def require_alexnets(
    model: str, task: TaskName, classes: int, names: Sequence[str], severities: Sequence[int]
) -> None:
    """Raises EvalError where AlexNet's errors are not of such a model, such corruptions, such severities."""
    if task != "classification" or classes != IMAGENET:
        raise EvalError(
            f"AlexNet's errors are of a classifier of ImageNet's {IMAGENET} classes; {model} does {task} of "
            f"{classes}: use --mce version:N"
        )
    if set(names) != set(ALEXNET) or set(severities) != set(Reference.alexnet().severities):
        raise EvalError(
            "AlexNet's errors are of all five severities of --corruptions common: ask for those, or use "
            "--mce version:N"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Corrupted:
    """A model without corruption and under it.

    Attributes:
        model: e.g. `digits/1`.
        clean: the picture as it is, sent the same way.
        worn: corruption -> standings, one for each of `severities`.
        calibration: definition of the calibration error; empty where the task has none.
    """

    model: str
    task: TaskName
    labels: tuple[str, ...]
    images: int
    seed: int
    severities: tuple[int, ...]
    clean: Standing
    worn: Mapping[str, tuple[Standing, ...]]
    calibration: str

    @property
    def standings(self) -> list[Standing]:
        """All of them, the clean one first."""
        return [self.clean, *(standing for row in self.worn.values() for standing in row)]

    @property
    def errors(self) -> int:
        """Answers that were not had, over all cells."""
        return sum(standing.errors for standing in self.standings)

    @property
    def valid(self) -> bool:
        """Whether every cell has a score: enough of each was answered."""
        return all(standing.score.value is not None for standing in self.standings)

    @property
    def performance(self) -> Worn:
        """The task's number by corruption and severity."""
        cells = {name: np.stack([s.draws for s in row]) for name, row in self.worn.items()}
        return Worn(self.clean.draws, cells, self.severities, self.images)

    def reference(self, told: str, other: Corrupted | None = None) -> Reference:
        """What `--mce` asks for: `alexnet`, or what another version did on the same pictures.

        Args:
            told: `alexnet`, or anything else with `other`.

        Raises:
            EvalError: AlexNet's errors are not of such a model or of such corruptions; the other version
                was measured on something else.
        """
        if other is None:
            if told != "alexnet":
                raise EvalError(f"the reference of mCE must be alexnet or version:N, got {told!r}")
            require_alexnets(self.model, self.task, len(self.labels), tuple(self.worn), self.severities)
            return Reference.alexnet()
        same = ("task", "labels", "images", "seed", "severities")
        if differ := [name for name in same if getattr(self, name) != getattr(other, name)]:
            raise EvalError(f"{other.model} and {self.model} must be measured alike, got other {differ[0]}")
        if list(other.worn) != list(self.worn):
            raise EvalError(f"{other.model} and {self.model} must be measured under the same corruptions")
        return Reference.version(other.model, other.performance)

    def scores(self, reference: Reference | None = None) -> list[Score]:
        """Every number with its interval, those over all cells first; see `eval.metrics.corruption`."""
        rule = self.clean.score.definition
        scores = corruption_scores(self.performance, rule, reference)
        scores += [standing.score for standing in self.standings]
        if self.calibration:
            cells = {name: np.stack([s.calibration for s in row]) for name, row in self.worn.items()}
            worn = Worn(self.clean.calibration, cells, self.severities, self.images)
            scores += calibration_scores(worn, self.calibration)
        return scores

"""What is seen of a check: every picture's answer in quiet, and what became of it under load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.collect import Asked
from eval.data.dataset import Dataset, Sample
from eval.parity.differences import Apart, apart, overall
from eval.scoring import MOST_ERRORS
from eval.target import Target
from eval.under_load.caching import Caching
from models.results import Result

__all__ = ["Counts", "Seen", "Watched", "counted", "largest"]


@dataclass(slots=True)
class Watched:
    """One picture.

    Attributes:
        quiet: its answer in quiet; None where it got none.
        loaded: its first answer under load.
        worst: how far an answer under load lay from the quiet one, at most; None before the first.
        answer: the one that lay so far.
        errors: asks under load that got no answer.
        why: the first of them.
    """

    sample: Sample
    quiet: Result | None
    loaded: Result | None = None
    worst: Apart | None = None
    answer: Result | None = None
    errors: int = 0
    why: str = ""

    def note(self, asked: Asked) -> None:
        """Add one answer under load."""
        if asked.answer is None:
            self.errors, self.why = self.errors + 1, self.why or asked.error
            return
        if self.loaded is None:
            self.loaded = asked.answer
        if self.quiet is not None:
            found = apart(asked.answer, self.quiet)
            if self.worst is None or found.amount > self.worst.amount:
                self.worst, self.answer = found, asked.answer


@dataclass(slots=True)
class Counts:
    """Pictures by what became of them; each is in one."""

    identical: int = 0
    within: int = 0
    different: int = 0
    errors: int = 0


def counted(pictures: Iterable[Watched], tolerance: float) -> Counts:
    """What differed once differs; else what got no answer once, in quiet or under load, is an error."""
    counts = Counts()
    for one in pictures:
        if one.worst is not None and one.worst.amount > tolerance:
            counts.different += 1
        elif one.errors or one.worst is None:
            counts.errors += 1
        elif one.worst.amount > 0:
            counts.within += 1
        else:
            counts.identical += 1
    return counts


def largest(pictures: Sequence[Watched]) -> float:
    """Over the pictures, each with its worst answer."""
    return overall([one.worst for one in pictures if one.worst is not None])


@dataclass(slots=True)
class Seen:
    """Everything a check has seen.

    Attributes:
        quiet_seconds, loaded_seconds: of each answered request.
        unsteady: pictures answered in another way when asked again in quiet.
        loaded_asks, loaded_errors: asks of ours under load, and how many of them got no answer.
        gone: why no more was asked; empty where all was.
        caching: what looking for a cache gave.
        load: what the load says of itself.
    """

    target: Target
    data: Dataset
    users: int
    tolerance: float
    pictures: list[Watched] = field(default_factory=list)
    quiet_seconds: list[float] = field(default_factory=list)
    loaded_seconds: list[float] = field(default_factory=list)
    unsteady: int = 0
    loaded_asks: int = 0
    loaded_errors: int = 0
    gone: str = ""
    caching: Caching | None = None
    load: Mapping[str, Any] = field(default_factory=dict)

    def in_quiet(self, asked: Asked) -> None:
        """The first answer to the next picture."""
        self.pictures.append(Watched(asked.sample, asked.answer, why=asked.error))
        if asked.answer is not None:
            self.quiet_seconds.append(asked.seconds)

    def again(self, asked: Asked) -> None:
        """The second answer in quiet."""
        first = self.pictures[asked.place].quiet
        if first is not None and asked.answer is not None:
            self.unsteady += apart(asked.answer, first).amount > self.tolerance

    def under_load(self, asked: Asked) -> None:
        """An answer under load."""
        self.loaded_asks += 1
        self.loaded_errors += asked.answer is None
        if asked.answer is not None:
            self.loaded_seconds.append(asked.seconds)
        self.pictures[asked.place].note(asked)

    @property
    def valid(self) -> bool:
        """Enough was answered, in quiet and under load, and there was a load."""
        silent = sum(one.quiet is None for one in self.pictures)
        few = silent <= MOST_ERRORS * len(self.pictures)
        return few and not self.gone and self.loaded_errors <= MOST_ERRORS * self.loaded_asks and self.felt

    @property
    def felt(self) -> bool:
        """The load sent something that was answered."""
        return int(self.load.get("requests", 0)) > int(self.load.get("failures", 0))

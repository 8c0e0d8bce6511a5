"""Where a wave writes down what it was told, so that it can be led again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeAlias

from eval.attacks.base import Verdict
from eval.attacks.results import Facts, Outcome
from models.results import Array, Result

__all__ = ["Book", "Columns", "Kept", "Turn"]

Turn: TypeAlias = tuple[int, Sequence[Verdict]]  # place of the picture, and what it was told in one turn
Columns: TypeAlias = tuple[Sequence[Facts], Sequence[Array], Sequence[Result | None]]


class Book(Protocol):
    """The record of one attack on pictures that are told apart by their places."""

    def ended(self) -> Collection[int]:
        """Places whose outcome is known; those that failed are not among them."""

    def turns(self, place: int) -> Iterable[Sequence[Verdict]]:
        """What the dialogue about one picture was told before, oldest first."""

    def note(self, turns: Sequence[Turn], outcomes: Sequence[tuple[int, Outcome]]) -> None:
        """Keep both for good, or none of them."""

    def columns(self) -> Columns:
        """All outcomes, in the order of the places."""


class Kept:
    """A book in memory: of outcomes only."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}

    def ended(self) -> Collection[int]:
        return self.outcomes.keys()

    def turns(self, place: int) -> Iterable[Sequence[Verdict]]:
        return ()

    def note(self, turns: Sequence[Turn], outcomes: Sequence[tuple[int, Outcome]]) -> None:
        self.outcomes.update(outcomes)

    def columns(self) -> Columns:
        rows = [self.outcomes[place] for place in sorted(self.outcomes)]
        return [row.facts for row in rows], [row.picture for row in rows], [row.answer for row in rows]

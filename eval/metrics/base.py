"""A metric is a state that can be updated, merged and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from models.results import Array

__all__ = ["Metric", "Resampled", "Score"]

Predicted = TypeVar("Predicted")
Expected = TypeVar("Expected")


@dataclass(frozen=True, slots=True)
class Score:
    """One number with what a reader needs to trust it.

    Attributes:
        name: dotted, e.g. `f1.macro` or `recall.class.7`; `_loss`/`_error` names are
            lower-is-better, all others higher-is-better.
        value: the number, or None where it is undefined (never 0 by default).
        support: how many samples (images, objects or pixels) it rests on.
        definition: id of the exact definition, e.g. `sklearn/f1_macro`, `coco/AP@[.50:.95]`.
        low, high: bounds of the 95 % confidence interval, or None where there is none.
    """

    name: str
    value: float | None
    support: int
    definition: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Resampled:
    """Scores as functions of how often each image counts; two versions are compared by it.

    Attributes:
        names: of the scores.
        values: int64 `(R, N)`, how often each image counts -> float64 `(R, len(names))`, NaN = undefined.
        hits: bool `(N,)` by name, of those scores that are nothing but a share of the images.
    """

    names: tuple[str, ...]
    values: Callable[[Array], Array]
    hits: Mapping[str, Array] = field(default_factory=dict)


class Metric(ABC, Generic[Predicted, Expected]):
    """Subclasses hold only sums or canonical lists, so `merge` is exact and order never matters."""

    @abstractmethod
    def update(self, predicted: Sequence[Predicted], expected: Sequence[Expected]) -> None:
        """Add one batch. Raises ValueError if the two differ in length."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add another worker's state to this one."""

    @abstractmethod
    def compute(self) -> list[Score]:
        """Read the scores. Changes nothing; safe to call at any time."""

    def resampled(self) -> Resampled | None:
        """The scores under other weights of the images, in the order they came; None where it has no such."""
        return None

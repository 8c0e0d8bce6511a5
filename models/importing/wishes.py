"""What a person says about a model they bring; whatever they leave out is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.card import TaskName
from models.labels import class_names, in_order

__all__ = ["Wishes", "labels_of", "numbers_of", "sides_of", "words_of"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """Fields of the card; None where nothing was said.

    Attributes:
        input: fields of `InputSpec` that were said.
        rules: fields of `Postprocess` that were said.
        size: (H, W) of the input.
        outputs: graph outputs in the family's order.
    """

    task: TaskName | None = None
    family: str | None = None
    name: str | None = None
    version: int | None = None
    labels: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    licence: str | None = None
    source: str | None = None
    description: str | None = None
    max_batch: int | None = None


def labels_of(told: str) -> tuple[str, ...]:
    """`cat,dog`, or the names in a file.

    Raises:
        ValueError: the file does not hold class names.
    """
    path = Path(told)
    if path.is_file() or ("," not in told and (path.suffix or len(path.parts) > 1)):
        return in_order(class_names(path))
    return words_of(told)


def words_of(told: str) -> tuple[str, ...]:
    """`a, b` -> `("a", "b")`."""
    words = tuple(word.strip() for word in told.split(","))
    if "" in words:
        raise ValueError(f"must be words with commas between, got {told!r}")
    return words


def numbers_of(told: str) -> tuple[float, ...]:
    """One number for all channels, or one for each, in 8-bit levels.

    Raises:
        ValueError: it is something else, or was meant for pixels from 0 to 1.
    """
    numbers = tuple(float(word) for word in told.split(","))
    if len(numbers) not in (1, 3):
        raise ValueError(f"must be one number or three, got {told!r}")
    if any(0 < number < 1 for number in numbers):
        meant = ",".join(f"{255 * number:.6g}" for number in numbers)
        raise ValueError(f"must be in levels from 0 to 255, got {told}; for pixels from 0 to 1 say {meant}")
    return numbers


def sides_of(told: str) -> tuple[int, int]:
    """`640` or `480x640`, height first."""
    sides = [int(side) for side in told.lower().split("x")]
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError(f"must be a side or HEIGHTxWIDTH, got {told!r}")
    return sides[0], sides[-1]

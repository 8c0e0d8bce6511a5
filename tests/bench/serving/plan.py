"""What every case is given: how long it may take, what is served and where servers may write."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from models.decoding import decode
from models.repository import Version, open_version
from models.results import Array
from tests.bench.serving.material import Material

__all__ = ["Plan", "scores_of"]

ROUNDS = 3


@dataclass
class Plan:
    """One run.

    Attributes:
        folder: temporary; everything is written below it.
        quick: short durations, for trying out; figures are rougher.
    """

    folder: Path
    quick: bool
    rounds: int = ROUNDS
    _count: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.material = Material(self.folder / "material")

    def seconds(self, full: float, quick: float) -> float:
        return quick if self.quick else full

    def home(self) -> Path:
        """A new folder for one server."""
        return self.folder / f"home-{next(self._count)}"


def scores_of(version: Version, picture: bytes | Array) -> Array:
    """Every class's score, computed here: the truth that answers are held against."""
    pixels = decode(picture) if isinstance(picture, bytes) else picture
    scores: Array = open_version(version).predict([pixels])[0].scores  # type: ignore[union-attr]
    return scores

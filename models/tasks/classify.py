"""Classification: one probability per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.card import ModelCard
from models.families.classification import CLASSIFICATION
from models.imaging import fit
from models.results import Array, Classification, Shape

__all__ = ["Classify"]


@dataclass(frozen=True, slots=True)
class Classify:
    """What the card's family reads, as probabilities."""

    card: ModelCard

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return fit(image, self.card.input, shape=shape, scale=scale)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Classification:
        return Classification(CLASSIFICATION[self.card.family].read(outputs, self.card))

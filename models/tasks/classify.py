"""Classification: one probability per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.card import ModelCard
from models.imaging import fit
from models.results import Array, Classification, Shape

__all__ = ["Classify"]


@dataclass(frozen=True, slots=True)
class Classify:
    """Families: `logits` (C,) before softmax; `probabilities` (C,) after it."""

    card: ModelCard

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return fit(image, self.card.input, shape=shape, scale=scale)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Classification:
        scores = outputs[0].reshape(-1)
        if self.card.family == "logits":
            odds = np.exp(scores.astype(np.float64) - scores.max())
            scores = odds / odds.sum()
        return Classification(scores.astype(np.float32))

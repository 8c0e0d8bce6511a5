"""RISE: many random masks at once, and which parts were shown when the score was high."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.results import Array
from models.saliency.dialogue import Dialogue, hidden, mean_colour
from models.saliency.targets import Target

__all__ = ["Rise"]

BATCH = 64


@dataclass(frozen=True, slots=True)
class Rise:
    """Petsiuk, Das and Saenko 2018, arXiv 1806.07421, algorithm of section 3; with `BoxTarget` it is D-RISE
    (Petsiuk et al. 2020, arXiv 2006.03204).

    Each mask is a small grid of cells, shown with probability `keep`, enlarged bilinearly and moved by a
    random part of a cell. A pixel is worth the mean score of the masks, weighted by how much each showed it.

    **Differences**: what is not shown has the picture's mean colour, and a picture is rounded to 8 bits
    before it is sent. The sum over masks is divided by each pixel's own sum of weights, where the paper
    divides by its expectation; so a score that never changes has a flat map. The grid has one cell more
    than `cells` along either side, so that a cell is the same part of the picture wherever it is moved.

    Attributes:
        queries: masks.
        cells: of the grid along the picture's sides.
        keep: probability that a cell is shown.
    """

    name: ClassVar[str] = "rise"
    queries: int = 1000
    cells: int = 7
    keep: float = 0.5

    def __post_init__(self) -> None:
        if self.queries < 1 or self.cells < 1 or not 0 < self.keep < 1:
            raise ValueError(
                "queries and cells must be at least 1 and keep between 0 and 1, "
                f"got {self.queries}, {self.cells} and {self.keep}"
            )

    def run(self, image: Array, target: Target, rng: np.random.Generator) -> Dialogue[Array]:
        """See `Method`."""
        height, width = image.shape[:2]
        behind = mean_colour(image)
        total, weights = np.zeros((2, height, width))
        left = self.queries
        while left:
            masks = [self._mask(height, width, rng) for _ in range(min(BATCH, left))]
            left -= len(masks)
            answers = yield [hidden(image, mask, behind) for mask in masks]
            for mask, answer in zip(masks, answers, strict=True):
                total += target.score(answer) * mask
                weights += mask
        # A pixel that no mask ever showed is as good as the others.
        shown = weights > 0
        flat = total[shown].sum() / weights[shown].sum() if shown.any() else 0.0
        means: Array = np.divide(total, weights, out=np.full_like(total, flat), where=shown)
        return means.astype(np.float32)

    def _mask(self, height: int, width: int, rng: np.random.Generator) -> Array:
        """float32 `(H, W)` in [0, 1]. Draws the grid, then how far it is moved down and right."""
        grid = (rng.random((self.cells + 1, self.cells + 1)) < self.keep).astype(np.float32)
        down = _weights(height, self.cells, rng)
        across = _weights(width, self.cells, rng)
        mask: Array = down @ grid @ across.T
        return mask


def _weights(side: int, cells: int, rng: np.random.Generator) -> Array:
    """float32 `(side, cells + 1)`: how much each cell counts for each pixel; rows sum to 1."""
    cell = math.ceil(side / cells)
    at = (np.arange(side) + int(rng.integers(cell)) + 0.5) / cell - 0.5
    apart = np.abs(at.clip(0, cells)[:, None] - np.arange(cells + 1))
    weights: Array = np.maximum(1 - apart, 0)
    return weights.astype(np.float32)

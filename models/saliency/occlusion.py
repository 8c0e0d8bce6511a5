"""Occlusion: cover one square after another and see what the answer loses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.results import Array, Shape
from models.saliency.dialogue import Dialogue, mean_colour
from models.saliency.targets import Target

__all__ = ["Occlusion", "spread"]

BATCH = 64


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Zeiler and Fergus 2013, arXiv 1311.2901, section 4.2.

    The picture is cut into cells; a window of `window` x `window` of them slides a cell at a time. A cell
    is worth what is lost when it is covered: the score of the whole picture less the mean score over all
    windows on it.

    **Differences**: windows are covered with the picture's mean colour, not grey; a cell is the mean over
    all windows that cover it, where the paper shows each position's own value.

    Attributes:
        positions: of the window along either side; their square is what is asked.
        window: cells a window spans along either side.
    """

    name: ClassVar[str] = "occlusion"
    positions: int = 7
    window: int = 2

    def __post_init__(self) -> None:
        if self.positions < 1 or self.window < 1:
            raise ValueError(
                f"positions and window must be at least 1, got {self.positions} and {self.window}"
            )

    @classmethod
    def within(cls, queries: int) -> Occlusion:
        """With as many positions as so many queries pay for."""
        return cls(math.isqrt(max(0, queries)))

    @property
    def queries(self) -> int:
        """Pictures asked about, at most; fewer for pictures of a few pixels."""
        return self.positions**2

    def run(self, image: Array, target: Target, rng: np.random.Generator) -> Dialogue[Array]:
        """See `Method`. Draws nothing. Every cell of the map is constant; see `cells`."""
        shape = (image.shape[0], image.shape[1])
        values = yield from self.grid(image, target)
        return spread(values, shape)

    def cells(self, shape: Shape) -> tuple[Array, Array]:
        """Where the cells of a picture of (H, W) begin and end: rows int64 `(R + 1,)`, columns `(C + 1,)`."""
        down, across = (_edges(side, self.positions + self.window - 1) for side in shape)
        return down, across

    def grid(self, image: Array, target: Target) -> Dialogue[Array]:
        """As `run`, but one value a cell: float32 `(R, C)`."""
        down, across = self.cells((image.shape[0], image.shape[1]))
        windows = [
            (slice(top, top + self.window), slice(left, left + self.window))
            for top in range(max(1, len(down) - self.window))
            for left in range(max(1, len(across) - self.window))
        ]
        behind = mean_colour(image)
        scores: list[float] = []
        for start in range(0, len(windows), BATCH):
            asked = []
            for rows, cols in windows[start : start + BATCH]:
                covered = image.copy()
                covered[_span(down, rows), _span(across, cols)] = behind
                asked.append(covered)
            answers = yield asked
            scores += [target.score(answer) for answer in answers]
        lost, covers = np.zeros((2, len(down) - 1, len(across) - 1))
        for (rows, cols), score in zip(windows, scores, strict=True):
            lost[rows, cols] += target.clean - score
            covers[rows, cols] += 1
        values: Array = lost / covers
        return values.astype(np.float32)


def spread(values: Array, shape: Shape) -> Array:
    """One value a cell `(R, C)` as a map `(H, W)`: cell i of R begins at row floor(i H / R), and so on."""
    rows, cols = (
        ((np.arange(side) + 1) * cells - 1) // side for side, cells in zip(shape, values.shape, strict=True)
    )
    laid: Array = values[rows][:, cols]
    return laid


def _edges(side: int, cells: int) -> Array:
    """Where equal cells begin and end, in whole pixels; no more cells than pixels."""
    count = min(side, cells)
    edges: Array = np.arange(count + 1) * side // count
    return edges


def _span(edges: Array, cells: slice) -> slice:
    return slice(int(edges[cells.start]), int(edges[min(cells.stop, len(edges) - 1)]))

"""Is a map right? Take away what it calls important, or show only that, and watch the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.results import Array
from models.saliency.dialogue import Dialogue, hidden, mean_colour
from models.saliency.targets import Target

__all__ = ["Curve", "area", "blurred"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Deletion and insertion, Petsiuk, Das and Saenko 2018, arXiv 1806.07421, section 4.1.

    Pixels go from the picture, or come to a blurred one, in the order of the map, equal parts at a time.
    A good map has a low area under deletion and a high one under insertion.

    **Differences**: deleted pixels get the picture's mean colour, not zeros; the blur is three box blurs
    (as wide as an eighth of the shorter side), not a Gaussian of 11 pixels; pixels of equal value keep the
    picture's order, row by row.

    Attributes:
        steps: parts; the curve has one point more.
    """

    kind: Literal["deletion", "insertion"]
    steps: int = 16

    def run(self, image: Array, saliency: Array, target: Target) -> Dialogue[list[tuple[float, float]]]:
        """Points (share of the pixels changed, score).

        Args:
            image: uint8 RGB `(H, W, 3)`.
            saliency: float `(H, W)`; the highest go first.
        """
        pixels = saliency.size
        order = np.argsort(-saliency.ravel(), kind="stable")
        rank: Array = np.empty_like(order)
        rank[order] = np.arange(pixels)
        rank = rank.reshape(saliency.shape)
        behind = mean_colour(image) if self.kind == "deletion" else blurred(image)
        counts = [pixels * step // self.steps for step in range(self.steps + 1)]
        first = self.kind == "insertion"
        answers = yield [hidden(image, ((rank < n) == first).astype(np.float32), behind) for n in counts]
        return [(n / pixels, target.score(answer)) for n, answer in zip(counts, answers, strict=True)]


def area(points: Sequence[tuple[float, float]]) -> float:
    """Area under a curve by trapezoids; in [0, 1] where both coordinates are."""
    x, y = np.array(points).T
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def blurred(image: Array) -> Array:
    """uint8 `(H, W, 3)`: three box blurs, the edge repeated beyond the edge."""
    radius = max(1, min(image.shape[:2]) // 16)
    soft = image.astype(np.float32)
    for _ in range(3):
        for axis in (0, 1):
            pad = [(0, 0)] * 3
            pad[axis] = (radius + 1, radius)
            sums = np.cumsum(np.pad(soft, pad, mode="edge"), axis=axis, dtype=np.float64)
            size = soft.shape[axis]
            high = np.take(sums, np.arange(2 * radius + 1, 2 * radius + 1 + size), axis=axis)
            low = np.take(sums, np.arange(size), axis=axis)
            soft = ((high - low) / (2 * radius + 1)).astype(np.float32)
    return np.rint(soft).clip(0, 255).astype(np.uint8)

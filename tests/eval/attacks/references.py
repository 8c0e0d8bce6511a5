"""Square Attack again, slowly and in floating point, as its paper and its authors' code have it.

Written apart from `eval.attacks`: square pictures, values that are not rounded, loops instead of
closed forms. Each function asks `margin` until it is below 0 and gives the questions it took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from models.results import Array, Classification

Margin = Callable[[Array], float]


class Bent:
    """A random net of two layers, not linear and not monotone, that sees fields of 4 x 4 pixels."""

    def __init__(self, shape: tuple[int, int, int], *, classes: int = 4, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        height, width, channels = shape
        coarse = rng.normal(0, 1, (24, -(-height // 4), -(-width // 4), channels))
        fields = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width].reshape(24, -1)
        self.first = 2 / 255 / np.sqrt(fields.shape[1]) * fields
        self.second = rng.normal(0, 1.5, (classes, 24))

    def logits(self, image: Array) -> Array:
        told: Array = self.second @ np.sin(4 * self.first @ (image.ravel().astype(np.float64) - 127))
        return told

    def answer(self, image: Array) -> Classification:
        odds = np.exp(self.logits(image))
        return Classification((odds / odds.sum()).astype(np.float32))

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return [self.answer(image) for image in images]

    def margin_of(self, label: int) -> Margin:
        def margin(image: Array) -> float:
            logits = self.logits(image)
            own = float(logits[label])
            logits[label] = -np.inf
            return own - float(logits.max())

        return margin


def share(start: float, step: int, steps: int) -> float:
    """Section 3.2: halved at these iterations out of 10,000."""
    at = step / steps * 10_000
    for halvings, until in enumerate((10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)):
        if at < until + 1:
            return start / 2.0**halvings
    return start / 512


def square_linf(x: Array, margin: Margin, radius: float, budget: int, start: float, seed: int) -> int | None:
    """Algorithms 1 and 2. Questions asked; None without success."""
    rng = np.random.default_rng(seed)
    size, _, channels = x.shape
    x = x.astype(np.float64)
    best = np.clip(x + rng.choice([-radius, radius], (1, size, channels)), 0, 255)
    least, asked = margin(best), 1
    while least >= 0 and asked < budget:
        side = int(min(max(round(np.sqrt(share(start, asked - 1, budget) * size * size)), 1), size - 1))
        r, s = rng.integers(0, size - side + 1, 2)
        tried = best.copy()
        while np.abs(tried - best).max() < 1e-7:
            for channel in range(channels):
                move = rng.choice([-radius, radius])
                tried[r : r + side, s : s + side, channel] = np.clip(
                    x[r : r + side, s : s + side, channel] + move, 0, 255
                )
        asked += 1
        if (reached := margin(tried)) < least:
            best, least = tried, reached
    return asked if least < 0 else None


@cache
def hill(height: int, width: int) -> Array:
    """Nested rectangles about the middle, each adding less."""
    delta = np.zeros((height, width))
    row, col = height // 2, width // 2
    for ring in range(max(height // 2, width // 2) + 1):
        for i in range(height):
            for j in range(width):
                if abs(i - row) <= ring and abs(j - col) <= ring:
                    delta[i, j] += 1 / (ring + 1) ** 2
    return delta / np.linalg.norm(delta)


def eta(size: int, rng: np.random.Generator | None = None) -> Array:
    """Two hills, one of them upside down; lying or upright."""
    delta = np.zeros((size, size))
    if size > 1:
        delta[: size // 2] = hill(size // 2, size)
    delta[size // 2 :] = -hill(size - size // 2, size)
    delta /= np.linalg.norm(delta)
    return delta.T if rng is not None and rng.random() > 0.5 else delta


def moved_l2(delta: Array, places: Array, shape: Array, signs: Array, radius: float) -> Array:
    """Algorithm 3, lines 4 to 13: the change before it is stretched to the radius and cut at 0 and 255.

    Args:
        places: row and column of the window that gains, then of the one that loses.
    """
    size, side, (channels, moved) = delta.shape[:2], shape.shape, (delta.shape[2], delta.copy())
    one, two = np.zeros(size, bool), np.zeros(size, bool)
    for window, (row, col) in ((one, places[0]), (two, places[1])):
        window[row : row + side[0], col : col + side[1]] = True
    unused = max(radius**2 - np.linalg.norm(delta) ** 2, 0)
    for channel in range(channels):
        nu = moved[..., channel]
        available = np.sqrt(np.linalg.norm(nu[one | two]) ** 2 + unused / channels)
        old = nu[one].reshape(side)
        new = signs[channel] * shape + old / (1e-10 + np.linalg.norm(old))
        nu[two] = 0
        nu[one] = (new / np.linalg.norm(new) * available).ravel()
    return moved


def square_l2(x: Array, margin: Margin, radius: float, budget: int, start: float, seed: int) -> int | None:
    """Algorithms 1 and 3. Questions asked; None without success."""
    rng = np.random.default_rng(seed)
    size, _, channels = x.shape
    x, first = x.astype(np.float64), np.zeros(x.shape)
    tile = size // 5
    for r in range(5):
        for s in range(5):
            shape, top, left = eta(tile, rng), r * tile + size % 5 // 2, s * tile + size % 5 // 2
            for channel in range(channels):
                first[top : top + tile, left : left + tile, channel] = shape * rng.choice([-1, 1])
    best = np.clip(x + first / np.linalg.norm(first) * radius, 0, 255)
    least, asked = margin(best), 1
    while least >= 0 and asked < budget:
        side = max(round(np.sqrt(share(start, asked - 1, budget) * size * size)), 3)
        side += side % 2 == 0
        places = rng.integers(0, size - side + 1, (2, 2))
        tried = moved_l2(best - x, places, eta(side, rng), rng.choice([-1, 1], channels), radius)
        tried = np.clip(x + tried / np.linalg.norm(tried) * radius, 0, 255)
        asked += 1
        if (reached := margin(tried)) < least:
            best, least = tried, reached
    return asked if least < 0 else None

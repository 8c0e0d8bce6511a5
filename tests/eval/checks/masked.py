"""Endpoints that look more robust than the model behind them, each in one way that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.results import Array, Classification
from tests.doubles import LinearEndpoint

__all__ = ["CONTROLS", "Cached", "Linear", "Noisy", "Quantised", "Saturated", "Truncated", "pictures"]


class Masked:
    """Tells what another endpoint says, changed.

    Attributes:
        inner: anything with `predict`; a live endpoint too.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        answers = await self.inner.predict(images)
        return [Classification(self.told(a.scores.astype(np.float64)).astype(np.float32)) for a in answers]

    def told(self, scores: Array) -> Array:
        """float64 `(C,)`, of what the model says."""
        raise NotImplementedError


class Quantised(Masked):
    """Scores of few decimals."""

    def __init__(self, inner: Any, decimals: int) -> None:
        super().__init__(inner)
        self.decimals = decimals

    def told(self, scores: Array) -> Array:
        return scores.round(self.decimals)


class Saturated(Masked):
    """Logits times 1,000: 1 for one class and 0 for the others."""

    def told(self, scores: Array) -> Array:
        logits = 1000 * np.log(np.maximum(scores, 1e-38))
        odds = np.exp(logits - logits.max())
        shares: Array = odds / odds.sum()
        return shares


class Noisy(Masked):
    """Scores with normal noise, drawn anew for every answer."""

    def __init__(self, inner: Any, spread: float = 0.02, seed: int = 0) -> None:
        super().__init__(inner)
        self.spread, self.rng = spread, np.random.default_rng(seed)

    def told(self, scores: Array) -> Array:
        noisy = np.maximum(scores + self.rng.normal(0, self.spread, len(scores)), 1e-6)
        shares: Array = noisy / noisy.sum()
        return shares


class Truncated(Masked):
    """The highest scores only; the others are 0."""

    def __init__(self, inner: Any, kept: int = 1) -> None:
        super().__init__(inner)
        self.kept = kept

    def told(self, scores: Array) -> Array:
        kept = np.argsort(-scores, kind="stable")[: self.kept]
        cut = np.zeros_like(scores)
        cut[kept] = scores[kept]
        return cut


class Cached:
    """Answers a picture as one of the last that lies within a level of it everywhere; all of one size."""

    def __init__(self, inner: Any, kept: int = 64) -> None:
        self.inner, self.kept = inner, kept
        self.pictures: Array = np.zeros(0)
        self.answers: list[Classification] = []
        self.asked = 0

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return [await self._one(image) for image in images]

    async def _one(self, image: Array) -> Classification:
        flat = image.astype(np.int16).ravel()
        if not self.answers:
            self.pictures = np.full((self.kept, flat.size), -9, np.int16)
        near = np.flatnonzero((np.abs(self.pictures - flat) <= 1).all(axis=1))
        if len(near):
            return self.answers[int(near[0])]
        answer: Classification = (await self.inner.predict([image]))[0]
        self.pictures[self.asked % self.kept] = flat
        self.answers[self.asked % self.kept : self.asked % self.kept + 1] = [answer]
        self.asked += 1
        return answer


Made = Callable[[Any], Any]

# What hides how weak it is -> (wrapped around any endpoint of a classifier, flags that must be raised).
CONTROLS: Mapping[str, tuple[Made, frozenset[str]]] = {
    "two decimals": (lambda inner: Quantised(inner, 2), frozenset({"rounded_scores"})),
    "one decimal": (lambda inner: Quantised(inner, 1), frozenset({"rounded_scores"})),
    "saturated": (Saturated, frozenset({"saturated_scores"})),
    "noisy": (Noisy, frozenset({"not_deterministic"})),
    "noisier": (lambda inner: Noisy(inner, 0.05), frozenset({"not_deterministic"})),
    "cached": (Cached, frozenset({"cached"})),
    "top score alone": (Truncated, frozenset({"truncated_scores"})),
}


class Linear(LinearEndpoint):
    """Four classes by a linear map of the levels: how far each picture is from a boundary is known."""

    def __init__(self, shape: tuple[int, int, int] = (8, 8, 3), classes: int = 4) -> None:
        super().__init__(shape, classes, gain=0.004)
        self.shape = shape

    def answer(self, image: Array) -> Classification:
        logits = self.weight @ (image.ravel().astype(np.float64) - 127.5)
        odds = np.exp(logits - logits.max())
        return Classification((odds / odds.sum()).astype(np.float32))

    def radius(self, image: Array, label: int) -> float:
        """The smallest change in L-infinity that can fool, in levels, by Hoelder's inequality."""
        apart = np.delete(self.weight[label] - self.weight, label, axis=0)
        margins = apart @ (image.ravel().astype(np.float64) - 127.5)
        return float((margins / np.abs(apart).sum(axis=1)).min())


def pictures(
    endpoint: Linear, count: int, low: float, high: float, seed: int = 0
) -> tuple[list[Array], list[int]]:
    """Pictures and their classes, whose radii lie evenly between two, in levels."""
    rng, classes = np.random.default_rng(seed), len(endpoint.weight)
    images, labels = [], []
    for wanted in np.linspace(low, high, count):
        label = int(rng.integers(classes))
        noise = rng.normal(0, 12, endpoint.shape)
        toward = np.sign(endpoint.weight[label] - endpoint.weight.mean(axis=0)).reshape(endpoint.shape)
        moves = (np.clip(np.rint(127.5 + noise + step * toward), 0, 255) for step in np.arange(0, 90, 0.25))
        image = next(m for m in moves if endpoint.radius(m, label) >= wanted).astype(np.uint8)
        images.append(image)
        labels.append(label)
    return images, labels

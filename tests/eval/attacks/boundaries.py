"""Endpoints whose boundary is known, and HopSkipJump as it was published, to hold attacks against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eval.attacks.base import Attack, Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult
from eval.attacks.wave import Limits, attack_all
from models.results import Array, Classification

__all__ = ["HalfSpace", "Hills", "LabelOnly", "find", "published"]


class LabelOnly:
    """Tells another endpoint's top label with one fixed score, and nothing else."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        answers = await self.inner.predict(images)
        told = np.full((4, 4), 0.1, np.float32) + 0.6 * np.eye(4, dtype=np.float32)
        return [Classification(told[answer.label]) for answer in answers]


class HalfSpace:
    """Two classes split by a plane that lies `gap` levels from one picture, in L-infinity.

    The picture keeps far from 0 and 255, so that no clipping shortens a way to the plane.
    """

    def __init__(self, shape: tuple[int, int, int], gap: float, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.weight = rng.normal(0, 1, shape)
        self.image = rng.integers(90, 166, shape, dtype=np.uint8)
        self.linf = gap
        self.l2 = gap * float(np.abs(self.weight).sum() / np.linalg.norm(self.weight))
        self.offset = float((self.weight * self.image).sum() + gap * np.abs(self.weight).sum())
        self.asked: list[Array] = []

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.asked += images
        sides = [float((self.weight * image).sum()) >= self.offset for image in images]
        return [Classification(np.array([1 - side, side], np.float32)) for side in sides]


class Hills:
    """Four classes by a random network with one bent hidden layer; takes real levels too."""

    def __init__(self, shape: tuple[int, int, int], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        size = int(np.prod(shape))
        self.first = rng.normal(0, 3 / np.sqrt(size), (24, size))
        self.second = rng.normal(0, 1, (4, 24))

    def labels(self, images: Array) -> Array:
        """`(N, ...)` levels, whole or not -> int `(N,)`."""
        hidden = np.tanh((images.reshape(len(images), -1) / 127.5 - 1) @ self.first.T)
        best: Array = (hidden @ self.second.T).argmax(axis=1)
        return best

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        found = self.labels(np.stack(images).astype(np.float64))
        return [Classification(np.eye(4, dtype=np.float32)[label]) for label in found]


def find(
    attack: Attack, endpoint: Any, images: list[Array], labels: list[int], threat: Threat, **limits: Any
) -> AttackResult:
    """One attack on all images."""
    return asyncio.run(
        attack_all(
            attack, endpoint, images, untargeted(labels), threat=threat, limits=Limits(**limits), seed=0
        )
    )


def published(
    labels: Callable[[Array], Array],
    image: Array,
    label: int,
    budget: int,
    rng: np.random.Generator,
    flat: bool,
) -> Array | None:
    """HopSkipJump of arXiv 1904.02144, algorithm 2, with its authors' settings, on real levels.

    theta = 1 / d^1.5 (L2) or 1 / d^2 (L-infinity) of the distance, 100 sqrt(t) probes, a first radius
    of a tenth of the range, geometric step search from distance / sqrt(t).

    Returns:
        the last point, not rounded; None if 100 draws of noise give no start.
    """
    x, size, spent = image.astype(np.float64), image.size, 0
    theta = size**-2.0 if flat else size**-1.5

    def wrong(points: Array) -> Array:
        nonlocal spent
        spent += len(points)
        answer: Array = labels(np.clip(points, 0, 255)) != label
        return answer

    def length(change: Array) -> float:
        return float(np.abs(change).max() if flat else np.linalg.norm(change))

    def blend(point: Array, share: float) -> Array:
        reach = share * length(point - x)
        mixed: Array = np.clip(point, x - reach, x + reach) if flat else (1 - share) * x + share * point
        return mixed

    def search(point: Array) -> Array:
        low, high = 0.0, 1.0
        while high - low > max(theta, 1e-5) and spent < budget:
            middle = (low + high) / 2
            low, high = (low, middle) if wrong(blend(point, middle)[None])[0] else (middle, high)
        return blend(point, high)

    for _ in range(100):
        point = rng.uniform(0, 255, x.shape)
        if wrong(point[None])[0]:
            break
    else:
        return None
    point, step = search(point), 0
    while spent < budget:
        step += 1
        distance = length(point - x)
        radius = 25.5 if step == 1 else (size if flat else np.sqrt(size)) * theta * distance
        count = min(int(100 * np.sqrt(step)), budget - spent)
        noise = rng.uniform(-1, 1, (count, *x.shape)) if flat else rng.normal(size=(count, *x.shape))
        noise /= np.sqrt((noise**2).sum(axis=(1, 2, 3), keepdims=True))
        noise = (np.clip(point + radius * noise, 0, 255) - point) / radius
        signs = np.where(wrong(point + radius * noise), 1.0, -1.0)
        weights = signs if abs(signs.mean()) == 1 else signs - signs.mean()
        normal = np.tensordot(weights, noise, 1)
        unit = np.sign(normal) if flat else normal / np.linalg.norm(normal)
        stride = distance / np.sqrt(step)
        while spent < budget and not wrong((point + stride * unit)[None])[0]:
            stride /= 2
        if spent < budget:
            point = search(np.clip(point + stride * unit, 0, 255))
    return point

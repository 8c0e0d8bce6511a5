"""Models whose nearest boundary is known: how close attacks by the label come, and that none comes closer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.hopskipjump import HopSkipJump
from eval.attacks.rays import RayS
from eval.attacks.results import AttackResult
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from models.results import Array, Classification

__all__ = ["Linear", "measure"]

SHAPES = ((6, 7, 3), (8, 8, 3), (5, 12, 3))
# Pictures of each shape, and how far their boundary may be in L-infinity.
COUNT, CLASSES, NEAR, FAR = 6, 2, 3.0, 60.0
BUDGET = {"rays": 10_000, "hopskipjump": 20_000}
SHORT, BELOW = 300, 0.99  # queries of every attack inside 99 % of the smallest change
LEVEL = 1.0


class Linear:
    """Softmax of a random linear map to two classes; every picture's smallest change is known.

    It is (z_0 - z_1) / ||w_0 - w_1||, in the dual norm: by Hoelder's inequality no smaller change ties the
    two. Pictures keep so far from 0 and 255 that no clipping is in the way. With more classes a search by
    the label may end at a boundary to another class than the nearest, which is no error of its walk.
    """

    def __init__(self, shape: tuple[int, int, int], seed: int) -> None:
        self.weight = np.random.default_rng(seed).normal(0, 0.02, (CLASSES, int(np.prod(shape))))

    def logits(self, images: Sequence[Array]) -> Array:
        flat = np.stack([image.reshape(-1) for image in images]).astype(np.float64) - 127.5
        told: Array = flat @ self.weight.T
        return told

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        logits = self.logits(images)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        return [Classification(row.astype(np.float32)) for row in odds]

    def smallest(self, image: Array, norm: str) -> float:
        away = self.weight[0] - self.weight[1]
        length = np.abs(away).sum() if norm == "linf" else np.sqrt((away**2).sum())
        logits = self.logits([image])[0]
        return float(abs(logits[0] - logits[1]) / length)


def _pictures(endpoint: Linear, shape: tuple[int, int, int], seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    found: list[Array] = []
    while len(found) < COUNT:
        image = rng.integers(90, 166, shape, dtype=np.uint8)
        if NEAR <= endpoint.smallest(image, "linf") <= FAR:
            found.append(image)
    return found


def _run(endpoint: Linear, name: str, images: Sequence[Array], threat: Threat, budget: int) -> AttackResult:
    labels = [int(label) for label in endpoint.logits(images).argmax(axis=1)]
    told = attack_all(
        ATTACKS[name], endpoint, images, untargeted(labels), threat=threat, limits=Limits(budget), seed=1
    )
    return asyncio.run(told)


def _too_near(endpoint: Linear, images: Sequence[Array], norm: Literal["linf", "l2"]) -> int:
    """Successes of any attack within 99 % of the smallest change, which there can be none of."""
    count = 0
    for image in images[:2]:
        threat = Threat(norm, BELOW * endpoint.smallest(image, norm))
        for name, attack in ATTACKS.items():
            if norm in attack.norms:
                result = _run(endpoint, name, [image], threat, SHORT)
                count += int(result.claimed.sum()) + int(result.fooled.sum())
    return count


def measure() -> dict[str, float | int | None]:
    """`linear.*`: the worst relative error of what lies more than a level beyond the smallest change.

    In whole levels the smallest in L-infinity is the next whole number above the closed form, exactly.
    `impossible_successes` are those below the closed form, of every attack there is.
    """
    worst: dict[str, float] = {}
    impossible = 0
    for number, shape in enumerate(SHAPES):
        endpoint = Linear(shape, number)
        images = _pictures(endpoint, shape, number)
        for name, norms in ((RayS.name, ("linf",)), (HopSkipJump.name, ("linf", "l2"))):
            for norm in cast("tuple[Literal['linf', 'l2'], ...]", norms):
                least = np.array([endpoint.smallest(image, norm) for image in images])
                result = _run(endpoint, name, images, Threat(norm, 255 * 20), BUDGET[name])
                found = np.where(result.reached, result.distance, np.inf)
                whole = np.ceil(least) if norm == "linf" else least
                over = float(np.where(found - whole > LEVEL, found / whole - 1, 0).max())
                worst[f"{name}.{norm}"] = max(worst.get(f"{name}.{norm}", 0.0), over)
                impossible += int((found < least).sum())
                print(
                    f"{name:12} {norm:5} {shape!s:11} median error "
                    f"{np.median(found / whole - 1):.3f}, largest {(found - whole).max():.2f} levels; "
                    f"where more than a level {over:.4f}"
                )
        impossible += _too_near(endpoint, images, "linf") + _too_near(endpoint, images, "l2")
    return {
        "linear.worst_relative_error": max(worst.values()),
        **{f"linear.worst_relative_error.{name}": value for name, value in worst.items()},
        "linear.impossible_successes": impossible,
    }

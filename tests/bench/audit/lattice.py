"""HopSkipJump on whole levels against its published form, which is rounded when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.hopskipjump import HopSkipJump
from eval.attacks.wave import Limits, attack_all
from eval.served import ROOT
from models.card import ModelCard
from models.digits import digits
from models.results import Array, Classification
from models.runtime import OnnxRunner
from tests.eval.attacks.boundaries import published

__all__ = ["measure"]

ZOO = ROOT / "models" / "zoo" / "digits" / "1"
IMAGES, BUDGET, CHANNELS = 100, 1000, 3


class Local:
    """digits/1 in this process; it takes levels that are not whole, too."""

    def __init__(self) -> None:
        spec = ModelCard.read(ZOO / "card.json").input
        if spec.channels != "L" or spec.mean != (0.0,):
            raise RuntimeError("digits/1 must take grey levels and divide them")
        self.runner = OnnxRunner((ZOO / "model.onnx").read_bytes(), outputs=["logits"])
        self.scale = spec.std[0]

    def logits(self, grey: Array) -> Array:
        """Of `(N, 28, 28)` levels."""
        (told,) = self.runner.run((grey[:, None] / self.scale).astype(np.float32))
        return told

    def labels(self, grey: Array) -> Array:
        """Of `(N, 28, 28, 1)` levels, whole or not."""
        best: Array = self.logits(grey[..., 0]).argmax(axis=1)
        return best

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        logits = self.logits(np.stack(images)[..., 0].astype(np.float64))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return [Classification((row / row.sum()).astype(np.float32)) for row in odds]


def _theirs(model: Local, images: Sequence[Array], labels: Sequence[int], norm: str) -> Array:
    """Distances once rounded, asked about again on whole levels; infinite where that fools no more."""
    found = np.full(len(images), np.inf)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        grey, rng = image[..., :1], np.random.default_rng(i)
        point = published(model.labels, grey, label, BUDGET, rng, norm == "linf")
        if point is None:
            continue
        rounded = np.clip(np.rint(point), 0, 255)
        if model.labels(rounded[None])[0] != label:
            change = np.abs(rounded - grey)
            found[i] = change.max() if norm == "linf" else np.sqrt(CHANNELS * (change**2).sum())
    return found


def _compare(
    model: Local, images: Sequence[Array], labels: Sequence[int], norm: Literal["linf", "l2"]
) -> float:
    threat = Threat(norm, 255 if norm == "linf" else 1e5)
    attack = HopSkipJump()
    result = asyncio.run(
        attack_all(attack, model, images, untargeted(labels), threat=threat, limits=Limits(BUDGET), seed=0)
    )
    ours = np.where(result.reached, result.distance, np.inf)
    theirs = _theirs(model, images, labels, norm)
    print(
        f"{norm:5} medians {np.median(ours):7.1f} and {np.median(theirs):7.1f}; ours smaller on "
        f"{int((ours < theirs).sum())}, larger on {int((ours > theirs).sum())} of {len(images)}; "
        f"rounded away: {int(np.isinf(theirs).sum())}, of ours {int(np.isinf(ours).sum())}"
    )
    return float(np.median(ours) / np.median(theirs))


def measure() -> dict[str, float | int | None]:
    """`hopskipjump.lattice_vs_rounded`: median change that fools when asked again, ours over theirs.

    digits/1 in this process, a thousand queries an image. The published form asks about grey levels that
    are not whole, which no endpoint takes; it works on one channel, ours sends three that are equal.
    0 where over half of theirs do not fool once rounded.
    """
    model = Local()
    pictures, truth = digits("test")
    images = [np.repeat(p.reshape(28, 28, -1)[..., :1], CHANNELS, axis=2) for p in pictures[: 2 * IMAGES]]
    said = model.labels(np.stack(images)[..., :1].astype(np.float64))
    right = [i for i, label in enumerate(said) if label == truth[i]][:IMAGES]
    images, labels = [images[i] for i in right], [int(truth[i]) for i in right]
    told = {norm: _compare(model, images, labels, norm) for norm in ("l2", "linf")}
    return {
        "hopskipjump.images": len(images),
        "hopskipjump.lattice_vs_rounded": max(told.values()),
        **{f"hopskipjump.lattice_vs_rounded.{norm}": value for norm, value in told.items()},
    }

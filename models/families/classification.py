"""Classification: probabilities of one picture, float32 `(C,)`, out of what a classifier ends in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.card import ModelCard
from models.families.family import FLOATS, Family
from models.results import Array

__all__ = ["CLASSIFICATION"]


def _softmax(outputs: Sequence[Array], _: ModelCard) -> Array:
    logits = outputs[0].reshape(-1)
    odds = np.exp(logits.astype(np.float64) - logits.max())
    scores: Array = odds / odds.sum()
    return scores.astype(np.float32)


def _probabilities(outputs: Sequence[Array], _: ModelCard) -> Array:
    """Levels of a quantised softmax are divided by their sum; where it rounded all to 0, all are equal."""
    scores = outputs[0].reshape(-1)
    if scores.dtype.kind == "u":
        total = int(scores.sum(dtype=np.int64))
        scores = scores / total if total else np.full(len(scores), 1 / len(scores))
    return scores.astype(np.float32)


# Global pooling often leaves axes of one pixel behind.
_SHAPES = (("C",), ("C 1",), ("1 C",), ("C 1 1",), ("1 1 C",))
CLASSIFICATION: Mapping[str, Family[Array]] = {
    "logits": Family(
        "logits",
        "classification",
        "one output (N, C) of floats: class scores before softmax",
        _SHAPES,
        (FLOATS,),
        _softmax,
    ),
    "probabilities": Family(
        "probabilities",
        "classification",
        "one output (N, C): class scores after softmax, floats or the unsigned levels of a quantised one",
        _SHAPES,
        ("fu",),
        _probabilities,
    ),
}

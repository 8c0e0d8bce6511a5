"""What a family of detectors finds before suppression and the way back, and how the best are picked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.card import ModelCard, Postprocess
from models.imaging import Placement
from models.results import Array, Shape

__all__ = ["Found", "Masks", "cornered", "selected", "sigmoid", "strongest"]

# More candidates than this are noise: COCO scores 100 boxes an image.
MAX_CANDIDATES = 1000
# Rows to keep, where the image lies in the input, its (H, W) -> bool `(rows, H, W)`.
Masks: TypeAlias = Callable[[Array, Placement, Shape], Array]


@dataclass(frozen=True, slots=True)
class Found:
    """Objects in the graph's input, best first; row i of every array describes object i.

    Attributes:
        boxes: float `(K, 4)`, xyxy in pixels of the input.
        scores: float `(K,)`, none below the card's threshold.
        labels: int `(K,)`.
        crowded: whether one object may have been found many times, so that suppression is due.
        masks: draws the masks of some of the rows, where the graph gives any.
    """

    boxes: Array
    scores: Array
    labels: Array
    crowded: bool = True
    masks: Masks | None = None


def strongest(scores: Array, rules: Postprocess) -> tuple[Array, Array, Array]:
    """The best of all scores that reach the threshold, best first; of equal ones the first.

    Args:
        scores: float `(A, B)`.

    Returns:
        int64 `(K,)` indices into A, into B, and the scores, float32 unless they had another type.
    """
    flat = scores.ravel()
    there = np.flatnonzero(flat >= rules.score_threshold)
    best = there[_first(flat[there])]
    rows, columns = np.divmod(best, scores.shape[1])
    return rows, columns, flat[best]


def _first(confidence: Array) -> Array:
    """Indices of the MAX_CANDIDATES best, best first; of equal ones the first."""
    if len(confidence) > 2 * MAX_CANDIDATES:  # sorting a few thousand is quicker than looking twice
        least = np.partition(confidence, -MAX_CANDIDATES)[-MAX_CANDIDATES]
        among = np.flatnonzero(confidence >= least)
        return among[np.argsort(-confidence[among], kind="stable")[:MAX_CANDIDATES]]
    return np.argsort(-confidence, kind="stable")[:MAX_CANDIDATES]


def selected(scores: Array, labels: Array, card: ModelCard) -> tuple[Array, Array]:
    """Of objects the graph itself has picked: the rows that count, best first, and their labels.

    Labels below the card's first are background or padding.

    Args:
        scores: float `(N,)`.
        labels: `(N,)`, whole numbers of any type, counted as the graph counts.

    Raises:
        ValueError: a label that the card has no name for.
    """
    own = np.rint(labels).astype(np.int64) - card.postprocess.first_label
    rows = np.flatnonzero((scores >= card.postprocess.score_threshold) & (own >= 0))
    if (most := int(own[rows].max(initial=0))) >= len(card.labels):
        raise ValueError(f"labels must be below {len(card.labels)}, got {most}: the card must name them all")
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return rows, own[rows]


def cornered(boxes: Array) -> Array:
    """Boxes `(K, 4)` of centre x, centre y, width, height -> float64 xyxy."""
    boxes = boxes.astype(np.float64)
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def sigmoid(logits: Array) -> Array:
    """float64 1 / (1 + e^-x), without overflow."""
    shrunk = np.exp(-np.abs(logits.astype(np.float64)))
    one: Array = np.where(logits >= 0, 1.0, shrunk) / (1 + shrunk)
    return one

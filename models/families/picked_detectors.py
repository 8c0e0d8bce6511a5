"""Detectors whose graph has picked its objects: by suppression inside, or one object for each query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.card import ModelCard
from models.families.found import Found, cornered, selected, sigmoid, strongest
from models.results import Array

__all__ = ["detr", "rtdetr", "ssd", "torchvision", "yolov10"]


def torchvision(outputs: Sequence[Array], card: ModelCard) -> Found:
    """Boxes `(N, 4)` xyxy in pixels, labels `(N,)`, scores `(N,)`, suppressed already."""
    boxes, labels, scores = outputs[:3]
    rows, own = selected(scores, labels, card)
    return Found(boxes[rows], scores[rows], own, crowded=False)


def ssd(outputs: Sequence[Array], card: ModelCard) -> Found:
    """Boxes `(N, 4)` from 0 to 1, labels `(N,)`, scores `(N,)`, and how many count, if that is told."""
    boxes, labels, scores = outputs[:3]
    if len(outputs) > 3:
        count = int(outputs[3].reshape(-1)[0])
        boxes, labels, scores = boxes[:count], labels[:count], scores[:count]
    rows, own = selected(scores, labels, card)
    order = [1, 0, 3, 2] if card.postprocess.box_order == "yxyx" else [0, 1, 2, 3]
    scale = [card.input.width, card.input.height] * 2
    corners = boxes[rows][:, order].astype(np.float64) * scale
    return Found(corners, scores[rows], own, crowded=False)


def yolov10(outputs: Sequence[Array], card: ModelCard) -> Found:
    """`(P, 6)`: x1, y1, x2, y2 in pixels, score, label. Wang et al. 2024, "YOLOv10", arXiv 2405.14458."""
    rows, own = selected(outputs[0][:, 4], outputs[0][:, 5], card)
    return Found(outputs[0][rows, :4], outputs[0][rows, 4], own, crowded=False)


def detr(outputs: Sequence[Array], card: ModelCard) -> Found:
    """Logits `(Q, C + 1)`, the last one "no object", and boxes `(Q, 4)` as centre and size from 0 to 1.

    Carion et al. 2020, arXiv 2005.12872: a query is its most probable class.
    """
    logits = outputs[0].astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    labels = logits[:, :-1].argmax(axis=1)
    scores = odds[np.arange(len(odds)), labels] / odds.sum(axis=1)
    _, rows, confidence = strongest(scores.astype(np.float32)[None], card.postprocess)
    return Found(_scaled(outputs[1][rows], card), confidence, labels[rows], crowded=False)


def rtdetr(outputs: Sequence[Array], card: ModelCard) -> Found:
    """Logits `(Q, C)` and boxes `(Q, 4)` as centre and size from 0 to 1; the best pairs of query and class.

    Zhao et al. 2023, "RT-DETR", arXiv 2304.08069; deformable DETR and its kin read the same.
    """
    scores = outputs[0]
    if not card.postprocess.activated:
        scores = sigmoid(scores).astype(np.float32)
    rows, labels, confidence = strongest(scores, card.postprocess)
    return Found(_scaled(outputs[1][rows], card), confidence, labels, crowded=False)


def _scaled(boxes: Array, card: ModelCard) -> Array:
    return cornered(boxes.astype(np.float64) * ([card.input.width, card.input.height] * 2))

"""Detectors that say something at every place: rows or maps of boxes, most of them to be dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.card import ModelCard
from models.families.found import Found, cornered, sigmoid, strongest
from models.families.grids import cells
from models.results import Array

__all__ = ["centernet", "dense", "fastestdet", "yolov5", "yolov8", "yolox"]

_BEYOND = 50.0  # e^50 pixels are beyond any picture, and no overflow


def dense(outputs: Sequence[Array], card: ModelCard) -> Found:
    """Boxes `(P, 4)` xyxy in pixels of the input, scores `(P, C)`."""
    boxes, scores = outputs[:2]
    rows, labels, confidence = strongest(scores, card.postprocess)
    return Found(boxes[rows], confidence, labels)


def yolov5(outputs: Sequence[Array], card: ModelCard) -> Found:
    """`(P, 5 + C)`: centre x, y, width, height in pixels, objectness, class scores.

    YOLOv5 and v7 (Wang et al. 2022, arXiv 2207.02696): a box scores objectness times class, for every
    class, as their own evaluation does.
    """
    rows, labels, confidence = _weighed(outputs[0], card)
    return Found(cornered(outputs[0][rows, :4]), confidence, labels)


def yolox(outputs: Sequence[Array], card: ModelCard) -> Found:
    """`(P, 5 + C)`: offsets from the cell and logarithms of the size, both in strides; then as `yolov5`.

    Where the card says `activated`, the graph has made pixels of them, as YOLOv6 does.

    Ge et al. 2021, "YOLOX", arXiv 2107.08430. **Differences**: every class of a box that reaches the
    threshold counts, not only its best one.
    """
    if card.postprocess.activated:
        return yolov5(outputs, card)
    rows, labels, confidence = _weighed(outputs[0], card)
    raw = outputs[0][rows, :4].astype(np.float64)
    cell = cells(len(outputs[0]), card.input)[rows]
    centre, size = raw[:, :2] + cell[:, :2], np.exp(np.minimum(raw[:, 2:], _BEYOND))
    return Found(cornered(np.concatenate([centre, size], axis=1) * cell[:, 2:]), confidence, labels)


def _weighed(rows: Array, card: ModelCard) -> tuple[Array, Array, Array]:
    """Row, label and score of the best products of objectness and class score.

    Class scores are at most 1, so that a weak objectness settles all classes of its row.
    """
    rules = card.postprocess
    likely = np.flatnonzero(rows[:, 4] >= rules.score_threshold)
    own = rows[likely, 4:].astype(np.float32, copy=False)
    which, labels, confidence = strongest(own[:, :1] * own[:, 1:], rules)
    return likely[which], labels, confidence


def yolov8(outputs: Sequence[Array], card: ModelCard) -> Found:
    """`(4 + C, P)`: centre x, y, width, height in pixels, class scores; v8, v9, v11.

    Every class of a box counts, as in their own evaluation.
    """
    labels, rows, confidence = strongest(outputs[0][4 : 4 + len(card.labels)], card.postprocess)
    return Found(cornered(outputs[0][:4, rows].T), confidence, labels)


def fastestdet(outputs: Sequence[Array], card: ModelCard) -> Found:
    """`(5 + C, h, w)`: objectness, offset x, y, width, height, class scores of each cell.

    FastestDet (dog-qiuqiu): a cell scores objectness^0.6 x best class^0.4, for its best class; its centre
    is cell + tanh(offset), its size sigmoid(size) of the input.
    """
    maps = outputs[0]
    height, width = maps.shape[1:]
    labels = maps[5:].reshape(-1, height * width).argmax(axis=0)
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    scores = flat[0] ** 0.6 * np.take_along_axis(flat[5:], labels[None], axis=0)[0] ** 0.4
    _, cell, confidence = strongest(scores.astype(np.float32)[None], card.postprocess)
    row, column = np.divmod(cell, width)
    x, y, wide, high = flat[1:5, cell]
    centre = np.stack([(column + np.tanh(x)) / width, (row + np.tanh(y)) / height])
    boxes = np.concatenate([centre, sigmoid(np.stack([wide, high]))]).T
    scale = [card.input.width, card.input.height] * 2
    return Found(cornered(boxes * scale), confidence, labels[cell])


def centernet(outputs: Sequence[Array], card: ModelCard) -> Found:
    """Heat `(C, h, w)`, sizes `(2, h, w)` and offsets `(2, h, w)`, x before y, in cells.

    Zhou et al. 2019, "Objects as points", arXiv 1904.07850: an object is a cell that no neighbour of its
    class excels.
    """
    heat, sizes, offsets = outputs[:3]
    classes, height, width = heat.shape
    there = np.flatnonzero(heat >= _least(card))
    label, row, column = np.unravel_index(there, heat.shape)
    rim = np.full((classes, height + 2, width + 2), -np.inf, heat.dtype)
    rim[:, 1:-1, 1:-1] = heat
    peak = np.ones(len(there), bool)
    value = heat[label, row, column]
    for down, right in np.ndindex(3, 3):
        peak &= value >= rim[label, row + down, column + right]
    value, there = value[peak], there[peak]
    scores = value if card.postprocess.activated else sigmoid(value)
    _, best, confidence = strongest(scores.astype(np.float32)[None], card.postprocess)
    labels, row, column = np.unravel_index(there[best], heat.shape)
    centre = np.stack([column, row]) + offsets[:, row, column].astype(np.float64)
    boxes = np.concatenate([centre, sizes[:, row, column]]).T
    scale = [card.input.width / width, card.input.height / height] * 2
    return Found(cornered(boxes * scale), confidence, labels, crowded=False)


def _least(card: ModelCard) -> float:
    """A heat that no cell above the threshold is below; what the sigmoid rounds is decided after it."""
    threshold = card.postprocess.score_threshold
    if card.postprocess.activated:
        return threshold
    spared = threshold - 1e-6
    return float(np.log(spared / (1 - spared))) if spared > 0 else -np.inf

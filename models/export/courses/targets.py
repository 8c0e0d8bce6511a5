"""What a detector is to answer, as maps: heat of the centres, reach to the sides, weight of each cell."""

from __future__ import annotations

import numpy as np

from models.export.nets.detector import STRIDE
from models.results import Array, Shape

__all__ = ["box_targets"]

SPREAD = 0.54  # of a box's half sides lie within the trained centre; Liu et al. 2019, arXiv 1909.00700


def box_targets(boxes: Array, labels: Array, classes: int, shape: Shape) -> tuple[Array, Array, Array]:
    """Maps of one picture; small objects win where two centres overlap.

    Args:
        boxes: `(N, 4)` xyxy of the input, each with its centre inside it; labels: `(N,)`.
        shape: (H, W) of the input.

    Returns:
        float32 heat `(classes, H / 4, W / 4)`, 1 at the cell of each centre; reach `(4, H / 4, W / 4)`,
        pixels to left, top, right, bottom; weight `(H / 4, W / 4)`, how much each cell's box counts.
    """
    rows, cols = shape[0] // STRIDE, shape[1] // STRIDE
    heat = np.zeros((classes, rows, cols), np.float32)
    reach, weight = np.zeros((4, rows, cols), np.float32), np.zeros((rows, cols), np.float32)
    y = (np.arange(rows)[:, None] + 0.5) * STRIDE
    x = (np.arange(cols)[None] + 0.5) * STRIDE
    sides = boxes[:, 2:] - boxes[:, :2]
    for i in np.argsort(-sides.prod(axis=1), kind="stable"):
        box, side = boxes[i], sides[i]
        col, row = ((box[:2] + box[2:]) / 2 // STRIDE).astype(int)
        sigma = np.maximum(SPREAD * side / 6, STRIDE / 4)
        spot = np.exp(-((x - x[0, col]) ** 2) / (2 * sigma[0] ** 2) - (y - y[row]) ** 2 / (2 * sigma[1] ** 2))
        heat[labels[i]] = np.maximum(heat[labels[i]], spot)
        near = spot > 0.05
        distances = np.broadcast_arrays(x - box[0], y - box[1], box[2] - x, box[3] - y)
        reach[:, near] = np.stack(distances)[:, near]
        weight[near] = spot[near] / spot[near].sum() * np.log(max(side.prod(), 2.0))
    return heat, reach, weight

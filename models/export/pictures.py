"""Training pictures as tensors: prepared exactly as the server prepares them."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from models.card import InputSpec
from models.export.nets.detector import STRIDE
from models.imaging import Placement, fit, place
from models.results import Array
from models.scenes import CLASSES, SEED, Scene, scene

__all__ = ["IGNORE", "ScenePictures", "augment_colour", "box_targets", "scene_pictures", "semantic_target"]

IGNORE = 255
SPREAD = 0.54  # of a box's half sides lie within the trained centre; Liu et al. 2019, arXiv 1909.00700


@dataclass(frozen=True, slots=True)
class ScenePictures:
    """Scenes in the input's frame.

    Attributes:
        images: uint8 `(N, 3, H, W)`.
        heat: float16 `(N, C, H / 4, W / 4)`, 1 at the cell of each centre.
        reach: float16 `(N, 4, H / 4, W / 4)`, pixels to left, top, right, bottom.
        weight: float16 `(N, H / 4, W / 4)`, how much each cell's box counts.
        semantic: uint8 `(N, H / 2, W / 2)`, 255 outside the picture.
    """

    images: Tensor
    heat: Tensor
    reach: Tensor
    weight: Tensor
    semantic: Tensor


def scene_pictures(count: int, spec: InputSpec, *, workers: int = 2) -> ScenePictures:
    """The first `count` training scenes, drawn in `workers` processes; same result for any number."""
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(partial(_one, spec=spec), range(count), chunksize=64))
    columns = (torch.from_numpy(np.stack(column)) for column in zip(*drawn, strict=True))
    return ScenePictures(*columns)


def _one(index: int, spec: InputSpec) -> tuple[Array, ...]:
    drawn = scene(index, seed=SEED, split="train")
    image = fit(drawn.image, spec.model_copy(update={"dtype": "uint8"}))
    placement = place(drawn.image.shape[:2], spec)
    return image, *box_targets(drawn, placement, spec), semantic_target(drawn, placement, spec)


def box_targets(drawn: Scene, placement: Placement, spec: InputSpec) -> tuple[Array, Array, Array]:
    """Heat, reach and weight of one scene; small objects win where two centres overlap."""
    rows, cols = spec.height // STRIDE, spec.width // STRIDE
    heat = np.zeros((len(CLASSES), rows, cols), np.float32)
    reach, weight = np.zeros((4, rows, cols), np.float32), np.zeros((rows, cols), np.float32)
    scale = np.array([placement.scale_x, placement.scale_y] * 2)
    boxes = drawn.boxes * scale + np.array([placement.offset_x, placement.offset_y] * 2)
    y = (np.arange(rows)[:, None] + 0.5) * STRIDE
    x = (np.arange(cols)[None] + 0.5) * STRIDE
    sides = boxes[:, 2:] - boxes[:, :2]
    for i in np.argsort(-sides.prod(axis=1), kind="stable"):
        box, side = boxes[i], sides[i]
        col, row = ((box[:2] + box[2:]) / 2 // STRIDE).astype(int)
        sigma = np.maximum(SPREAD * side / 6, STRIDE / 4)
        spot = np.exp(-((x - x[0, col]) ** 2) / (2 * sigma[0] ** 2) - (y - y[row]) ** 2 / (2 * sigma[1] ** 2))
        heat[drawn.labels[i]] = np.maximum(heat[drawn.labels[i]], spot)
        heat[drawn.labels[i], row, col] = 1
        near = spot > 0.05
        distances = np.broadcast_arrays(x - box[0], y - box[1], box[2] - x, box[3] - y)
        reach[:, near] = np.stack(distances)[:, near]
        weight[near] = spot[near] / spot[near].sum() * np.log(side.prod())
    return heat.astype(np.float16), reach.astype(np.float16), weight.astype(np.float16)


def semantic_target(drawn: Scene, placement: Placement, spec: InputSpec, *, stride: int = 2) -> Array:
    """uint8 `(H / stride, W / stride)`: the class at the middle of each cell, 255 outside the picture."""
    height, width = drawn.semantic.shape
    y = ((np.arange(spec.height // stride) + 0.5) * stride - placement.offset_y) / placement.scale_y
    x = ((np.arange(spec.width // stride) + 0.5) * stride - placement.offset_x) / placement.scale_x
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None]
    rows, cols = y.clip(0, height - 1).astype(int), x.clip(0, width - 1).astype(int)
    return np.where(inside, drawn.semantic[rows][:, cols], IGNORE).astype(np.uint8)


def augment_colour(images: Tensor, generator: torch.Generator) -> Tensor:
    """Channels shuffled, contrast and brightness changed, one draw a batch; float32 levels."""
    order = torch.randperm(3, generator=generator)
    gain, lift = torch.rand((2, len(images), 1, 1, 1), generator=generator)
    levels = images[:, order].float()
    changed: Tensor = levels * (0.8 + 0.4 * gain) + (lift - 0.5) * 40
    return changed.clamp(0, 255)

"""Pictures with boxes or a class for every pixel, fitted into a net's input as the server fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.card import InputSpec
from models.imaging import fit, place
from models.results import Array

__all__ = ["IGNORE", "Objects", "Pictures", "fitted"]

IGNORE = 255  # of a pixel's class: nothing is known or wanted there


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """One labelled picture, in its own pixels.

    Attributes:
        image: uint8 RGB `(H, W, 3)`.
        boxes: float32 `(N, 4)` xyxy; labels: int64 `(N,)`.
        semantic: uint8 `(H, W)`, 255 where unknown; None where only boxes are known.
    """

    image: Array
    boxes: Array
    labels: Array
    semantic: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Labelled pictures in the input's frame.

    Attributes:
        images: uint8 `(N, 3, H, W)`.
        boxes: for each, float32 `(n, 4)` xyxy of the input; labels: for each, int64 `(n,)`.
        semantic: uint8 `(N, H, W)`, 255 where unknown or outside the picture; empty without label maps.
    """

    images: Tensor
    boxes: list[Array]
    labels: list[Array]
    semantic: Tensor

    def __len__(self) -> int:
        return len(self.images)


def fitted(found: Sequence[Objects], spec: InputSpec) -> Pictures:
    """Every picture as the net will see it; its boxes and label map taken along."""
    plain = spec.model_copy(update={"dtype": "uint8", "layout": "NCHW"})
    images = np.stack([fit(one.image, plain) for one in found])
    boxes = []
    for one in found:
        placement = place(one.image.shape[:2], spec)
        scale = np.array([placement.scale_x, placement.scale_y] * 2)
        boxes.append(one.boxes * scale + np.array([placement.offset_x, placement.offset_y] * 2))
    maps = [_map(one, spec) for one in found if one.semantic is not None]
    semantic = np.stack(maps) if len(maps) == len(found) else np.empty((0, spec.height, spec.width), np.uint8)
    labels = [one.labels for one in found]
    return Pictures(torch.from_numpy(images), boxes, labels, torch.from_numpy(semantic))


def _map(one: Objects, spec: InputSpec) -> Array:
    """uint8 `(H, W)` of the input: the class at each pixel's middle, 255 outside the picture."""
    semantic = one.semantic
    if semantic is None:
        raise ValueError("a picture must have a label map, got none")
    height, width = semantic.shape
    placement = place((height, width), spec)
    y = (np.arange(spec.height) + 0.5 - placement.offset_y) / placement.scale_y
    x = (np.arange(spec.width) + 0.5 - placement.offset_x) / placement.scale_x
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None]
    rows, cols = y.clip(0, height - 1).astype(int), x.clip(0, width - 1).astype(int)
    return np.where(inside, semantic[rows][:, cols], IGNORE).astype(np.uint8)

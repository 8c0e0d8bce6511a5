"""What is done to training pictures, a batch at a time; every draw comes from the batch's generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

__all__ = ["Augment", "Window", "coloured", "cut", "moved", "shifted", "window_of"]


@dataclass(frozen=True, slots=True)
class Augment:
    """What a recipe asks for; nothing by default.

    Attributes:
        across: pictures are mirrored left to right at random.
        down: pictures are mirrored top to bottom at random.
        shift: of classifiers' pictures, the largest, pixels; what comes in at the border is its reflection.
        cutout: of classifiers' pictures, side of a square that is blanked (DeVries and Taylor 2017,
            arXiv 1708.04552), pixels.
        colour: how much gain, lift and saturation change, 0 to 1.
        shuffle: of pictures of many objects, the colour channels are exchanged at random.
        zoom: of pictures of many objects, least and largest scale.
    """

    across: bool = False
    down: bool = False
    shift: Annotated[int, Field(ge=0)] = 0
    cutout: Annotated[int, Field(ge=0)] = 0
    colour: Annotated[float, Field(ge=0, le=1)] = 0.0
    shuffle: bool = False
    zoom: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 1.0)


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image of `(N, C, H, W)` moved by up to `most` pixels either way, the border reflected."""
    count, _, height, width = images.shape
    wide = functional.pad(images, (most,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * most + 1, (2, count), generator=generator)
    rows = (top[:, None] + torch.arange(height))[:, None, :, None]
    cols = (left[:, None] + torch.arange(width))[:, None, None, :]
    which = torch.arange(count)[:, None, None, None]
    return wide[which, torch.arange(images.shape[1])[None, :, None, None], rows, cols]


def cut(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Each image with a square of `side` pixels, anywhere, set to 0: the mean, where it is normalised."""
    count, _, height, width = images.shape
    y, x = (torch.randint(0, size, (count, 1), generator=generator) for size in (height, width))
    rows = (torch.arange(height)[None] - y).abs() * 2 < side
    cols = (torch.arange(width)[None] - x).abs() * 2 < side
    return images.masked_fill((rows[:, :, None] & cols[:, None])[:, None], 0.0)


def coloured(levels: Tensor, much: float, generator: torch.Generator) -> Tensor:
    """Float levels `(N, 3, H, W)` with gain, lift and saturation changed for each image."""
    gain, lift, saturation = (torch.rand((3, len(levels), 1, 1, 1), generator=generator) - 0.5) * 2 * much
    grey = levels.mean(dim=1, keepdim=True)
    changed: Tensor = (grey + (levels - grey) * (1 + saturation)) * (1 + gain / 2) + lift * 40
    return changed.clamp(0, 255)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a picture becomes the input: input = picture * scale + offset, in pixels of one size.

    Mirrored pictures have a negative scale.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float


def window_of(shape: tuple[int, int], wanted: Augment, generator: torch.Generator) -> Window:
    """A draw of zoom, place and mirroring for a picture and input of `shape` (H, W)."""
    low, high = wanted.zoom
    zoom, right, lower, across, down = torch.rand(5, generator=generator).tolist()
    scale = low * (high / low) ** zoom
    height, width = shape
    x, y = width * (1 - scale) * right, height * (1 - scale) * lower
    mirrored = (wanted.across and across < 0.5, wanted.down and down < 0.5)
    scale_x, x = (-scale, width - x) if mirrored[0] else (scale, x)
    scale_y, y = (-scale, height - y) if mirrored[1] else (scale, y)
    return Window(scale_x, scale_y, x, y)


def moved(picture: Tensor, window: Window, *, smooth: bool, fill: float, stride: int = 1) -> Tensor:
    """A picture `(C, H, W)` seen through a window, at every `stride`-th pixel; `fill` beyond its edge.

    Args:
        smooth: bilinear, for levels; otherwise the nearest pixel, for labels.
    """
    _channels, height, width = picture.shape
    x = (torch.arange(width // stride) + 0.5) * stride
    y = (torch.arange(height // stride) + 0.5) * stride
    x = (x - window.offset_x) / window.scale_x * 2 / width - 1
    y = (y - window.offset_y) / window.scale_y * 2 / height - 1
    grid = torch.stack(torch.broadcast_tensors(x[None], y[:, None]), dim=-1)[None]  # type: ignore[no-untyped-call]
    mode = "bilinear" if smooth else "nearest"
    seen = functional.grid_sample(
        picture.float()[None] - fill, grid, mode=mode, padding_mode="zeros", align_corners=False
    )
    return seen[0] + fill

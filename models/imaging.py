"""Pixels in, pixels placed: decode, resize, letterbox, crop, normalise, and the way back.

Every way of fitting an image into a graph's input is one affine `Placement`, so boxes and
masks are taken back to the image as sent by the same numbers that took it there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from models.card import InputSpec
from models.results import Array, Shape

__all__ = ["Placement", "fit", "nearest", "parts", "place", "resample", "wanted"]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# A scaled decode keeps this many pixels for each one of the input: below 2, answers change.
_SPARE = 2
# Cropped to its middle, a picture of one row would first be scaled to millions of columns.
_MOST_SCALED = 1 << 24
WHOLE = (slice(None), slice(None))
_PART = 1 << 17  # pixels


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in a graph's input: input = native * scale + offset, in pixels."""

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def back(self, boxes: Array, shape: Shape) -> Array:
        """Boxes `(N, 4)` xyxy of the input -> float32 xyxy of the image, clipped to `shape` (H, W)."""
        height, width = shape
        offset = np.array([self.offset_x, self.offset_y] * 2)
        scale = np.array([self.scale_x, self.scale_y] * 2)
        native = (boxes.astype(np.float64) - offset) / scale
        inside: Array = np.clip(native, 0, [width, height, width, height])
        return inside.astype(np.float32)


def place(shape: Shape, spec: InputSpec) -> Placement:
    """How `fit` lays an image of `shape` (H, W) into the input."""
    height, width = shape
    new_height, new_width = _scaled(shape, spec)
    if spec.resize == "stretch":
        return Placement(spec.width / width, spec.height / height, 0.0, 0.0)
    left, top = _start(spec.width - new_width, spec), _start(spec.height - new_height, spec)
    return Placement(new_width / width, new_height / height, left, top)


def _start(room: int, spec: InputSpec) -> int:
    """Where the image begins along one side that has so much room beside it."""
    return 0 if spec.resize == "letterbox" and spec.align == "top_left" else _corner(room)


def _corner(room: int) -> int:
    """Half of the room, rounded toward the top left for both padding and cropping."""
    return room // 2 if room >= 0 else -((-room) // 2)


def _scaled(shape: Shape, spec: InputSpec) -> Shape:
    """Size (H, W) of the whole image after scaling, before padding or cropping."""
    height, width = shape
    if spec.resize == "stretch":
        return spec.height, spec.width
    if spec.resize == "letterbox":
        scale = min(spec.width / width, spec.height / height)
    else:
        scale = max(spec.width / width, spec.height / height) / spec.crop_fraction
    return max(1, round(height * scale)), max(1, round(width * scale))


def wanted(shape: Shape, spec: InputSpec) -> Shape:
    """The least (H, W) a picture of `shape` may be decoded at before `fit` shrinks it."""
    height, width = _scaled(shape, spec)
    return _SPARE * height, _SPARE * width


def fit(image: Array, spec: InputSpec, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
    """uint8 RGB `(H, W, 3)` -> the graph's input for one image, `(C, H, W)` or `(H, W, C)` by layout.

    Antialiased (Pillow) when it shrinks. Float inputs are (x - mean) / std of 8-bit levels, in float32
    and then rounded to the input's own type.

    Args:
        shape: (H, W) of the picture as sent, where `image` has less detail.
        scale: pixels of `image` for each pixel sent; see `models.decoding.Picture`.
    """
    pixels = _laid(image, spec, shape or (image.shape[0], image.shape[1]), scale)
    if not spec.dtype.startswith("float"):
        plain = pixels if spec.layout == "NHWC" else pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(plain, spec.dtype)
    levels = _levels(spec.mean, spec.std)
    planar = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
    for channel, values in enumerate(levels):
        np.take(values, pixels[..., channel], out=planar[channel], mode="clip")
    laid = planar if spec.layout == "NCHW" else np.ascontiguousarray(planar.transpose(1, 2, 0))
    return laid if spec.dtype == "float32" else laid.astype(spec.dtype)


@lru_cache(maxsize=64)
def _levels(mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
    """float32 `(C, 256)`: what each of the 256 levels becomes, so that no pixel is computed twice."""
    levels = np.arange(256, dtype=np.float32)[:, None]
    normal: Array = (levels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(normal.T)


def _laid(image: Array, spec: InputSpec, shape: Shape, scale: float) -> Array:
    """uint8 `(height, width, C)` of the input, channels in the graph's order."""
    if image.shape == (spec.height, spec.width, 3) and shape == image.shape[:2] and spec.crop_fraction == 1:
        if spec.channels == "RGB":
            return image
        if spec.channels == "BGR":
            return image[..., ::-1]
    picture = Image.fromarray(image)
    if spec.channels == "L":
        picture = picture.convert("L")
    new_height, new_width = _scaled(shape, spec)
    if spec.resize == "crop" and new_height * new_width > _MOST_SCALED:
        picture = _middle(picture, spec, (new_height, new_width), (shape[0] * scale, shape[1] * scale))
    elif picture.size != (new_width, new_height):
        # The last row and column of a scaled decode may lie partly beyond the picture.
        whole = (0.0, 0.0, shape[1] * scale, shape[0] * scale) if scale != 1.0 else None
        picture = picture.resize((new_width, new_height), _RESAMPLING[spec.interpolation], box=whole)
    if picture.size != (spec.width, spec.height):
        canvas = Image.new(picture.mode, (spec.width, spec.height), (spec.fill,) * len(picture.getbands()))
        canvas.paste(picture, (_start(spec.width - new_width, spec), _start(spec.height - new_height, spec)))
        picture = canvas
    pixels = np.asarray(picture).reshape(spec.height, spec.width, -1)
    return pixels[..., ::-1] if spec.channels == "BGR" else pixels


def _middle(picture: Image.Image, spec: InputSpec, scaled: Shape, whole: tuple[float, float]) -> Image.Image:
    """Scaled and cropped in one: the same pixels but for rounding, and only those that are kept.

    Args:
        scaled: (H, W) that all of it would have.
        whole: (H, W) of the picture in its own pixels.
    """
    top, bottom, first_row, last_row = _kept(spec.height, scaled[0], whole[0], picture.height)
    left, right, first, last = _kept(spec.width, scaled[1], whole[1], picture.width)
    part = picture.crop((first, first_row, last, last_row))
    box = (left - first, top - first_row, right - first, bottom - first_row)
    return part.resize((spec.width, spec.height), _RESAMPLING[spec.interpolation], box=box)


def _kept(size: int, scaled: int, side: float, pixels: int) -> tuple[float, float, int, int]:
    """Along one side: where the kept part begins and ends, and the pixels that a filter wants for it."""
    pixel = side / scaled
    start = -_corner(size - scaled) * pixel
    stop = min(start + size * pixel, side)
    reach = math.ceil(3 * max(1.0, pixel))
    return start, stop, max(0, math.floor(start) - reach), min(pixels, math.ceil(stop) + reach)


def resample(
    planes: Array, placement: Placement, spec: InputSpec, shape: Shape, part: tuple[slice, slice] = WHOLE
) -> Array:
    """Planes of the input, at any stride, bilinearly at the pixels of the image as sent.

    Args:
        planes: float `(C, h, w)`; h and w are the input's size divided by the stride.
        shape: (H, W) of the image.
        part: the rows and columns of the image that are wanted; see `parts`.

    Returns:
        float32 `(C, H, W)`, or of the part. Pixel centres are aligned; beyond the edge the edge is repeated.
    """
    stride_y, stride_x = spec.height / planes.shape[1], spec.width / planes.shape[2]
    rows, cols = (np.arange(*wanted.indices(side)) + 0.5 for wanted, side in zip(part, shape, strict=True))
    rows = (rows * placement.scale_y + placement.offset_y) / stride_y - 0.5
    cols = (cols * placement.scale_x + placement.offset_x) / stride_x - 0.5
    left, right, across = _neighbours(cols, planes.shape[2])
    first = left.min(initial=planes.shape[2])
    planes = planes[:, :, first : right.max(initial=0) + 1]  # of a thin picture's part, a column or two
    low, high, down = _neighbours(rows, planes.shape[1])
    tall = planes[:, low] * (1 - down)[:, None] + planes[:, high] * down[:, None]
    wide: Array = tall[:, :, left - first] * (1 - across) + tall[:, :, right - first] * across
    return wide


def nearest(labels: Array, placement: Placement, spec: InputSpec, shape: Shape) -> Array:
    """Labels `(h, w)` of the input, at any stride, at the pixels of the image as sent, `(H, W)`.

    A pixel gets the cell that its centre lies in, or the nearest one at the edge.
    """
    stride_y, stride_x = spec.height / labels.shape[0], spec.width / labels.shape[1]
    rows, cols = (np.arange(side) + 0.5 for side in shape)
    rows = np.floor((rows * placement.scale_y + placement.offset_y) / stride_y).clip(0, len(labels) - 1)
    cols = np.floor((cols * placement.scale_x + placement.offset_x) / stride_x).clip(0, labels.shape[1] - 1)
    near: Array = labels[np.ix_(rows.astype(np.int64), cols.astype(np.int64))]
    return near


def parts(shape: Shape) -> Iterator[tuple[slice, slice]]:
    """An image of (H, W) in parts whose planes fit into a cache; all of them at once may fit into nothing."""
    width = min(shape[1], _PART // 8)
    height = max(1, _PART // max(width, 8))
    for top in range(0, shape[0], height):
        for left in range(0, shape[1], width):
            yield slice(top, min(top + height, shape[0])), slice(left, min(left + width, shape[1]))


def _neighbours(positions: Array, size: int) -> tuple[Array, Array, Array]:
    """Lower and upper sample of each position, and how far it is between them, float32."""
    positions = np.clip(positions, 0, size - 1)
    low = np.floor(positions).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (positions - low).astype(np.float32)

"""Pixels in, pixels placed: decode, resize, letterbox, crop, normalise, and the way back.

Every way of fitting an image into a graph's input is one affine `Placement`, so boxes and
masks are taken back to the image as sent by the same numbers that took it there.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from models.card import InputSpec
from models.results import Array

__all__ = [
    "FORMATS",
    "Header",
    "Placement",
    "TooManyPixels",
    "UnreadableImage",
    "decode",
    "decode_labels",
    "encode_png",
    "fit",
    "peek",
    "place",
    "resample",
]

# An allow-list: Pillow's rarer readers are where its past security bugs were.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


class UnreadableImage(ValueError):
    """The bytes are not a picture in one of `FORMATS`, or a broken one."""


class TooManyPixels(UnreadableImage):
    """The header announces more pixels than anyone should decode."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself before any pixel is decoded.

    Attributes:
        format: one of `FORMATS`.
        width, height: pixels, as stored (before EXIF rotation).
    """

    format: str
    width: int
    height: int


def peek(data: bytes) -> Header:
    """Format and size from the header alone; decodes nothing.

    Raises:
        UnreadableImage: not one of `FORMATS`.
    """
    with _opened(data) as picture:
        return Header(picture.format or "", picture.width, picture.height)


def decode(data: bytes) -> Array:
    """The picture as uint8 RGB `(H, W, 3)`, EXIF rotation applied, first frame only.

    Transparency is dropped, not composed: what a model sees must not depend on a background
    nobody sent. 16-bit greys are scaled to 8 bits.

    Raises:
        UnreadableImage: not one of `FORMATS`, truncated or corrupt.
    """
    with _opened(data) as picture:
        try:
            picture.load()
            if picture.mode.startswith("I;16") or picture.mode == "I":
                levels = np.asarray(picture).astype(np.uint32) >> 8
                grey = np.minimum(levels, 255).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            if picture.getexif().get(0x0112, 1) != 1:
                picture = ImageOps.exif_transpose(picture)
            return np.asarray(picture.convert("RGB"))
        except Exception as error:  # Pillow raises many kinds for broken data (OSError, SyntaxError, ...)
            raise UnreadableImage(f"the picture is broken: {error}") from error


def decode_labels(data: bytes) -> Array:
    """An index mask as uint8 `(H, W)`: palette indices or grey levels as they are stored.

    Raises:
        UnreadableImage: not a picture, or one with colours instead of indices.
    """
    with _opened(data) as picture:
        if picture.mode not in ("L", "P", "1"):
            raise UnreadableImage(f"a mask must be grey or have a palette, got mode {picture.mode}")
        try:
            return np.asarray(picture.convert("L") if picture.mode == "1" else picture)
        except Exception as error:  # as in decode
            raise UnreadableImage(f"the picture is broken: {error}") from error


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from error
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, struct.error, ...
        raise UnreadableImage(f"must be one of {', '.join(FORMATS)}, got {len(data)} other bytes") from error


def encode_png(image: Array, *, level: int = 1) -> bytes:
    """Lossless PNG of uint8 `(H, W, 3)`; a picture whose channels are equal is stored grey."""
    grey = bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if grey else image).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in a graph's input: input = native * scale + offset, in pixels."""

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def back(self, boxes: Array, shape: tuple[int, int]) -> Array:
        """Boxes `(N, 4)` xyxy of the input -> float32 xyxy of the image, clipped to `shape` (H, W)."""
        height, width = shape
        offset = np.array([self.offset_x, self.offset_y] * 2)
        scale = np.array([self.scale_x, self.scale_y] * 2)
        native = (boxes.astype(np.float64) - offset) / scale
        inside: Array = np.clip(native, 0, [width, height, width, height])
        return inside.astype(np.float32)


def place(shape: tuple[int, int], spec: InputSpec) -> Placement:
    """How `fit` lays an image of `shape` (H, W) into the input."""
    height, width = shape
    new_height, new_width = _scaled(shape, spec)
    if spec.resize == "stretch":
        return Placement(spec.width / width, spec.height / height, 0.0, 0.0)
    left, top = _corner(spec.width - new_width), _corner(spec.height - new_height)
    return Placement(new_width / width, new_height / height, left, top)


def _corner(room: int) -> int:
    """Half of the room, rounded toward the top left for both padding and cropping."""
    return room // 2 if room >= 0 else -((-room) // 2)


def _scaled(shape: tuple[int, int], spec: InputSpec) -> tuple[int, int]:
    """Size (H, W) of the whole image after scaling, before padding or cropping."""
    height, width = shape
    if spec.resize == "stretch":
        return spec.height, spec.width
    if spec.resize == "letterbox":
        scale = min(spec.width / width, spec.height / height)
    else:
        scale = max(spec.width / width, spec.height / height) / spec.crop_fraction
    return max(1, round(height * scale)), max(1, round(width * scale))


def fit(image: Array, spec: InputSpec) -> Array:
    """uint8 RGB `(H, W, 3)` -> the graph's input for one image, `(C, H, W)` or `(H, W, C)` by layout.

    Antialiased (Pillow) when it shrinks. float32 inputs are (x - mean) / std of 8-bit levels.
    """
    pixels = _laid(image, spec)
    if spec.dtype == "float32":
        mean, std = np.asarray(spec.mean, np.float32), np.asarray(spec.std, np.float32)
        pixels = (pixels.astype(np.float32) - mean) / std
    return np.ascontiguousarray(pixels if spec.layout == "NHWC" else pixels.transpose(2, 0, 1))


def _laid(image: Array, spec: InputSpec) -> Array:
    """uint8 `(height, width, C)` of the input, channels in the graph's order."""
    picture = Image.fromarray(image)
    if spec.channels == "L":
        picture = picture.convert("L")
    new_height, new_width = _scaled(image.shape[:2], spec)
    if picture.size != (new_width, new_height):
        picture = picture.resize((new_width, new_height), _RESAMPLING[spec.interpolation])
    if picture.size != (spec.width, spec.height):
        canvas = Image.new(picture.mode, (spec.width, spec.height), (spec.fill,) * len(picture.getbands()))
        canvas.paste(picture, (_corner(spec.width - new_width), _corner(spec.height - new_height)))
        picture = canvas
    pixels = np.asarray(picture).reshape(spec.height, spec.width, -1)
    return pixels[..., ::-1] if spec.channels == "BGR" else pixels


def resample(planes: Array, placement: Placement, spec: InputSpec, shape: tuple[int, int]) -> Array:
    """Planes of the input, at any stride, bilinearly at the pixels of the image as sent.

    Args:
        planes: float `(C, h, w)`; h and w are the input's size divided by the stride.
        shape: (H, W) of the image.

    Returns:
        float32 `(C, H, W)`. Pixel centres are aligned; beyond the edge the edge is repeated.
    """
    stride_y, stride_x = spec.height / planes.shape[1], spec.width / planes.shape[2]
    rows = ((np.arange(shape[0]) + 0.5) * placement.scale_y + placement.offset_y) / stride_y - 0.5
    cols = ((np.arange(shape[1]) + 0.5) * placement.scale_x + placement.offset_x) / stride_x - 0.5
    low, high, part = _neighbours(rows, planes.shape[1])
    tall = planes[:, low] * (1 - part)[:, None] + planes[:, high] * part[:, None]
    low, high, part = _neighbours(cols, planes.shape[2])
    wide: Array = tall[:, :, low] * (1 - part) + tall[:, :, high] * part
    return wide


def _neighbours(positions: Array, size: int) -> tuple[Array, Array, Array]:
    """Lower and upper sample of each position, and how far it is between them, float32."""
    positions = np.clip(positions, 0, size - 1)
    low = np.floor(positions).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (positions - low).astype(np.float32)

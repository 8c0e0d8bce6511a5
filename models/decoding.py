"""Bytes to pixels and back: which pictures are read, how large they may be, and how fast.

JPEG goes through libjpeg-turbo in one call, which gives the very pixels Pillow gives and can
leave out detail nobody needs (`wanted`); everything else, and every JPEG that is odd, goes
through Pillow.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps

from models.results import Array, Shape

__all__ = [
    "FORMATS",
    "Header",
    "Picture",
    "TooManyPixels",
    "UnreadableImage",
    "decode",
    "decode_labels",
    "encode_jpeg",
    "encode_png",
    "is_small",
    "peek",
    "read_picture",
]

# An allow-list: Pillow's rarer readers are where its past security bugs were.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
ORIENTATION = 0x0112  # the EXIF tag
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF tags
_PNG = b"\x89PNG\r\n\x1a\n"
_SMALL_BYTES, _SMALL_PIXELS = 1 << 14, 128 * 128
_PNG_BODY = 33  # where the chunk behind the header begins
# A second header may say another size, and what is packed beside the pixels may be a thousand times larger.
_HEAVY = {b"IHDR", b"zTXt", b"iTXt", b"iCCP"}
_SCAN, _MAX_SEGMENTS = 0xDA, 1024  # the JPEG marker in front of the pixels, and how far it is looked for
_UPRIGHT: dict[int, Callable[[Array], Array]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
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


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, perhaps with less detail than was sent.

    Attributes:
        pixels: uint8 RGB `(h, w, 3)`.
        shape: (H, W) of the picture as sent, upright; `pixels` has this shape unless it was scaled.
        scale: pixels decoded for each pixel sent, along either side: 1, or eighths below it.
    """

    pixels: Array
    shape: Shape
    scale: float = 1.0


def _admit_all(pixels: int) -> None:
    """No limit: for pictures of our own."""


def peek(data: bytes) -> Header:
    """Format and size from the header alone; decodes nothing.

    Raises:
        UnreadableImage: not one of `FORMATS`.
    """
    with _opened(data) as picture:
        return Header(picture.format or "", picture.width, picture.height)


def is_small(data: bytes | memoryview) -> bool:
    """Whether a PNG is decoded in well under a millisecond, by the heads of its chunks.

    A few kilobytes may hold 25 million pixels, so its length alone says nothing.
    """
    if len(data) > _SMALL_BYTES or bytes(data[:8]) != _PNG or len(data) < 24:
        return False
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not 0 < width * height <= _SMALL_PIXELS:
        return False
    at = _PNG_BODY
    while at + 8 <= len(data):
        if bytes(data[at + 4 : at + 8]) in _HEAVY:
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return True


def decode(data: bytes | memoryview) -> Array:
    """The picture as uint8 RGB `(H, W, 3)`; see `read_picture`."""
    return read_picture(data).pixels


def read_picture(
    data: bytes | memoryview,
    *,
    admit: Callable[[int], None] = _admit_all,
    wanted: Callable[[Shape], Shape] | None = None,
) -> Picture:
    """The picture as RGB, EXIF rotation applied, first frame only.

    Transparency is dropped, not composed: what a model sees must not depend on a background
    nobody sent. 16-bit greys are scaled to 8 bits.

    Args:
        admit: told how many pixels there are before any is decoded; may raise.
        wanted: from the picture's (H, W) to the least (h, w) that is needed. A JPEG may then be
            decoded at a few eighths of its size, which is faster and changes pixels a little.

    Raises:
        UnreadableImage: not one of `FORMATS`, truncated or corrupt.
    """
    counted = 0

    def count(pixels: int) -> None:
        """Both readers tell; only what the second finds beyond the first is new."""
        nonlocal counted
        if pixels > counted:
            admit(pixels - counted)
            counted = pixels

    if bytes(data[:3]) == b"\xff\xd8\xff":
        picture = _read_jpeg(data, count, wanted)
        if picture is not None:
            return picture
    with _opened(data) as opened:
        count(max(opened.width * opened.height, _tile_pixels(opened)))
        pixels = _loaded(opened)
    return Picture(pixels, (pixels.shape[0], pixels.shape[1]))


def _read_jpeg(
    data: bytes | memoryview, admit: Callable[[int], None], wanted: Callable[[Shape], Shape] | None
) -> Picture | None:
    """Through libjpeg-turbo; None where Pillow must decide (CMYK, damage, anything unusual)."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if space not in ("YCbCr", "Gray", "RGB"):
        return None
    admit(height * width)
    turn = _orientation(data)
    shape = (width, height) if turn >= 5 else (height, width)
    least = wanted(shape) if wanted is not None else (0, 0)
    if turn >= 5:
        least = (least[1], least[0])
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=least[0], min_width=least[1])
    except ValueError:
        return None
    # Counted down: of few pixels, seven eighths are all of them.
    eighths = next(k for k in range(8, 0, -1) if _eighths((height, width), k) == pixels.shape[:2])
    upright = _UPRIGHT.get(turn)
    return Picture(pixels if upright is None else np.ascontiguousarray(upright(pixels)), shape, eighths / 8)


def _eighths(shape: Shape, k: int) -> Shape:
    """What libjpeg makes of (H, W) at k eighths of its size."""
    return math.ceil(shape[0] * k / 8), math.ceil(shape[1] * k / 8)


def _orientation(data: bytes | memoryview) -> int:
    """EXIF's number for how the picture was held, 1 to 8; 1 is upright."""
    head = bytes(data[: _head_bytes(data)])
    if b"Exif\0\0" not in head and b"Orientation" not in head:  # the second is XMP's
        return 1
    with _opened(data) as picture:
        try:
            turn = picture.getexif().get(ORIENTATION, 1)
        except Exception:  # broken EXIF of an intact picture
            return 1
    return turn if turn in _UPRIGHT else 1


def _head_bytes(data: bytes | memoryview) -> int:
    """Length of what lies in front of the first scan: EXIF and XMP, perhaps behind a large colour profile.

    All of the file where its segments do not lead there.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        if data[at + 1] == _SCAN:
            return at
        fill = data[at + 1] == 0xFF  # a marker may have any number of these in front
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)


def _tile_pixels(picture: Image.Image) -> int:
    """Pixels of a TIFF's tile: the reader makes room for a whole one, however small the picture."""
    tags = getattr(picture, "tag_v2", {})
    sides = [tags.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH)]
    return sides[0] * sides[1] if all(isinstance(side, int) for side in sides) else 0


def _loaded(picture: Image.Image) -> Array:
    try:
        picture.load()
        if picture.mode.startswith("I;16") or picture.mode == "I":
            levels = np.asarray(picture).astype(np.uint32) >> 8
            grey = np.minimum(levels, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if picture.getexif().get(ORIENTATION, 1) != 1:
            picture = ImageOps.exif_transpose(picture)
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
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
        except Exception as error:  # as in _loaded
            raise UnreadableImage(f"the picture is broken: {error}") from error


def _opened(data: bytes | memoryview) -> Image.Image:
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


def encode_jpeg(image: Array, *, quality: int = 95) -> bytes:
    """JPEG of uint8 `(H, W, 3)`."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality))

"""Small valid pictures of every kind that is read: the seeds that are then broken."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["pictures", "plain_png", "thin_pictures"]

SIZES = ((10, 20), (1, 1), (9, 7), (33, 16))
THIN = 500_000
ORIENTATION = 0x0112
# Format -> mode -> ways to write it. Every line is another path through a reader.
WAYS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "PNG": [("L", {}), ("LA", {}), ("RGB", {}), ("RGBA", {}), ("P", {}), ("1", {}), ("I;16", {})],
    "JPEG": [
        ("RGB", {}),
        ("L", {"quality": 30}),
        ("CMYK", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0, "optimize": True}),
        ("RGB", {"restart_marker_rows": 1}),
    ],
    "WEBP": [("RGB", {}), ("RGBA", {"lossless": True}), ("RGB", {"quality": 5, "method": 0})],
    "BMP": [("RGB", {}), ("L", {}), ("P", {}), ("1", {}), ("RGBA", {})],
    "GIF": [("P", {}), ("L", {"transparency": 3}), ("P", {"interlace": 1})],
    "TIFF": [
        ("RGB", {}),
        ("L", {"compression": "tiff_lzw"}),
        ("RGBA", {"compression": "tiff_adobe_deflate"}),
        ("RGB", {"compression": "jpeg"}),
        ("CMYK", {}),
        ("F", {}),
        ("I;16", {}),
        ("1", {"compression": "group4"}),
        ("P", {"compression": "packbits"}),
    ],
}


@cache
def pictures() -> tuple[bytes, ...]:
    """Every way once, its size by turns; then the odd ones: turned, animated, of several pages."""
    found = [
        _written(_image(mode, *SIZES[i % len(SIZES)]), kind, **options)
        for kind, ways in WAYS.items()
        for i, (mode, options) in enumerate(ways)
    ]
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    pages = [_image("RGB", 12, 8), _image("RGB", 12, 8, seed=1)]
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        found.append(_written(_image("RGB", 12, 8), kind, exif=turned.tobytes()))
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        found.append(_written(pages[0], kind, save_all=True, append_images=pages[1:]))
    found.append(_written(_image("RGB", 64, 64), "JPEG", quality=90, comment=b"said by the way"))
    return tuple(found)


@cache
def thin_pictures() -> tuple[bytes, ...]:
    """One row, one column: small files whose sides, multiplied with those of a graph, fit into no memory."""
    made = []
    for shape in ((1, THIN), (THIN, 1), (3, THIN // 8), (THIN // 8, 3)):
        grey = Image.fromarray(np.full(shape, 130, np.uint8))
        made.append(_written(grey, "PNG", compress_level=1))
    return (*made, _written(Image.fromarray(np.full((1, 65_000), 130, np.uint8)), "JPEG"))


@cache
def plain_png(level: int = 230) -> bytes:
    """One that must be answered right."""
    return _written(Image.fromarray(np.full((10, 20, 3), level, np.uint8)), "PNG")


def _image(mode: str, height: int, width: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng([seed, height, width])
    levels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    if mode == "I;16":
        return Image.fromarray(levels[..., 0].astype(np.uint16) * 257)
    return picture if mode == "RGB" else picture.convert(mode)


def _written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()

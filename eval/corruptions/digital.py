"""Corruptions of colour, geometry and storage of ImageNet-C.

**Differences.** Blocks are in units of the picture, a published one of b pixels is b * unit; below 224 pixels
1 + (b - 1) * unit, because a block of less than a pixel is none. `elastic_transform` samples once, affine
and elastic displacement together, in fields whose edges meet, and keeps x and y apart where the published
code takes rows for columns. Its published severities are two scales of warp: 1 and 2 are wide, 3 to 5 are
fine. So are those of `saturate`: 1 and 2 take colour away, 3 to 5 add it. A grey picture has none and stays
as it is.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from eval.corruptions.fields import PUBLISHED_SIDE, levels, planes, smooth_field, unit
from models.results import Array

__all__ = ["elastic_transform", "pixelate", "saturate"]

ELASTIC_SIDE = 244  # as published


def saturate(image: Array, severity: int, _: np.random.Generator) -> Array:
    """Colours paler or stronger, hue and value kept; the hue of a grey pixel is red, as published."""
    times, plus = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))[severity - 1]
    pixels = planes(image)
    if pixels.shape[2] == 1:
        return image.copy()
    value = pixels.max(axis=2, keepdims=True)
    depth = value - pixels.min(axis=2, keepdims=True)
    saturation = np.divide(depth, value, out=np.zeros_like(value), where=value > 0)
    away = np.broadcast_to(np.array([0.0, 1.0, 1.0]), pixels.shape).copy()
    np.divide(value - pixels, depth, out=away, where=depth > 0)
    return levels(value * (1 - np.clip(saturation * times + plus, 0, 1) * away))


def pixelate(image: Array, severity: int, _: np.random.Generator) -> Array:
    """Square blocks of one colour."""
    published, scale = 1 / (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1], unit(image)
    block = max(published * scale, 1 + (published - 1) * scale)
    high, wide = image.shape[:2]
    small = max(1, int(wide / block)), max(1, int(high / block))
    picture = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.array(picture.resize((wide, high), Image.Resampling.BOX))


def elastic_transform(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Stretched as rubber: three points pulled, and every pixel a little to somewhere."""
    strength, spread, pull = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02),
                              (0.12, 0.01, 0.02))[severity - 1]  # fmt: skip
    pixels, (high, wide) = planes(image), image.shape[:2]
    # Uniform noise in [-1, 1], smoothed, has this deviation at the published size.
    smooth = 2 * math.sqrt(math.pi) * spread * ELASTIC_SIDE
    shift = strength * ELASTIC_SIDE / math.sqrt(3) / smooth * unit(image)
    dx, dy = (shift * smooth_field((high, wide), spread * ELASTIC_SIDE * unit(image), rng) for _ in "xy")
    rows, columns = np.mgrid[:high, :wide]
    (a, b, c), (d, e, f) = _pulled(high, wide, pull, rng)
    x, y = columns + dx, rows + dy
    return levels(_sampled(pixels, a * x + b * y + c, d * x + e * y + f))


def _pulled(high: int, wide: int, pull: float, rng: np.random.Generator) -> list[list[float]]:
    """Where pixels come from, as `(2, 3)` rows for x and y, when three corners of a square are moved."""
    side = min(high, wide)
    centre, reach = np.array([wide // 2, high // 2]), max(side / 3, 1)
    before = centre + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    most = pull * ELASTIC_SIDE / PUBLISHED_SIDE * side
    after = before + rng.uniform(-most, most, before.shape)
    solved: list[list[float]] = np.linalg.solve(np.column_stack([after, np.ones(3)]), before).T.tolist()
    return solved


def _sampled(pixels: Array, x: Array, y: Array) -> Array:
    """Pixels `(H, W, C)` at places between them, by straight lines; mirrored beyond the edges."""
    (x0, x1, right), (y0, y1, down) = (
        _between(v, n) for v, n in ((x, pixels.shape[1]), (y, pixels.shape[0]))
    )
    upper = pixels[y0, x0] * (1 - right) + pixels[y0, x1] * right
    lower = pixels[y1, x0] * (1 - right) + pixels[y1, x1] * right
    sampled: Array = upper * (1 - down) + lower * down
    return sampled


def _between(place: Array, count: int) -> tuple[Array, Array, Array]:
    """The two neighbours of each place, folded back inside, and how far it is toward the second."""
    first = np.floor(place)
    part = (place - first)[..., None]
    whole = first.astype(np.int64)
    around = max(2 * count - 2, 1)
    folded = [np.abs((n + count - 1) % around - (count - 1)) for n in (whole, whole + 1)]
    return folded[0], folded[1], part

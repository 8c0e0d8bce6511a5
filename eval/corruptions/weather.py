"""Weather of ImageNet-C: snow, frost, fog, and what splashes on a lens.

**Differences.** Lengths are in units of the picture (`eval.corruptions.fields`). Frost is drawn here,
crystals with arms and twigs, where the published code takes crops of photographs of ice. Snow falls in
streaks of our own, not ImageMagick's. Drops are lit by their own slope, where the published code draws on
Canny's edges. Fog and noise fields have edges that meet. On a grey picture tinted things are grey.
"""

from __future__ import annotations

import math

import numpy as np

from eval.corruptions.fields import (
    PUBLISHED_SIDE,
    convolved,
    gaussian,
    levels,
    planes,
    plasma,
    resized,
    smooth_field,
    streak,
    unit,
)
from models.results import Array

__all__ = ["fog", "frost", "snow", "spatter"]

LUMA = np.array([0.299, 0.587, 0.114])
CRYSTALS, SEEDS, THICK = 2, 0.008, 80.0  # of frost: kinds, each turned another way; how many; how bright
ARM, TWIG = 40, 8  # their lengths in pixels of 224
LEAST_DROP = 2 / 3  # of the published size: below, drops would be single pixels and cover half of all
CLOUD = 256  # pixels of the cloud; the longer side of the picture covers 224 of them
WATER, MUD = np.array([175, 238, 238]) / 255, np.array([63, 42, 20]) / 255


def _tint(colour: Array, pixels: Array) -> Array:
    """A colour for as many planes as there are."""
    return colour if pixels.shape[2] == 3 else (colour @ LUMA)[None]


def fog(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """A bright cloud in front, the whole darkened to fit."""
    thick, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[severity - 1]
    pixels = planes(image)
    most = pixels.max()
    cloud = _over(plasma(CLOUD, decay, rng), PUBLISHED_SIDE, image.shape)
    return levels((pixels + thick * cloud[..., None]) * most / (most + thick))


def _over(field: Array, cells: int, shape: tuple[int, ...]) -> Array:
    """The upper left of a field over a picture `(H, W)`, whose longer side covers so many cells."""
    high, wide = shape[:2]
    cell = cells / max(high, wide)
    return resized(field, (high, wide), (0, 0, wide * cell, high * cell))


def frost(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Ice on the window."""
    keep, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    pixels = planes(image)
    return levels(keep * pixels + ice * _ice(pixels, rng))


def _ice(pixels: Array, rng: np.random.Generator) -> Array:
    """Ice `(H, W, C)` in [0, 1], white on blue: crystals grown from points, denser where a cloud says so."""
    shape, scale = pixels.shape[:2], unit(pixels)
    cloud = _over(plasma(CLOUD, 1.6, rng), PUBLISHED_SIDE, shape)
    grown = np.zeros((*shape, 1))
    for _ in range(CRYSTALS):
        turn = rng.uniform(0, 60)
        seeds = rng.random(shape) < SEEDS * (cloud / scale) ** 2
        points = rng.exponential(scale**2, shape) * seeds
        stars = _star(ARM * scale, turn), _star(TWIG * scale, turn)
        grown += convolved(points[..., None], *stars, gaussian(0.4 * scale))
    thick = 0.35 * cloud[..., None] + 1 - np.exp(-THICK * grown)
    low, high = (_tint(np.array(c), pixels) for c in ((0.05, 0.12, 0.2), (0.92, 0.97, 1.0)))
    ice: Array = low + (high - low) * np.clip(thick, 0, 1)
    return ice


def _star(length: float, turn: float) -> Array:
    """Six arms `(k, k)`; convolved with a smaller one, they have twigs, as ice has."""
    arms = np.stack([streak(length, length / 2, turn + 60 * i) for i in range(6)])
    star: Array = arms.mean(axis=0)
    return star


def snow(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Flakes that fall in streaks, in a picture whitened by them."""
    mean, spread, flake, least, radius, smear, keep = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    pixels, (high, wide) = planes(image), image.shape[:2]
    cell = max(1, flake * unit(image))
    drawn = rng.normal(mean, spread, (math.ceil(high / cell), math.ceil(wide / cell)))
    layer = resized(drawn, (high, wide))
    layer[layer < least] = 0
    kernel = streak(2 * radius * unit(image), smear * unit(image), rng.uniform(-135, -45))
    layer = convolved(np.clip(layer, 0, 1)[..., None], kernel)
    grey = pixels @ LUMA if pixels.shape[2] == 3 else pixels[..., 0]
    white = np.maximum(pixels, (1.5 * grey + 0.5)[..., None])
    return levels(keep * pixels + (1 - keep) * white + layer + layer[::-1, ::-1])


def spatter(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Drops of water (1 to 3) or of mud (4, 5) on the lens."""
    mean, spread, size, least, amount = (
        (0.65, 0.3, 4, 0.69, 0.6),
        (0.65, 0.3, 3, 0.68, 0.6),
        (0.65, 0.3, 2, 0.68, 0.5),
        (0.65, 0.3, 1, 0.65, 1.5),
        (0.67, 0.4, 1, 0.65, 1.5),
    )[severity - 1]
    pixels, scale = planes(image), max(unit(image), LEAST_DROP)
    # Smoothing leaves this much of the noise's deviation at the published size.
    rest = spread / (2 * math.sqrt(math.pi) * size)
    liquid = mean + rest * smooth_field(image.shape[:2], size * scale, rng)
    if severity <= 3:
        drop = np.maximum(liquid - least, 0) / rest
        slope = drop - np.roll(drop, (-1, -1), (0, 1))
        light = np.clip(0.5 * (drop > 0) + 0.5 * drop + 1.5 * size * scale * slope * (drop > 0), 0, 1)
        return levels(pixels + (amount * light)[..., None] * _tint(WATER, pixels))
    cover = convolved((liquid > least)[..., None].astype(float), gaussian(amount * scale))
    cover[cover < 0.8] = 0
    return levels(pixels * (1 - cover) + cover * _tint(MUD, pixels))

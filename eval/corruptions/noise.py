"""Noise of ImageNet-C: of the sensor, so of each pixel, whatever the size of the picture.

**Differences.** A grey picture gets one draw for all channels. Impulses fall on each value of a pixel by
itself, as published.
"""

from __future__ import annotations

import numpy as np

from eval.corruptions.fields import levels, planes
from models.results import Array

__all__ = ["impulse_noise", "shot_noise", "speckle_noise"]


def shot_noise(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """As many photons as a Poisson draw says: dark pixels are relatively noisier."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return levels(rng.poisson(planes(image) * photons) / photons)


def impulse_noise(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Salt and pepper: a share of the values becomes 0 or 255, either as often."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    pixels = planes(image)
    drawn = rng.random(pixels.shape)
    return levels(np.where(drawn < share, drawn < share / 2, pixels))


def speckle_noise(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Normal noise in proportion to the value: dark pixels stay."""
    spread = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
    pixels = planes(image)
    return levels(pixels + pixels * rng.normal(0, spread, pixels.shape))

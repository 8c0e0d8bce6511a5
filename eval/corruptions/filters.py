"""Corruptions after ImageNet-C: uint8 in, uint8 out, same shape, at native resolution.

Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and
perturbations", arXiv 1903.12261, with the severities of the authors' code.

**Differences.** Blur is in units of the picture: the published radii are for 224 pixels, so they are scaled
by the shorter side / 224, without the least length of `eval.corruptions.fields`: below some 50 pixels the
first severities of `gaussian_blur` do next to nothing. Draws are Philox, so a picture is the same every
time. Numbers are therefore not comparable with the published ImageNet-C files.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from eval.corruptions.fields import PUBLISHED_SIDE, levels
from models.results import Array

__all__ = ["brightness", "contrast", "gaussian_blur", "gaussian_noise", "jpeg"]


def _levels(values: Array) -> Array:
    """Floats in [0, 1] -> uint8, clipped, truncated as the published code does."""
    whole: Array = np.clip(values, 0, 1) * 255
    return whole.astype(np.uint8)


def gaussian_noise(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Normal noise; one for all channels of a grey picture, as its sensor has one."""
    spread = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    grey = (image == image[..., :1]).all()
    noise = rng.normal(0, spread, (*image.shape[:2], 1 if grey else 3))
    return _levels(image / 255 + noise)


def gaussian_blur(image: Array, severity: int, _: np.random.Generator) -> Array:
    """A normal kernel, cut at four spreads; edges repeated."""
    spread = (1, 2, 3, 4, 6)[severity - 1] * min(image.shape[:2]) / PUBLISHED_SIDE
    reach = max(1, int(4 * spread + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    kernel /= kernel.sum()
    out = image / 255
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        wide = np.pad(out, pad, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(wide, len(kernel), axis=axis)
        out = windows @ kernel
    return levels(out)  # a sum whose last digit is the machine's own


def brightness(image: Array, severity: int, _: np.random.Generator) -> Array:
    """Value (the largest channel) raised, hue and saturation kept."""
    lift = (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    pixels = image / 255
    value = pixels.max(axis=2, keepdims=True)
    raised = np.clip(value + lift, 0, 1)
    scaled = np.divide(
        pixels * raised, value, out=np.broadcast_to(raised, pixels.shape).copy(), where=value > 0
    )
    return _levels(scaled)


def contrast(image: Array, severity: int, _: np.random.Generator) -> Array:
    """Every channel drawn toward its mean."""
    keep = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    pixels = image / 255
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return _levels((pixels - mean) * keep + mean)


def jpeg(image: Array, severity: int, _: np.random.Generator) -> Array:
    """Saved as JPEG of low quality and read again."""
    quality = (25, 18, 15, 10, 7)[severity - 1]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return np.asarray(picture.convert("RGB"))

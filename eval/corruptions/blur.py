"""Blurs of ImageNet-C, in units of the picture (see `eval.corruptions.fields`).

**Differences.** The edge of the lens's disc is drawn by how much of a pixel it covers, where the published
code smooths a disc of whole pixels. Motion is a streak of sub-pixel steps, after ImageMagick's, which is
not needed. Glass mixes pixels by sorting jittered places, rows then columns: a local permutation with the
spread of the published one, which swaps them one after the other (`jitter`).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from eval.corruptions.fields import convolved, disc, gaussian, levels, planes, streak, unit
from models.results import Array

__all__ = ["defocus_blur", "glass_blur", "jitter", "motion_blur", "shuffled", "zoom_blur"]


def defocus_blur(image: Array, severity: int, _: np.random.Generator) -> Array:
    """Out of focus: every point becomes a disc."""
    radius = (3, 4, 6, 8, 10)[severity - 1] * unit(image)
    return levels(convolved(planes(image), disc(radius)))


def glass_blur(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Behind frosted glass: blurred, pixels mixed with their neighbours, blurred again."""
    spread, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    kernel = gaussian(spread * unit(image))
    pixels = convolved(planes(image), kernel)
    came = shuffled(image.shape[:2], jitter(reach) * unit(image), times, rng)
    return levels(convolved(pixels.reshape(-1, pixels.shape[2])[came], kernel))


def jitter(reach: int) -> float:
    """For `shuffled` to carry pixels as far as swaps of at most `reach` do; a test compares the two."""
    return 2.2 + 2.3 * reach


def shuffled(shape: tuple[int, ...], most: float, times: int, rng: np.random.Generator) -> Array:
    """Where each pixel `(H, W)` comes from, as a flat index: nearby, and from each place once.

    Pixels are sorted by their places plus up to `most`, along the rows, then down the columns.
    """
    high, wide = shape
    came = np.arange(high * wide).reshape(high, wide)
    for _ in range(times):
        across = np.argsort(np.arange(wide) + rng.uniform(0, most, (high, wide)), axis=1)
        down = np.argsort(np.arange(high) + rng.uniform(0, most, (wide, high)), axis=1)
        came = np.take_along_axis(np.take_along_axis(came, across, axis=1).T, down, axis=1).T
    return came


def motion_blur(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """The camera moved while it looked, within 45 degrees of level."""
    radius, spread = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    kernel = streak(2 * radius * unit(image), spread * unit(image), rng.uniform(-45, 45))
    return levels(convolved(planes(image), kernel))


def zoom_blur(image: Array, severity: int, _: np.random.Generator) -> Array:
    """The camera came nearer while it looked: the mean of ever larger pictures."""
    most, step = ((0.10, 0.01), (0.15, 0.01), (0.20, 0.02), (0.24, 0.02), (0.30, 0.03))[severity - 1]
    picture, (high, wide) = Image.fromarray(image), image.shape[:2]
    total, count = 2 * image.astype(np.float64), 2
    for i in range(1, round(most / step) + 1):
        part = (1 - 1 / (1 + i * step)) / 2
        box = part * wide, part * high, (1 - part) * wide, (1 - part) * high
        total += np.asarray(picture.resize((wide, high), Image.Resampling.BILINEAR, box=box))
        count += 1
    return levels(total / count / 255)

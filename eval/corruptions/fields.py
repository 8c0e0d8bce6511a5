"""What corruptions are made of: picture units, kernels, convolution, and smooth fields drawn at random.

Lengths were published for pictures of 224 pixels. `unit` turns them into pixels of this picture: the
shorter side / 224, as if it were 64 where it is shorter. Below, the published lengths would be fractions
of a pixel and do nothing; with 64 they come near those the authors chose for 32 pixels (CIFAR-10-C).
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from models.results import Array

__all__ = [
    "PUBLISHED_SIDE",
    "convolved",
    "disc",
    "gaussian",
    "levels",
    "planes",
    "plasma",
    "resized",
    "smooth_field",
    "streak",
    "unit",
]

PUBLISHED_SIDE = 224
SMALLEST_SIDE = 64
SNAP = 1e-6  # levels; what another machine's last digit may not decide
SUBPIXELS = 8  # of a disc's edge, each way
STEPS = 4  # of a streak, in a pixel


def unit(image: Array) -> float:
    """Pixels of this picture for one pixel of the published 224."""
    return float(max(min(image.shape[:2]), SMALLEST_SIDE) / PUBLISHED_SIDE)


def planes(image: Array) -> Array:
    """uint8 RGB -> float64 `(H, W, C)` in [0, 1]; one plane of a grey picture, as its sensor has one."""
    grey = (image == image[..., :1]).all()
    return image[..., : 1 if grey else 3] / 255


def levels(values: Array) -> Array:
    """Floats in [0, 1], `(H, W, 1)` or `(H, W, 3)` -> uint8 RGB, truncated as the published code does."""
    whole = np.floor(np.clip(values, 0, 1) * 255 + SNAP).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(whole, (*whole.shape[:2], 3)))


def resized(
    plane: Array, shape: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Array:
    """Float `(h, w)`, or a box (left, top, right, bottom) of it, at another size, by straight lines."""
    picture = Image.fromarray(plane.astype(np.float32))
    out = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box=box)
    return np.asarray(out, np.float64)


def convolved(pixels: Array, *kernels: Array) -> Array:
    """Every plane of `(H, W, C)` convolved with odd-sized kernels, one after the other; edges repeated."""
    up, left = (sum(kernel.shape[axis] // 2 for kernel in kernels) for axis in (0, 1))
    high, wide = pixels.shape[:2]
    size = _quick(high + 2 * up), _quick(wide + 2 * left)
    response = math.prod(np.fft.rfft2(kernel, size) for kernel in kernels)
    out = np.empty(pixels.shape)
    for c in range(pixels.shape[2]):
        padded = np.pad(pixels[..., c], ((up, up), (left, left)), mode="edge")
        whole = np.fft.irfft2(np.fft.rfft2(padded, size) * response, size)
        out[..., c] = whole[2 * up : 2 * up + high, 2 * left : 2 * left + wide]
    return out


def _quick(length: int) -> int:
    """The next length whose only factors are 2, 3 and 5, which transform fast."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def gaussian(spread: float) -> Array:
    """A normal kernel `(k, k)`, cut at four spreads, of sum 1."""
    reach = max(1, int(4 * spread + 0.5))
    row = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    return _of_sum_1(np.outer(row, row))


def disc(radius: float) -> Array:
    """A disc `(k, k)` of sum 1; a pixel at its edge counts by how much of it lies inside."""
    reach = math.ceil(radius)
    fine = (np.arange((2 * reach + 1) * SUBPIXELS) + 0.5) / SUBPIXELS - (reach + 0.5)
    inside = fine[:, None] ** 2 + fine**2 <= radius**2
    shape = 2 * reach + 1, SUBPIXELS, 2 * reach + 1, SUBPIXELS
    return _of_sum_1(inside.reshape(shape).sum(axis=(1, 3)))


def streak(length: float, spread: float, degrees: float) -> Array:
    """A line `(k, k)` of sum 1 from the centre, anticlockwise from the right, fading as a normal curve."""
    end = min(length, 4 * spread)
    along = np.arange(0, end + 1e-9, 1 / STEPS)
    weight = np.exp(-0.5 * (along / spread) ** 2)
    reach = math.ceil(end) + 1
    x = reach + along * math.cos(math.radians(degrees))
    y = reach - along * math.sin(math.radians(degrees))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    for right, down in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near = (1 - np.abs(x - column - right)) * (1 - np.abs(y - row - down))
        np.add.at(kernel, (row + down, column + right), weight * near)
    return _of_sum_1(kernel)


def _of_sum_1(kernel: Array) -> Array:
    share: Array = kernel / kernel.sum()
    return share


def smooth_field(shape: tuple[int, int], spread: float, rng: np.random.Generator) -> Array:
    """Normal noise `(H, W)` smoothed by a normal kernel, of mean 0 and variance 1; opposite edges meet."""
    down, across = (np.exp(-2 * (math.pi * spread * np.fft.fftfreq(n)) ** 2) for n in shape)
    spectrum = np.fft.rfft2(rng.standard_normal(shape))
    spectrum *= down[:, None] * np.abs(across[: spectrum.shape[1]])
    power = np.mean(down**2) * np.mean(across**2)
    field: Array = np.fft.irfft2(spectrum, shape) / math.sqrt(power)
    return field


def plasma(side: int, decay: float, rng: np.random.Generator) -> Array:
    """A cloud `(side, side)` in [0, 1] by the diamond-square algorithm (Fournier et al., 1982); edges meet.

    Args:
        side: a power of two.
        decay: the height of details falls by its square whenever their size halves.
    """
    cloud = np.zeros((side, side))
    step, height = side, 1.0
    while step >= 2:
        half = step // 2

        def lifted(total: Array, height: float = height) -> Array:
            return total / 4 + rng.uniform(-height, height, total.shape)

        corners = cloud[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        cloud[half::step, half::step] = lifted(pairs + np.roll(pairs, -1, 1))
        middles = cloud[half::step, half::step]
        sides = corners + np.roll(corners, -1, 1) + middles + np.roll(middles, 1, 0)
        cloud[::step, half::step] = lifted(sides)
        sides = corners + np.roll(corners, -1, 0) + middles + np.roll(middles, 1, 1)
        cloud[half::step, ::step] = lifted(sides)
        step, height = half, height / decay**2
    cloud -= cloud.min()
    cloud /= cloud.max()
    return cloud

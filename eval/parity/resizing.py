"""Filters that other stacks resize with: OpenCV's, PyTorch's without antialias, TensorFlow's old ones.

Each is separable: one matrix for the rows, one for the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from eval.parity.pipeline import Resize
from models.results import Array, Shape

__all__ = ["FILTERS"]


def _tent(x: Array) -> Array:
    tent: Array = np.maximum(0.0, 1 - np.abs(x))
    return tent


def _cubic(x: Array) -> Array:
    """Keys' with a = -0.75, as OpenCV and PyTorch have it."""
    a, x = -0.75, np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


# (old size, new size) -> where each new pixel lies among the old ones
CENTRES: dict[str, Callable[[int, int], Array]] = {
    "halves": lambda size, new: (np.arange(new) + 0.5) * (size / new) - 0.5,
    "corners": lambda size, new: np.arange(new) * ((size - 1) / max(1, new - 1)),
    "zero": lambda size, new: np.arange(new) * (size / new),
}


def _kernel(size: int, new: int, kernel: Callable[[Array], Array], reach: int, rule: str) -> Array:
    """`(new, size)` weights that look at `reach` neighbours either side, the edge repeated: no antialias."""
    centres = CENTRES[rule](size, new)
    weights = np.zeros((new, size))
    first = np.floor(centres).astype(np.int64)
    for step in range(1 - reach, reach + 1):
        at = first + step
        np.add.at(weights, (np.arange(new), at.clip(0, size - 1)), kernel(centres - at))
    return weights


def _wide(size: int, new: int) -> Array:
    """Lanczos over three output pixels either side, antialiased as Pillow does it."""
    scale = max(1.0, size / new)
    centres = (np.arange(new)[:, None] + 0.5) * (size / new)
    weights = _lanczos((np.arange(size) + 0.5 - centres) / scale)
    whole: Array = weights / weights.sum(axis=1, keepdims=True)
    return whole


def _area(size: int, new: int) -> Array:
    """The share of each pixel that lies under the new one; enlarged, OpenCV's is bilinear."""
    if new > size:
        return _kernel(size, new, _tent, 1, "halves")
    edges = np.arange(new + 1) * (size / new)
    inside = np.minimum(edges[1:, None], np.arange(size) + 1) - np.maximum(edges[:-1, None], np.arange(size))
    shares: Array = inside.clip(0) * (new / size)
    return shares


def _picked(size: int, new: int) -> Array:
    """The pixel at floor(i * size / new): OpenCV's and PyTorch's nearest; Pillow's looks at centres."""
    weights = np.zeros((new, size))
    weights[np.arange(new), np.arange(new) * size // new] = 1
    return weights


def _separable(matrix: Callable[[int, int], Array]) -> Resize:
    cached = lru_cache(maxsize=64)(matrix)

    def resize(image: Array, size: Shape) -> Array:
        down, across = cached(image.shape[0], size[0]), cached(image.shape[1], size[1])
        tall = np.tensordot(down, image.astype(np.float64), axes=(1, 0))
        wide = np.tensordot(tall, across, axes=(1, 1)).transpose(0, 2, 1)
        return np.floor(wide.clip(0, 255) + 0.5).astype(np.uint8)

    return resize


# name -> (picture, (H, W)) -> picture. Rounded to whole levels, as all of them do on 8-bit pictures.
FILTERS: dict[str, Resize] = {
    "nearest, corners (OpenCV, PyTorch)": _separable(_picked),
    "bilinear without antialias (OpenCV, PyTorch)": _separable(
        lambda size, new: _kernel(size, new, _tent, 1, "halves")
    ),
    "bilinear, corners aligned": _separable(lambda size, new: _kernel(size, new, _tent, 1, "corners")),
    "bilinear from zero (TensorFlow 1)": _separable(lambda size, new: _kernel(size, new, _tent, 1, "zero")),
    "bicubic without antialias (OpenCV, PyTorch)": _separable(
        lambda size, new: _kernel(size, new, _cubic, 2, "halves")
    ),
    "area (OpenCV)": _separable(_area),
    "Lanczos (Pillow)": _separable(_wide),
}

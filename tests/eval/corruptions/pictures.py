"""Pictures made of whole numbers, so that no machine's sine changes them."""

from __future__ import annotations

import numpy as np

from models.results import Array

__all__ = ["grey", "small", "wide"]


def small() -> Array:
    """uint8 `(16, 24, 3)`: every value differs from its neighbours'."""
    return (np.arange(16 * 24 * 3).reshape(16, 24, 3) * 7 % 256).astype(np.uint8)


def wide() -> Array:
    """uint8 `(70, 110, 3)`: slopes, a square, a disc and stripes; sides without a common factor of 8."""
    y, x = np.mgrid[:70, :110]
    image = np.stack([2 * x + y // 2, 255 - 3 * y, (x * y) // 32 % 256], axis=2)
    image[10:30, 15:40] = 230, 40, 30
    image[(y - 45) ** 2 + (x - 75) ** 2 < 300] = 20, 60, 200
    image[:, 95:][:, ::4] = 250
    out: Array = np.clip(image, 0, 255).astype(np.uint8)
    return out


def grey() -> Array:
    """uint8 `(28, 28, 3)`, all channels equal: a bright ring on black, as a digit is."""
    y, x = np.mgrid[:28, :28]
    far = (y - 14) ** 2 + (x - 13) ** 2
    plane = np.clip(255 - (far - 64) ** 2 // 8, 0, 255)
    out: Array = np.repeat(plane[..., None], 3, axis=2).astype(np.uint8)
    return out

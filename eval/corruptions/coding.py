"""What a lossy step in between leaves of a picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from models.results import Array

__all__ = ["recoded"]


def recoded(image: Array, quality: int) -> Array:
    """uint8 RGB `(H, W, 3)`, saved as JPEG of that quality (1 to 95) and read again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return np.asarray(picture.convert("RGB"))

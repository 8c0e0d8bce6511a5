"""What is served and what is sent: two published models and three pictures, all made here from a seed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from models.publish import publish
from models.repository import Version
from models.results import Array
from tests.bench.serving.nets import RESNET18_FACTS, SEED, TINY_FACTS, resnet18, tiny

__all__ = ["Material", "photograph", "tiny_version"]

JPEG_QUALITY = 90


@dataclass
class Material:
    """Models and inputs, each made when first asked for.

    Attributes:
        folder: where the repositories are written, one for each model.
    """

    folder: Path

    @cached_property
    def tiny(self) -> Version:
        return tiny_version(self.folder / "tiny", 1)

    @cached_property
    def resnet18(self) -> Version:
        golden = photograph(480, 640)
        return publish(self.folder / "resnet18", resnet18(), RESNET18_FACTS, golden_image=golden)

    @cached_property
    def pixels32(self) -> Array:
        """uint8 `(32, 32, 3)`."""
        return photograph(32, 32)

    @cached_property
    def png32(self) -> bytes:
        return _encoded(self.pixels32, "PNG")

    @cached_property
    def jpeg640(self) -> bytes:
        return _encoded(photograph(480, 640), "JPEG", quality=JPEG_QUALITY)

    @cached_property
    def jpeg2000(self) -> bytes:
        return _encoded(photograph(1500, 2000), "JPEG", quality=JPEG_QUALITY)


def tiny_version(root: Path, number: int) -> Version:
    """Version `number` of the small net; each has weights of its own."""
    golden = photograph(32, 32)
    return publish(root, tiny(SEED + number), {**TINY_FACTS, "version": number}, golden_image=golden)


def photograph(height: int, width: int) -> Array:
    """uint8 `(H, W, 3)`: detail at every scale with the power of natural images, and a sensor's noise.

    A JPEG of it at quality 90 has about 2 bits a pixel, as many a photograph has.
    """
    rng = np.random.default_rng([SEED, height, width])
    total = np.zeros((height, width, 3), np.float32)
    cells, strength = 2, 1.0
    while cells < max(height, width):
        rows, columns = (
            max(2, cells * height // max(height, width)),
            max(2, cells * width // max(height, width)),
        )
        for channel in range(3):
            coarse = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
            layer = coarse.resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += strength * np.asarray(layer)
        cells, strength = cells * 2, strength * 0.75
    noise = rng.normal(0, 5, total.shape)
    levels = 127 + 60 * total / total.std() + noise
    pixels: Array = np.clip(levels, 0, 255).astype(np.uint8)
    return pixels


def _encoded(image: Array, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()

"""Corruptions by name, and the one way to apply them.

The 15 + 4 of ImageNet-C (Hendrycks and Dietterich, 2019, arXiv 1903.12261) with the severities of the
authors' code, at the resolution of the picture. **Differences** are told where each is; together they mean
that numbers are not comparable with those on the published files, which are JPEGs of one size besides.

The same on any machine, as far as the libraries are: NumPy may change what it draws between versions, and
JPEG is Pillow's. Golden hashes in the tests tell. No field decides by its last digit (`levels`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from eval.attacks.base import draws
from eval.corruptions import blur, digital, filters, noise, weather
from models.results import Array

__all__ = ["COMMON", "CORRUPTIONS", "EXTRA", "QUICK", "SEVERITIES", "corrupt", "spelled_out"]

Filter: TypeAlias = Callable[[Array, int, np.random.Generator], Array]
# In the order of the published tables.
CORRUPTIONS: Mapping[str, Filter] = {
    "gaussian_noise": filters.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": filters.brightness,
    "contrast": filters.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": filters.jpeg,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": filters.gaussian_blur,
    "spatter": weather.spatter,
    "saturate": digital.saturate,
    "jpeg": filters.jpeg,  # the short name of jpeg_compression
}
COMMON = tuple(CORRUPTIONS)[:15]  # what mCE and mPC are over
EXTRA = tuple(CORRUPTIONS)[15:19]
QUICK = ("gaussian_noise", "gaussian_blur", "brightness", "contrast", "jpeg")  # one of each kind
SETS: Mapping[str, tuple[str, ...]] = {"common": COMMON, "extra": EXTRA, "quick": QUICK}
SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(image: Array, name: str, severity: int, *, seed: int, sample: str) -> Array:
    """The corrupted picture, the same for the same (seed, sample, name, severity).

    Args:
        image: uint8 RGB `(H, W, 3)` of any size; a grey one stays grey.

    Raises:
        ValueError: no such corruption or severity.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be in 1..5, got {severity}")
    return CORRUPTIONS[name](image, severity, draws(seed, sample, name)(severity))


def spelled_out(names: str) -> str:
    """Comma-separated names, where `common` (15), `extra` (4) and `quick` (5) stand for several."""
    told = [name.strip() for name in names.split(",")]
    return ",".join(one for name in told for one in SETS.get(name, (name,)))

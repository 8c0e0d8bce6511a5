"""Corruptions by name, and the one way to apply them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from eval.attacks.base import draws
from eval.corruptions import filters
from models.results import Array

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupt"]

Filter: TypeAlias = Callable[[Array, int, np.random.Generator], Array]
CORRUPTIONS: Mapping[str, Filter] = {
    "gaussian_noise": filters.gaussian_noise,
    "gaussian_blur": filters.gaussian_blur,
    "brightness": filters.brightness,
    "contrast": filters.contrast,
    "jpeg": filters.jpeg,
}
SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(image: Array, name: str, severity: int, *, seed: int, sample: str) -> Array:
    """The corrupted picture, the same for the same (seed, sample, name, severity).

    Raises:
        ValueError: no such corruption or severity.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be in 1..5, got {severity}")
    return CORRUPTIONS[name](image, severity, draws(seed, sample, name)(severity))

"""The pictures that set the ranges of an int8 graph, prepared exactly as a server prepares them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.card import ModelCard
from models.optimise.tools import CannotOptimise
from models.results import Array
from models.tasks import TASKS

__all__ = ["Calibration", "calibration_of", "digest_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A calibration set, ready to be run.

    Attributes:
        name: the data argument it came from, e.g. `digits:train`.
        batch: `(N, ...)` in the graph's layout and type.
        sha256: of the pictures; see `digest_of`.
    """

    name: str
    batch: Array
    sha256: str

    def __len__(self) -> int:
        return len(self.batch)


def calibration_of(name: str, card: ModelCard, images: Iterable[Array]) -> Calibration:
    """uint8 RGB `(H, W, 3)` images, prepared by the task's own `prepare`.

    Raises:
        CannotOptimise: there are none.
    """
    task, images = TASKS[card.task](card), list(images)
    if not images:
        raise CannotOptimise(f"calibration needs at least one picture, {name} has none")
    return Calibration(name, np.stack([task.prepare(image) for image in images]), digest_of(images))


def digest_of(images: Iterable[Array]) -> str:
    """sha256 over shape (three little-endian int64) and pixels of each picture in order, hex."""
    total = hashlib.sha256()
    for image in images:
        total.update(np.array(image.shape, "<i8").tobytes())
        total.update(np.ascontiguousarray(image).tobytes())
    return total.hexdigest()

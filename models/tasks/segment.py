"""Semantic segmentation: one class per pixel of the image as sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.card import ModelCard
from models.families.segmentation import SEGMENTATION
from models.imaging import fit, nearest, parts, place, resample
from models.results import Array, Segmentation, Shape

__all__ = ["Segment"]


@dataclass(frozen=True, slots=True)
class Segment:
    """What the card's family reads: planes `(C, h, w)` or labels `(h, w)`, at any stride of the input.

    Planes are resized before the argmax: resizing scores, not labels, keeps edges as fine as the image.
    """

    card: ModelCard

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return fit(image, self.card.input, shape=shape, scale=scale)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Segmentation:
        found, spec = SEGMENTATION[self.card.family].read_finite(outputs, self.card), self.card.input
        placement = place(shape, spec)
        labels = np.empty(shape, np.uint8 if len(self.card.labels) <= 256 else np.uint16)
        if found.ndim == 2:
            labels[:] = nearest(found, placement, spec, shape)
            return Segmentation(labels)
        for part in parts(shape):  # the scores of 25 million pixels would take gigabytes
            labels[part] = resample(found, placement, spec, shape, part).argmax(axis=0)
        return Segmentation(labels)

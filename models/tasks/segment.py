"""Semantic segmentation: one class per pixel of the image as sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.card import ModelCard
from models.imaging import fit, parts, place, resample
from models.results import Array, Segmentation, Shape

__all__ = ["Segment"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Family `logits`: `(C, h, w)` at any stride of the input, resized before the argmax.

    Resizing scores, not labels, keeps edges as fine as the image.
    """

    card: ModelCard

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return fit(image, self.card.input, shape=shape, scale=scale)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Segmentation:
        planes, spec = outputs[0], self.card.input
        placement = place(shape, spec)
        labels = np.empty(shape, np.uint8 if len(planes) <= 256 else np.uint16)
        for part in parts(shape):  # the scores of 25 million pixels would take gigabytes
            labels[part] = resample(planes, placement, spec, shape, part).argmax(axis=0)
        return Segmentation(labels)

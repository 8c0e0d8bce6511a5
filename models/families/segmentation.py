"""Segmentation: planes of class scores, float `(C, h, w)`, or a map of labels, integer `(h, w)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.card import InputSpec, ModelCard
from models.families.family import FLOATS, NUMBERS, WHOLES, Family
from models.families.grids import alike, one_stride
from models.families.shapes import Sizes
from models.results import Array

__all__ = ["SEGMENTATION"]


def _several(sizes: Sizes, spec: InputSpec) -> str | None:
    if sizes.get("C") == 1:
        return "planes must be one for each of at least 2 classes, got 1: a binary model?"
    return one_stride(sizes, spec)


def _planes(outputs: Sequence[Array], card: ModelCard) -> Array:
    """Which axis holds the classes is told by their number.

    Raises:
        ValueError: no axis has it, or two have and the sizes do not settle it.
    """
    planes, classes, spec = outputs[0], len(card.labels), card.input
    first = planes.shape[0] == classes and alike(planes.shape[1], planes.shape[2], spec)
    last = planes.shape[2] == classes and alike(planes.shape[0], planes.shape[1], spec)
    if first == last:
        found = "two" if first else "none"
        raise ValueError(f"one axis must hold the {classes} labels, got {found} of {list(planes.shape)}")
    return planes if first else planes.transpose(2, 0, 1)


def _labels(outputs: Sequence[Array], card: ModelCard) -> Array:
    """A map of labels, every one of which the card must name."""
    labels = _flat(outputs[0])
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= len(card.labels):
        raise ValueError(f"labels must be from 0 to {len(card.labels) - 1}, got {least} to {most}")
    return labels


def _binary(outputs: Sequence[Array], _: ModelCard) -> Array:
    return _against(outputs[0].astype(np.float32) - np.float32(0.5))


def _binary_logits(outputs: Sequence[Array], _: ModelCard) -> Array:
    return _against(outputs[0].astype(np.float32))


def _against(plane: Array) -> Array:
    """A foreground plane beside a background of 0: the larger one wins, background on ties."""
    plane = _flat(plane)
    return np.stack([np.zeros_like(plane), plane])


def _flat(plane: Array) -> Array:
    """`(h, w)`, `(1, h, w)` or `(h, w, 1)` -> `(h, w)`."""
    if plane.ndim == 2:
        return plane
    return plane[0] if len(plane) == 1 else plane[..., 0]


_PLANES = (("C h w",), ("h w C",))
_ONE = (("h w",), ("1 h w",), ("h w 1",))
SEGMENTATION: Mapping[str, Family[Array]] = {
    "logits": Family(
        "logits",
        "segmentation",
        "one output (N, C, h, w) or (N, h, w, C): a plane of scores for each class, at any stride",
        _PLANES,
        (NUMBERS,),
        _planes,
        _several,
    ),
    "probabilities": Family(
        "probabilities",
        "segmentation",
        "one output (N, C, h, w) or (N, h, w, C): a plane of probabilities for each class, at any stride",
        _PLANES,
        ("fu",),
        _planes,
        _several,
    ),
    "labels": Family(
        "labels",
        "segmentation",
        "one output (N, h, w), (N, 1, h, w) or (N, h, w, 1) of whole numbers: a label map, at any stride",
        _ONE,
        (WHOLES,),
        _labels,
        one_stride,
    ),
    "binary": Family(
        "binary",
        "segmentation",
        "one output (N, h, w), (N, 1, h, w) or (N, h, w, 1): the probability of the foreground",
        _ONE,
        (FLOATS,),
        _binary,
        one_stride,
        always=2,
    ),
    "binary-logits": Family(
        "binary-logits",
        "segmentation",
        "one output (N, h, w), (N, 1, h, w) or (N, h, w, 1): the foreground's score before a sigmoid",
        _ONE,
        (FLOATS,),
        _binary_logits,
        one_stride,
        always=2,
    ),
}

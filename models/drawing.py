"""A result drawn on its picture, for a person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["PALETTE", "drawn", "heated"]

PALETTE = np.array(  # Okabe and Ito's colours, then a grey; told apart by the colour-blind too
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0],
     [204, 121, 167], [160, 160, 160]], np.uint8,
)  # fmt: skip
# Dark over purple and orange to pale yellow: brighter is hotter, in grey and to the colour-blind too.
_HEAT = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]])
_RAMP = np.stack([np.interp(np.arange(256), np.linspace(0, 255, 5), c) for c in _HEAT.T], 1).astype(np.uint8)
_FLAT = 1e-6  # a map that varies less says nothing, and its last digits are not drawn
_LINE = 14  # pixels of a line of text in Pillow's own font


def drawn(image: Array, result: Result, labels: Sequence[str], *, top: int = 5) -> Array:
    """uint8 RGB `(H, W, 3)` -> the same with the answer on it.

    The `top` best classes in the corner; boxes with class and score; or each class's pixels tinted, the
    first class left as it is.
    """
    match result:
        case Segmentation():
            return _tinted(image, result)
        case Classification():
            picture = Image.fromarray(image)
            lines = [f"{labels[i]} {result.scores[i]:.2f}" for i in result.top(top)]
            for row, line in enumerate(lines):
                _write(picture, (2, 2 + row * _LINE), line, (255, 255, 255))
        case Detections():
            picture = Image.fromarray(image)
            _boxed(picture, result, labels)
    return np.asarray(picture)


def heated(image: Array, heat: Array) -> Array:
    """uint8 RGB `(H, W, 3)` -> the same under a heat map, half and half; brighter is hotter.

    Colours run from 0, or from the least value where that is above 0, to the most.

    Args:
        heat: float `(H, W)`, finite.
    """
    low, high = max(0.0, float(heat.min())), float(heat.max())
    levels = np.zeros(heat.shape, np.uint8)
    if high - low > _FLAT:
        levels = ((heat - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    mixed: Array = image // 2 + _RAMP[levels] // 2
    return mixed


def _tinted(image: Array, found: Segmentation) -> Array:
    colours = PALETTE[(found.labels - 1) % len(PALETTE)]
    mixed = (image.astype(np.uint16) + colours) // 2
    return np.where((found.labels > 0)[..., None], mixed, image).astype(np.uint8)


def _boxed(picture: Image.Image, found: Detections, labels: Sequence[str]) -> None:
    width = max(1, round(min(picture.size) / 200))
    pen = ImageDraw.Draw(picture)
    for box, score, label in zip(found.boxes.tolist(), found.scores, found.labels, strict=True):
        colour = tuple(PALETTE[label % len(PALETTE)].tolist())
        pen.rectangle(box, outline=colour, width=width)
        _write(picture, (box[0] + width, max(0, box[1] - _LINE)), f"{labels[label]} {score:.2f}", colour)


def _write(picture: Image.Image, at: tuple[float, float], text: str, colour: tuple[int, ...]) -> None:
    """Text on a dark ground, readable on any picture; moved left where it would leave it."""
    pen = ImageDraw.Draw(picture)
    at = (max(0.0, min(at[0], picture.width - pen.textlength(text) - 1)), at[1])
    pen.rectangle(pen.textbbox(at, text), fill=(20, 20, 20))
    pen.text(at, text, fill=colour)

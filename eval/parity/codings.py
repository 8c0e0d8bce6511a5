"""Skews of decoding: another orientation, another coding in between, other colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from eval.corruptions.coding import recoded
from eval.parity.pipeline import Pipeline
from models.decoding import Picture, read_picture
from models.imaging import wanted
from models.results import Array

__all__ = ["CODINGS", "PAINTS", "without_exif"]

QUALITIES = (50, 75, 80, 85, 90, 95)
APP1, SCAN = 0xE1, 0xDA
LUMA = np.array([0.299, 0.587, 0.114])  # BT.601, of red, green and blue
Change: TypeAlias = Callable[[Pipeline], Pipeline | None]


def without_exif(file: bytes) -> bytes:
    """A JPEG without the segments that say how it was held; anything else as it is."""
    if file[:3] != b"\xff\xd8\xff":
        return file
    kept, at = [file[:2]], 2
    while at + 4 <= len(file) and file[at] == 0xFF and file[at + 1] not in (SCAN, 0xFF):
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if file[at + 1] != APP1:
            kept.append(file[at:end])
        at = end
    return b"".join([*kept, file[at:]])


def _as_stored(file: bytes) -> Picture:
    return read_picture(without_exif(file))


def _again(quality: int) -> Callable[[bytes], Picture]:
    def read(file: bytes) -> Picture:
        picture = read_picture(file)
        return replace(picture, pixels=recoded(picture.pixels, quality))

    return read


def _reading(read: Callable[[bytes], Picture]) -> Change:
    return lambda pipeline: replace(pipeline, read=read)


def _small(pipeline: Pipeline) -> Pipeline:
    """Decoded at as few eighths as the input needs."""
    spec = pipeline.card.input
    return replace(pipeline, read=lambda file: read_picture(file, wanted=lambda shape: wanted(shape, spec)))


def _grey(weights: Array) -> Callable[[Array], Array]:
    def paint(pixels: Array) -> Array:
        grey = np.floor(pixels @ weights + 0.5).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)

    return paint


def _inverted(pixels: Array) -> Array:
    inverted: Array = 255 - pixels
    return inverted


def _painted(paint: Callable[[Array], Array]) -> Change:
    return lambda pipeline: replace(pipeline, paint=paint)


def _of_grey(paint: Callable[[Array], Array]) -> Change:
    """Where the graph takes one channel."""
    return lambda p: replace(p, paint=paint) if p.card.input.channels == "L" else None


CODINGS: Mapping[str, Change] = {
    "EXIF orientation ignored": _reading(_as_stored),
    "JPEG decoded at a few eighths": _small,
    **{f"saved again as JPEG, quality {quality}": _reading(_again(quality)) for quality in QUALITIES},
}
PAINTS: Mapping[str, Change] = {
    "grey in place of colour": _painted(_grey(LUMA)),
    "grey as the plain mean": _of_grey(_grey(np.full(3, 1 / 3))),
    "grey after BT.709": _of_grey(_grey(np.array([0.2126, 0.7152, 0.0722]))),
    "grey of red and blue exchanged": _of_grey(_grey(LUMA[::-1])),
    "black and white exchanged": _painted(_inverted),
}

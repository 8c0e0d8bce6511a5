"""What a sample is, in words: the slices a report breaks its scores down by."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eval.data.dataset import IGNORED, Dataset, Sample
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import UnreadableImage, peek, read_picture

__all__ = ["LUMA", "SIZES", "SLICES", "slicer"]

SIZES = (64, 256, 512, 1024, 2048)  # pixels along a side of a square as large
LUMA = (64, 128, 192)  # of 255
NONE = "none"
UNREADABLE = "unreadable"
_LOOK = 64  # pixels along the shorter side that are enough to tell how bright a picture is

Slice = Callable[[Sample, tuple[str, ...]], str]


def _class(sample: Sample, labels: tuple[str, ...]) -> str:
    if isinstance(sample.expected, int):
        return labels[sample.expected]
    own = sample.expected
    numbers = own.labels if isinstance(own, Objects) else own[own != IGNORED]
    counts = np.bincount(numbers.ravel().astype(np.int64), minlength=1)
    return labels[int(counts.argmax())] if counts.any() else NONE


def _size(sample: Sample, _: tuple[str, ...]) -> str:
    try:
        head = peek(sample.file)
    except UnreadableImage:
        return UNREADABLE
    side = math.sqrt(head.width * head.height)
    at = bisect_left(SIZES, side)
    return f"over {SIZES[-1]}" if at == len(SIZES) else f"up to {SIZES[at]}"


def _brightness(sample: Sample, _: tuple[str, ...]) -> str:
    try:
        pixels = read_picture(
            sample.file, wanted=lambda shape: (min(shape[0], _LOOK), min(shape[1], _LOOK))
        ).pixels
    except UnreadableImage:
        return UNREADABLE
    luma = float(pixels.reshape(-1, 3).mean(axis=0) @ np.array([0.299, 0.587, 0.114]))
    edges = (0, *LUMA, 256)
    at = sum(luma >= edge for edge in LUMA)
    return f"{edges[at]} to {edges[at + 1] - 1}"


def _objects(sample: Sample, _: tuple[str, ...]) -> str:
    own = sample.expected
    if isinstance(own, int):
        return "1"
    if isinstance(own, Objects):
        found = len(own) - int(own.crowd.sum())
    else:
        found = int((np.bincount(own[own != IGNORED].ravel(), minlength=1) > 0).sum())
    return "6 or more" if found > 5 else "2 to 5" if found > 1 else str(found)


SLICES: Mapping[str, Slice] = {
    "class": _class,
    "size": _size,
    "brightness": _brightness,
    "objects": _objects,
}


def slicer(names: Sequence[str], data: Dataset) -> Callable[[Sample], dict[str, str]]:
    """What gives, for a sample of the data, its value in each of the slices.

    * `class`: the true class. Detection: the one with most objects, segmentation: the one with most
      pixels (of equals the first of the data); `none` where there is nothing.
    * `size`: pixels, by the header alone, as the side of a square: up to 64, 256, 512, 1024, 2048, over.
    * `brightness`: mean luma (ITU-R BT.601) in four bands: 0 to 63, 64 to 127, 128 to 191, 192 to 255.
      JPEG pictures are decoded at an eighth of their size or little more for it.
    * `objects`: 0, 1, 2 to 5, 6 or more; crowds are not counted, in segmentation classes are.
    * any tag of the data: a column of a table, a field of a COCO image, the `parent` folder; `none`
      where a sample has no value. A tag called like one of these is reached as `tag.NAME`.

    Raises:
        DatasetError: there is no such slice; tells what there is.
    """
    columns = set(data[0].tags) if len(data) else set()
    unknown = [name for name in names if name not in SLICES and name.removeprefix("tag.") not in columns]
    if unknown:
        there = ", ".join([*SLICES, *sorted(columns)])
        raise DatasetError(f"{data.name}: a slice must be one of {there}; got {unknown[0]!r}")
    labels = data.labels

    def value(name: str, sample: Sample) -> str:
        if name in SLICES:
            return SLICES[name](sample, labels)
        return sample.tags.get(name, sample.tags.get(name.removeprefix("tag."), "")) or NONE

    return lambda sample: {name: value(name, sample) for name in names}

"""What can be wrong with one sample: its picture, its truth, and whether the two belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from eval.data.alike import thumbnail
from eval.data.dataset import IGNORED, Dataset, Expected, Sample
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import UnreadableImage, read_picture
from models.results import Array, Shape

__all__ = ["BROKEN", "KINDS", "Seen", "seen"]

BROKEN, WARNING = "broken", "warning"
# A run would stumble over what is broken, or count it wrongly; a warning is for a person to look at.
KINDS: Mapping[str, tuple[str, str]] = {
    "unreadable": (BROKEN, "the picture or its labels cannot be read"),
    "box_empty": (BROKEN, "a box has no area, or its corners are swapped"),
    "box_outside": (BROKEN, "a box lies wholly outside its picture"),
    "mask_size": (BROKEN, "a mask has another size than its picture"),
    "mask_values": (BROKEN, "a mask has values that are no class"),
    "contradiction": (BROKEN, "the same file has different labels"),
    "leak": (BROKEN, "the same file is in the data it must not share pictures with"),
    "box_over_edge": (WARNING, "a box reaches over the edge of its picture by more than a pixel"),
    "nothing_labelled": (WARNING, "the picture has no label: no object, or no pixel that counts"),
    "duplicate": (WARNING, "the same file is there more than once"),
    "near_duplicate": (WARNING, "two pictures look the same"),
    "near_leak": (WARNING, "a picture looks like one of the data it must not share pictures with"),
    "class_without_pictures": (WARNING, "a class is in no picture"),
    "left_out": (WARNING, "the reader passed over something"),
}
SLACK = 1.0  # pixels that hand-drawn boxes may reach over an edge
BROKEN_FILE = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a sample.

    Attributes:
        faults: (one of `KINDS`, what exactly).
        digest: sha256 of the file; empty where there was none.
        truth: digest of the labels: equal where they are.
        small: uint8 `(8, 9)` grey thumbnail, or None where the picture is unreadable.
        shape: (H, W) as shown.
        classes: int64 `(C,)`: objects, pixels or pictures of each class.
    """

    id: str
    faults: list[tuple[str, str]] = field(default_factory=list)
    digest: bytes = BROKEN_FILE
    truth: bytes = b""
    small: Array | None = None
    shape: Shape = (0, 0)
    classes: Array | None = None


def seen(data: Dataset, index: int) -> Seen:
    """Load one sample, decode its picture and hold its truth against it."""
    name = data.ids[index]
    try:
        sample = data[index]
    except (DatasetError, OSError) as error:
        return Seen(name, [("unreadable", str(error))])
    digest = hashlib.sha256(sample.file).digest()
    counts = _counts(sample.expected, len(data.labels))
    truth = _digest(sample.expected)
    try:
        picture = read_picture(sample.file, wanted=lambda shape: (min(shape[0], 64), min(shape[1], 64)))
    except UnreadableImage as error:
        return Seen(name, [("unreadable", str(error))], digest, truth, classes=counts)
    faults = _faults(sample, picture.shape, len(data.labels))
    return Seen(name, faults, digest, truth, thumbnail(picture.pixels), picture.shape, counts)


def _faults(sample: Sample, shape: Shape, classes: int) -> list[tuple[str, str]]:
    own = sample.expected
    if isinstance(own, Objects):
        return _of_objects(own, shape)
    if isinstance(own, int):
        return []
    if own.shape != shape:
        return [("mask_size", f"the mask has {own.shape} pixels (H, W), its picture {shape}")]
    strange = own[(own != IGNORED) & ((own < 0) | (own >= classes))]
    if len(strange):
        return [("mask_values", f"no class has the number {np.unique(strange)[:5].tolist()}")]
    return [] if (own != IGNORED).any() else [("nothing_labelled", "no pixel counts")]


def _of_objects(own: Objects, shape: Shape) -> list[tuple[str, str]]:
    if not len(own):
        return [("nothing_labelled", "no object")]
    found = []
    height, width = shape
    for box in own.boxes.tolist():
        x1, y1, x2, y2 = box
        told = f"{[round(side, 2) for side in box]} in {width} x {height}"
        over = max(-x1, -y1, x2 - width, y2 - height)
        if x2 <= x1 or y2 <= y1:
            found.append(("box_empty", told))
        elif x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            found.append(("box_outside", told))
        elif over > SLACK:
            found.append(("box_over_edge", f"{told}, by {over:.1f}"))
    if own.masks is not None and own.masks.shape[1:] != shape:
        found.append(
            ("mask_size", f"the masks have {own.masks.shape[1:]} pixels (H, W), the picture {shape}")
        )
    return found


def _counts(own: Expected, classes: int) -> Array:
    numbers = np.array([own]) if isinstance(own, int) else own.labels if isinstance(own, Objects) else own
    if numbers.dtype != np.uint8:
        numbers = numbers[(numbers >= 0) & (numbers < classes)]
    return np.bincount(numbers.ravel(), minlength=classes)[:classes]


def _digest(own: Expected) -> bytes:
    if isinstance(own, int):
        return own.to_bytes(8, "little")
    if isinstance(own, Objects):
        rows = np.column_stack([own.labels, own.boxes])
        return hashlib.sha256(rows[np.lexsort(rows.T)].tobytes()).digest()
    return hashlib.sha256(repr(own.shape).encode() + np.ascontiguousarray(own).tobytes()).digest()

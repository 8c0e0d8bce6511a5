"""Examples for the page: images, what an attack changed, boxes, label maps."""

from __future__ import annotations

import base64
import colorsys
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from eval.data.dataset import IGNORED
from eval.metrics.truth import Objects
from eval.report.document import Picture
from eval.worst import SURE, pair
from models.decoding import encode_png
from models.results import Array, Detections

__all__ = ["attacked", "change", "colours", "detected", "painted", "photo", "picture", "segmented"]

OKABE = [  # and Ito's colours, then greys; index 0 is dark
    [34, 40, 49], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0],
    [204, 121, 167], [160, 160, 160],
]  # fmt: skip
GOLDEN = 0.61803398875  # of a turn of the hue: any run of classes differs
SPUN = [
    [
        round(255 * v)
        for v in colorsys.hsv_to_rgb(i * GOLDEN % 1, (0.75, 0.5)[i % 2], (0.95, 0.7, 0.85)[i % 3])
    ]
    for i in range(len(OKABE), IGNORED)
]
PALETTE = np.array([*OKABE, *SPUN, [255, 255, 255]], np.uint8)  # white: does not count
SIDE = 480  # pixels of an example's longer side, at most
TINY = 128  # smaller pictures are kept to the pixel
WRONG = (220, 38, 38)


def picture(image: Array, caption: str) -> Picture:
    """uint8 RGB `(H, W, 3)` as a picture of the page, lossless."""
    uri = "data:image/png;base64," + base64.b64encode(encode_png(image, level=9)).decode()
    return Picture(uri, caption, image.shape[1], image.shape[0])


def photo(image: Array, caption: str, *, side: int = SIDE) -> Picture:
    """The same for pictures to look at: at most so many pixels, as JPEG unless it is tiny."""
    if max(image.shape[:2]) <= TINY:
        return picture(image, caption)
    small = Image.fromarray(image)
    small.thumbnail((side, side))
    kept = io.BytesIO()
    small.save(kept, "JPEG", quality=88)
    uri = "data:image/jpeg;base64," + base64.b64encode(kept.getvalue()).decode()
    return Picture(uri, caption, small.width, small.height)


def attacked(
    original: Array, changed: Array, was: str, became: str, told: str, *, side: int = SIDE
) -> list[Picture]:
    """The clean picture, the one that was sent, and the change magnified around mid grey.

    Args:
        was, became, told: captions; of the change, how much it is magnified is said first.
        side: pixels of the longer side, at most.
    """
    return [
        photo(original, was, side=side),
        photo(changed, became, side=side),
        change(original, changed, told, side=side),
    ]


def change(original: Array, changed: Array, told: str, *, side: int = SIDE) -> Picture:
    """What was added, magnified to fill the range around mid grey; single pixels, never their mean."""
    delta = changed.astype(np.int16) - original
    gain = 127 / max(1, int(np.abs(delta).max(initial=0)))
    step = -(-max(original.shape[:2]) // side)
    magnified = (128 + delta[::step, ::step] * gain).clip(0, 255).astype(np.uint8)
    return photo(magnified, f"change × {gain:.3g}, {told}", side=side)  # noqa: RUF001


def detected(
    image: Array, found: Detections, truth: Objects, labels: Sequence[str], *, side: int = SIDE
) -> list[Picture]:
    """One picture with the true boxes and the found ones of score 0.5 or more, right and wrong told apart."""
    found = found[found.scores >= SURE]
    false, missed = pair(found, truth)
    told = f"{len(truth)} true, {int(missed.sum())} missed, {int(false.sum())} false"
    base = photo(image, told, side=side)
    scale = base.width / image.shape[1]
    boxes = [
        (*_corners(box, scale), labels[label], "missed" if lost else "expected")
        for box, label, lost in zip(truth.boxes, truth.labels, missed, strict=True)
    ]
    boxes += [
        (*_corners(box, scale), f"{labels[label]} {score:.2f}", "false" if wrong else "predicted")
        for box, score, label, wrong in zip(found.boxes, found.scores, found.labels, false, strict=True)
    ]
    return [Picture(base.uri, base.caption, base.width, base.height, boxes)]


def _corners(box: Array, scale: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) * scale for value in box)
    return x1, y1, x2, y2


def segmented(image: Array, predicted: Array, expected: Array) -> list[Picture]:
    """The picture, the true label map and the found one in the same colours, and where they differ in red."""
    counted = expected != IGNORED
    differ = (predicted != expected) & counted
    share = float(differ.sum() / counted.sum()) if counted.any() else 0.0
    faded = 255 - (255 - image.mean(axis=2, keepdims=True)) * 0.45
    errors = np.where(differ[..., None], np.array(WRONG), faded).astype(np.uint8)
    return [
        photo(image, "picture"),
        painted(expected, "true"),
        painted(predicted, "found"),
        photo(errors, f"wrong in red: {share:.3f} of the pixels"),
    ]


def painted(labels: Array, caption: str, *, side: int = SIDE) -> Picture:
    """A label map in the colours of its classes."""
    step = -(-max(labels.shape) // side)
    return picture(_coloured(labels[::step, ::step]), caption)


def colours(maps: Sequence[Array], labels: Sequence[str]) -> dict[str, str]:
    """The colours of the classes that are in some of the label maps: name -> `#rrggbb`."""
    there = sorted({int(label) for one in maps for label in np.unique(one)} - {IGNORED})
    key = {labels[i]: "#" + bytes(PALETTE[i % IGNORED]).hex() for i in there}
    return {**key, "not counted": "#ffffff"} if any((one == IGNORED).any() for one in maps) else key


def _coloured(labels: Array) -> Array:
    """Colours repeat where there are more classes than colours."""
    return PALETTE[np.where(labels == IGNORED, IGNORED, labels % IGNORED)]

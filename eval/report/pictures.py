"""Examples for the page: images, what an attack changed, boxes, label maps."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from eval.metrics.truth import Objects
from eval.report.document import Picture
from models.decoding import encode_png
from models.results import Array, Detections

__all__ = ["attacked", "detected", "picture", "segmented"]

PALETTE = np.array(  # Okabe and Ito's colours, then greys; index 0 is dark
    [[34, 40, 49], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0],
     [204, 121, 167], [160, 160, 160]], np.uint8,
)  # fmt: skip
SURE = 0.5


def picture(image: Array, caption: str) -> Picture:
    """uint8 RGB `(H, W, 3)` as a picture of the page."""
    uri = "data:image/png;base64," + base64.b64encode(encode_png(image, level=9)).decode()
    return Picture(uri, caption, image.shape[1], image.shape[0])


def attacked(original: Array, changed: Array, was: str, became: str, distance: float) -> list[Picture]:
    """The clean picture, the one that was sent, and the change magnified around mid grey."""
    delta = changed.astype(np.float64) - original
    gain = 127 / max(1.0, float(np.abs(delta).max()))
    magnified = (128 + delta * gain).clip(0, 255).astype(np.uint8)
    return [
        picture(original, f"true {was}"),
        picture(changed, f"answered {became}"),
        picture(magnified, f"change × {gain:.1f}, {distance:.0f} levels"),  # noqa: RUF001
    ]


def detected(image: Array, found: Detections, truth: Objects, labels: Sequence[str]) -> list[Picture]:
    """One picture with the true boxes (dashed) and the found ones of score 0.5 or more."""
    base = picture(image, f"{len(truth)} true (dashed), {int((found.scores >= SURE).sum())} found")
    boxes = [
        (*map(float, box), labels[label], "expected")
        for box, label in zip(truth.boxes, truth.labels, strict=True)
    ]
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        if score >= SURE:
            boxes.append((*map(float, box), f"{labels[label]} {score:.2f}", "predicted"))
    return [Picture(base.uri, base.caption, base.width, base.height, boxes)]


def segmented(image: Array, predicted: Array, expected: Array) -> list[Picture]:
    """The picture, the true label map and the found one, in the same colours."""
    wrong = float((predicted != expected).mean())
    return [
        picture(image, "picture"),
        picture(PALETTE[np.minimum(expected, len(PALETTE) - 1)], "true"),
        picture(PALETTE[np.minimum(predicted, len(PALETTE) - 1)], f"found, {1 - wrong:.3f} right"),
    ]

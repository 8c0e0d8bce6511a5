"""Pictures whose truth is known, one task each, and whether the answer is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deploy.image.container import Way
from models.decoding import encode_png
from models.digits import digits
from models.results import Array, Classification, Detections, Segmentation
from models.scenes import scene
from models.wire import results_of

__all__ = ["QUESTIONS", "SCENE", "Question"]

# The shipped models are far better on this scene, and any other model is worse.
LEAST_OVERLAP, LEAST_PIXELS = 0.7, 0.97
SCENE = 1  # three objects, none of which hides another


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A picture, where it is sent, and what must come back.

    Attributes:
        is_right: whether a result is, by the truth and not by what a model once said.
    """

    task: str
    path: str
    pixels: int
    png: bytes
    is_right: Callable[[Any], bool]

    def body(self) -> tuple[bytes, dict[str, str]]:
        """Multipart with the picture in the field `image`, and its headers."""
        boundary = "picture-boundary"
        head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="image"; filename="picture.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + self.png + f"\r\n--{boundary}--\r\n".encode()
        return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def holds(self, answer: bytes) -> bool:
        """Whether the body of an answer is right."""
        try:
            (result,) = results_of(json.loads(answer), self.task, [self.pixels])  # type: ignore[arg-type]
        except ValueError:
            return False
        return self.is_right(result)

    def ask(self, way: Way) -> str | None:
        """None when the answer is right, else what came instead. Only in one of the way's threads."""
        connection = way.connect()
        try:
            body, headers = self.body()
            connection.request("POST", self.path, body, headers)
            reply = connection.getresponse()
            answer = reply.read()
        finally:
            connection.close()
        if reply.status == 200 and self.holds(answer):
            return None
        return f"{self.path} answered {reply.status} {answer[:200]!r}"


def _digit() -> Question:
    images, labels = digits("test")

    def is_right(told: Classification) -> bool:
        return told.label == int(labels[0])

    return Question("classification", "/classify?model=digits&scores=true", *_sent(images[0]), is_right)


def _objects() -> Question:
    drawn = scene(SCENE)

    def is_right(told: Detections) -> bool:
        """Every object is found by the best boxes: as many, each with its class and in its place."""
        best = slice(len(drawn.labels))
        boxes, labels = told.boxes[best], told.labels[best]
        overlap = _overlap(drawn.boxes, boxes) * (drawn.labels[:, None] == labels[None, :])
        return overlap.shape[0] == overlap.shape[1] and bool((overlap.max(axis=1) >= LEAST_OVERLAP).all())

    return Question("detection", "/detect?model=scenes-detector", *_sent(drawn.image), is_right)


def _regions() -> Question:
    drawn = scene(SCENE)

    def is_right(told: Segmentation) -> bool:
        return float((told.labels == drawn.semantic).mean()) >= LEAST_PIXELS

    return Question("segmentation", "/segment?model=scenes-segmenter", *_sent(drawn.image), is_right)


def _sent(image: Array) -> tuple[int, bytes]:
    return image.shape[0] * image.shape[1], encode_png(image)


def _overlap(one: Array, other: Array) -> Array:
    """Intersection over union, `(N, M)`, of boxes xyxy."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    shares: Array = both / (areas[0][:, None] + areas[1][None, :] - both)
    return shares


QUESTIONS: tuple[Callable[[], Question], ...] = (_digit, _objects, _regions)

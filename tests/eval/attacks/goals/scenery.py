"""A detector and a segmenter that can be worked out by hand, and pictures for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.data.dataset import IGNORED
from eval.metrics.truth import Objects
from models.results import Array, Detections, Result, Segmentation

SIZES = ((24, 30), (18, 33), (26, 20))  # never square
CLASSES = ("red", "green", "blue")


def regions(shape: tuple[int, ...]) -> Array:
    """float64 `(6, 4)`, xyxy: two rows of three."""
    ys, xs = np.linspace(0, shape[0], 3), np.linspace(0, shape[1], 4)
    return np.array([[xs[j], ys[i], xs[j + 1], ys[i + 1]] for i in range(2) for j in range(3)])


class Spots:
    """An object of class c wherever channel c of a region is bright; its box leans to the brighter half."""

    def __init__(self) -> None:
        self.asked: list[Array] = []

    def answer(self, image: Array) -> Result:
        boxes, scores, labels = [], [], []
        for x1, y1, x2, y2 in regions(image.shape):
            part = image[int(y1) : int(y2), int(x1) : int(x2)].astype(np.float64)
            middle = part.shape[1] // 2
            lean = (part[:, middle:].mean() - part[:, :middle].mean()) / 20
            for label, level in enumerate(part.mean(axis=(0, 1)).tolist()):
                boxes.append([x1 + lean, y1, x2 + lean, y2])
                scores.append(1 / (1 + np.exp(-(level - 128) / 12)))
                labels.append(label)
        order = np.argsort(scores)[::-1]
        found = Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels))
        return found[order]

    async def predict(self, images: Sequence[Array]) -> list[Result]:
        self.asked += list(images)
        return [self.answer(image) for image in images]


class Colours(Spots):
    """The brightest channel of each pixel is its class."""

    def answer(self, image: Array) -> Result:
        return Segmentation(image.argmax(axis=2).astype(np.uint8))


def spotted(count: int = 3, level: int = 135) -> tuple[list[Array], list[Objects]]:
    """Dim noise with two bright regions in each picture, and a crowd that nothing is said about."""
    rng, images, truths = np.random.default_rng(7), [], []
    for i in range(count):
        image = rng.integers(90, 100, (*SIZES[i % len(SIZES)], 3), dtype=np.uint8)
        places = rng.permutation(6)[:3]
        boxes, labels = regions(image.shape)[places], rng.integers(0, 3, 3)
        for (x1, y1, x2, y2), label in zip(boxes[:2].astype(int), labels, strict=False):
            image[y1:y2, x1:x2, label] = level
        crowd = np.array([False, False, True])
        images.append(image)
        truths.append(Objects(boxes, labels, crowd=crowd, image=f"{i:03d}"))
    return images, truths


def coloured(count: int = 3) -> tuple[list[Array], list[Array]]:
    """Blobs of three colours that differ by a few levels; one row of each truth does not count."""
    rng, images, truths = np.random.default_rng(9), [], []
    for i in range(count):
        height, width = SIZES[i % len(SIZES)]
        truth = rng.integers(0, 3, (height // 6 + 1, width // 6 + 1)).repeat(6, 0).repeat(6, 1)
        truth = truth[:height, :width].astype(np.uint8)
        image = rng.integers(110, 118, (height, width, 3), dtype=np.uint8)
        np.put_along_axis(image, truth[..., None].astype(np.int64), 122, axis=2)
        truth[0] = IGNORED
        images.append(image)
        truths.append(truth)
    return images, truths

"""Every family read the slow way: plain Python, one number at a time, written from its description."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.card import ModelCard
from models.imaging import place
from models.results import Array, Shape

__all__ = ["DETECTORS", "Seen", "classified", "detected", "segmented"]

Box = tuple[float, float, float, float]


@dataclass(eq=False)
class Seen:
    """One object in the input: `row` is where the graph speaks of it, `values` what its mask is told by."""

    box: Box
    score: float
    label: int
    row: int = 0
    pixels: dict[tuple[int, int], float] = field(default_factory=dict)


Reader = Callable[[Sequence[Array], ModelCard], Iterator[Seen]]


def centred(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def single(value: float) -> float:
    """Rounded to float32."""
    return float(np.float32(value))


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def dense(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    for box, scores in zip(outputs[0].tolist(), outputs[1].tolist(), strict=True):
        for label, score in enumerate(scores):
            yield Seen(box, score, label)


def yolov5(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    for x, y, width, height, thing, *classes in outputs[0].tolist():
        for label, score in enumerate(classes):
            yield Seen(centred(x, y, width, height), single(thing * score), label)


def yolox(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    rows = iter(outputs[0].tolist())
    for stride in (8, 16, 32):
        for down in range(card.input.height // stride):
            for right in range(card.input.width // stride):
                x, y, width, height, thing, *classes = next(rows)
                if not card.postprocess.activated:
                    x, y = (right + x) * stride, (down + y) * stride
                    width, height = math.exp(width) * stride, math.exp(height) * stride
                box = centred(x, y, width, height)
                for label, score in enumerate(classes):
                    yield Seen(box, single(thing * score), label)
    assert next(rows, None) is None


def yolov8(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    maps = outputs[0].tolist()
    for label in range(len(card.labels)):
        for column in range(len(maps[0])):
            x, y, width, height = (maps[i][column] for i in range(4))
            yield Seen(centred(x, y, width, height), maps[4 + label][column], label, column)


def yolov10(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    for x1, y1, x2, y2, score, label in outputs[0].tolist():
        yield from numbered((x1, y1, x2, y2), score, round(label), card)


def numbered(box: Box, score: float, label: int, card: ModelCard, row: int = 0) -> Iterator[Seen]:
    label -= card.postprocess.first_label
    if label >= 0:
        yield Seen(box, score, label, row)


def fastestdet(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    height, width = outputs[0].shape[1:]
    high, wide = card.input.height, card.input.width
    for down in range(height):
        for right in range(width):
            thing, x, y, w, h, *classes = outputs[0][:, down, right].tolist()
            best = max(classes)
            yield Seen(
                centred(
                    (right + math.tanh(x)) / width * wide,
                    (down + math.tanh(y)) / height * high,
                    logistic(w) * wide,
                    logistic(h) * high,
                ),
                single(thing**0.6 * best**0.4),
                classes.index(best),
            )


def centernet(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    heat, sizes, offsets = (output.tolist() for output in outputs)
    classes, height, width = outputs[0].shape
    across, along = card.input.width / width, card.input.height / height
    for label, down, right in np.ndindex(classes, height, width):
        around = [
            heat[label][i][j]
            for i in range(max(0, down - 1), min(height, down + 2))
            for j in range(max(0, right - 1), min(width, right + 2))
        ]
        own = heat[label][down][right]
        if own == max(around):
            w, h = sizes[0][down][right], sizes[1][down][right]
            x, y = right + offsets[0][down][right], down + offsets[1][down][right]
            box = centred(x * across, y * along, w * across, h * along)
            yield Seen(box, own if card.postprocess.activated else single(logistic(own)), label)


def detr(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    for logits, box in zip(outputs[0].tolist(), outputs[1].tolist(), strict=True):
        odds = [math.exp(logit - max(logits)) for logit in logits]
        best = max(logits[:-1])
        label = logits.index(best)
        yield Seen(of_input(box, card), single(odds[label] / math.fsum(odds)), label)


def rtdetr(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    for logits, box in zip(outputs[0].tolist(), outputs[1].tolist(), strict=True):
        for label, logit in enumerate(logits):
            score = logit if card.postprocess.activated else single(logistic(logit))
            yield Seen(of_input(box, card), score, label)


def of_input(box: Sequence[float], card: ModelCard) -> Box:
    x, y, width, height = box
    high, wide = card.input.height, card.input.width
    return centred(x * wide, y * high, width * wide, height * high)


def torchvision(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    columns = zip(outputs[0].tolist(), outputs[1].tolist(), outputs[2].tolist(), strict=True)
    for row, (box, label, score) in enumerate(columns):
        yield from numbered(box, score, label, card, row)


def ssd(outputs: Sequence[Array], card: ModelCard) -> Iterator[Seen]:
    boxes, labels, scores = (output.tolist() for output in outputs[:3])
    count = int(outputs[3].item()) if len(outputs) == 4 else len(boxes)
    high, wide = card.input.height, card.input.width
    for i in range(count):
        one, two, three, four = boxes[i]
        if card.postprocess.box_order == "yxyx":
            box = two * wide, one * high, four * wide, three * high
        else:
            box = one * wide, two * high, three * wide, four * high
        yield from numbered(box, scores[i], round(labels[i]), card)


DETECTORS: Mapping[str, Reader] = {
    "dense": dense,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "yolox": yolox,
    "yolov10": yolov10,
    "fastestdet": fastestdet,
    "centernet": centernet,
    "detr": detr,
    "rtdetr": rtdetr,
    "torchvision": torchvision,
    "maskrcnn": torchvision,
    "ssd": ssd,
    "yolov8-seg": yolov8,
}
CROWDED = {"dense", "yolov5", "yolov8", "yolox", "fastestdet", "yolov8-seg"}


def detected(outputs: Sequence[Array], card: ModelCard, shape: Shape) -> list[Seen]:
    """What is to come out, best first, boxes in pixels of the picture; masks as a value for each pixel."""
    rules = card.postprocess
    least = single(rules.score_threshold)
    seen = [s for s in DETECTORS[card.family](outputs, card) if s.score >= least]
    seen = sorted(seen, key=lambda s: -s.score)[:1000]
    kept: list[Seen] = []
    for one in seen:
        if len(kept) < rules.max_detections and not (
            card.family in CROWDED and any(clash(one, other, card) for other in kept)
        ):
            kept.append(one)
    for one in kept:
        if card.family == "maskrcnn":
            one.pixels = pasted(outputs[3][one.row, 0].tolist(), one.box, card, shape)
        if card.family == "yolov8-seg":
            one.pixels = weighed(outputs, one, card, shape)
        one.box = sent(one.box, card, shape)
    return kept


def clash(one: Seen, other: Seen, card: ModelCard) -> bool:
    if one.label != other.label and not card.postprocess.class_agnostic:
        return False
    (x1, y1, x2, y2), (a1, b1, a2, b2) = one.box, other.box
    shared = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
    areas = max(0, x2 - x1) * max(0, y2 - y1) + max(0, a2 - a1) * max(0, b2 - b1)
    return shared > card.postprocess.iou_threshold * (areas - shared)


def sent(box: Box, card: ModelCard, shape: Shape) -> Box:
    """Of the input -> of the picture, cut to it."""
    at = place(shape, card.input)
    x1, y1, x2, y2 = box
    return (
        min(max((x1 - at.offset_x) / at.scale_x, 0), shape[1]),
        min(max((y1 - at.offset_y) / at.scale_y, 0), shape[0]),
        min(max((x2 - at.offset_x) / at.scale_x, 0), shape[1]),
        min(max((y2 - at.offset_y) / at.scale_y, 0), shape[0]),
    )


def centres(card: ModelCard, shape: Shape) -> Iterator[tuple[int, int, float, float]]:
    """Row, column, and the pixel's centre y, x in the input."""
    at = place(shape, card.input)
    for row in range(shape[0]):
        for column in range(shape[1]):
            y, x = (row + 0.5) * at.scale_y + at.offset_y, (column + 0.5) * at.scale_x + at.offset_x
            yield row, column, y, x


def pasted(
    square: list[list[float]], box: Box, card: ModelCard, shape: Shape
) -> dict[tuple[int, int], float]:
    """How far above 0.5 the square is at every pixel of the box; 0 beyond its cells."""
    x1, y1, x2, y2 = box
    size = len(square)

    def cell(i: int, j: int) -> float:
        return square[i][j] if 0 <= i < size and 0 <= j < size else 0.0

    pixels = {}
    for row, column, y, x in centres(card, shape):
        if x1 <= x < x2 and y1 <= y < y2:
            v, u = (y - y1) / (y2 - y1) * size - 0.5, (x - x1) / (x2 - x1) * size - 0.5
            pixels[row, column] = between(cell, v, u) - 0.5
    return pixels


def between(cell: Callable[[int, int], float], v: float, u: float) -> float:
    i, j = math.floor(v), math.floor(u)
    down, right = v - i, u - j
    upper = cell(i, j) * (1 - right) + cell(i, j + 1) * right
    lower = cell(i + 1, j) * (1 - right) + cell(i + 1, j + 1) * right
    return upper * (1 - down) + lower * down


def at_pixels(plane: list[list[float]], card: ModelCard, shape: Shape) -> dict[tuple[int, int], float]:
    """A plane of the input, at any stride, at every pixel; the edge goes on for ever."""
    height, width = len(plane), len(plane[0])

    def cell(i: int, j: int) -> float:
        return plane[min(max(i, 0), height - 1)][min(max(j, 0), width - 1)]

    high, wide = card.input.height, card.input.width
    return {
        (row, column): between(cell, y / high * height - 0.5, x / wide * width - 0.5)
        for row, column, y, x in centres(card, shape)
    }


def weighed(
    outputs: Sequence[Array], one: Seen, card: ModelCard, shape: Shape
) -> dict[tuple[int, int], float]:
    weights = outputs[0][4 + len(card.labels) :, one.row].tolist()
    planes = outputs[1].tolist()
    height, width = len(planes[0]), len(planes[0][0])

    def cell(i: int, j: int) -> float:
        i, j = min(max(i, 0), height - 1), min(max(j, 0), width - 1)
        return math.fsum(weight * plane[i][j] for weight, plane in zip(weights, planes, strict=True))

    x1, y1, x2, y2 = one.box
    high, wide = card.input.height, card.input.width
    return {
        (row, column): between(cell, y / high * height - 0.5, x / wide * width - 0.5)
        for row, column, y, x in centres(card, shape)
        if x1 <= x < x2 and y1 <= y < y2
    }


def classified(outputs: Sequence[Array], card: ModelCard) -> list[float]:
    """One probability for each class."""
    values = [float(value) for value in outputs[0].flat]
    if card.family == "logits":
        values = [math.exp(value - max(values)) for value in values]
    elif outputs[0].dtype.kind != "u":
        return values
    total = math.fsum(values)
    return [value / total if total else 1 / len(values) for value in values]


def segmented(outputs: Sequence[Array], card: ModelCard, shape: Shape) -> dict[tuple[int, int], list[float]]:
    """For each pixel a number for each class; the first of the largest is the answer."""
    found = outputs[0]
    if card.family in ("logits", "probabilities"):
        first = found.shape[0] == len(card.labels)
        planes = [found[c] if first else found[:, :, c] for c in range(len(card.labels))]
        seen = [at_pixels(plane.astype(float).tolist(), card, shape) for plane in planes]
        return {pixel: [one[pixel] for one in seen] for pixel in seen[0]}
    flat = found if found.ndim == 2 else found[0] if found.shape[0] == 1 else found[:, :, 0]
    if card.family == "labels":
        high, wide = card.input.height, card.input.width
        height, width = flat.shape
        return {
            (row, column): [
                float(label == flat[min(max(math.floor(y / (high / height)), 0), height - 1)][
                    min(max(math.floor(x / (wide / width)), 0), width - 1)
                ])
                for label in range(len(card.labels))
            ]
            for row, column, y, x in centres(card, shape)
        }  # fmt: skip
    edge = 0.5 if card.family == "binary" else 0.0
    plane = at_pixels(flat.astype(float).tolist(), card, shape)
    return {pixel: [0.0, value - edge] for pixel, value in plane.items()}

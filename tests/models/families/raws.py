"""Random raw outputs of every family, with a card: ties, empty ones, thresholds that are scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models.card import ModelCard, TaskName
from models.results import Array

__all__ = ["RAWS", "card_of"]

Draw = np.random.Generator
Raw = Callable[[Draw, dict[str, Any], int], list[Array]]


def card_of(task: TaskName, family: str, classes: int, **fields: Any) -> ModelCard:
    return ModelCard.model_validate(
        {
            "name": "m", "version": 1, "task": task, "family": family, "licence": "Apache-2.0",
            "sha256": "0" * 64, "outputs": ("o",), "labels": [f"class {i}" for i in range(classes)],
            "input": {"height": 32, "width": 32}, **fields,
        }
    )  # fmt: skip


def scores(draw: Draw, *shape: int) -> Array:
    """From 0 to 1; often only eighths, so that many are equal."""
    if draw.random() < 0.5:
        return (draw.integers(0, 9, shape) / 8).astype(np.float32)
    return (draw.random(shape) ** int(draw.choice([1, 8]))).astype(np.float32)


def logits(draw: Draw, *shape: int) -> Array:
    if draw.random() < 0.5:
        return draw.integers(-4, 5, shape).astype(np.float32)
    return draw.normal(0, draw.choice([1, 4, 30]), shape).astype(np.float32)


def corners(draw: Draw, count: int, spec: dict[str, Any]) -> Array:
    """xyxy; some stick out, some are empty, many overlap."""
    first = draw.uniform(-0.2, 1, (count, 2)) * [spec["width"], spec["height"]]
    size = draw.uniform(0, 0.7, (count, 2)) * [spec["width"], spec["height"]]
    boxes = np.concatenate([first, first + size], axis=1)
    return (boxes.round() if draw.random() < 0.5 else boxes).astype(np.float32)


def middles(draw: Draw, count: int, spec: dict[str, Any]) -> Array:
    x1, y1, x2, y2 = corners(draw, count, spec).T
    return np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)


def cells(spec: dict[str, Any]) -> int:
    return sum((spec["height"] // s) * (spec["width"] // s) for s in (8, 16, 32))


def dense(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = int(draw.choice([0, 1, 40, 1500]))
    return [corners(draw, count, spec), scores(draw, count, classes)]


def yolov5(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = 3 * cells(spec)
    return [np.concatenate([middles(draw, count, spec), scores(draw, count, 1 + classes)], axis=1)]


def yolox(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = cells(spec)
    boxes = middles(draw, count, spec) if spec["activated"] else logits(draw, count, 4).clip(-9, 9)
    return [np.concatenate([boxes, scores(draw, count, 1 + classes)], axis=1)]


def yolov8(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = cells(spec)
    return [np.concatenate([middles(draw, count, spec), scores(draw, count, classes)], axis=1).T]


def yolov8_seg(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    weights = draw.normal(0, 1, (3, cells(spec))).astype(np.float32)
    planes = draw.normal(0, 1, (3, spec["height"] // 4, spec["width"] // 4)).astype(np.float32)
    return [np.concatenate([yolov8(draw, spec, classes)[0], weights]), planes]


def yolov10(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = int(draw.choice([0, 1, 30]))
    labels = draw.integers(0, classes, (count, 1))
    return [np.concatenate([corners(draw, count, spec), scores(draw, count, 1), labels], 1).astype("f4")]


def fastestdet(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    size = spec["height"] // 16, spec["width"] // 16
    likely, boxes = scores(draw, 1 + classes, *size), logits(draw, 4, *size)
    return [np.concatenate([likely[:1], boxes, likely[1:]])]


def centernet(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    size = -(-spec["height"] // 5), -(-spec["width"] // 5)  # strides that differ a little
    heat = scores(draw, classes, *size) if spec["activated"] else logits(draw, classes, *size)
    return [heat, draw.uniform(0, 9, (2, *size)).astype("f4"), draw.random((2, *size), np.float32)]


def detr(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = int(draw.choice([1, 30]))
    return [logits(draw, count, classes + 1), draw.random((count, 4), np.float32)]


def rtdetr(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = int(draw.choice([1, 30]))
    told = scores(draw, count, classes) if spec["activated"] else logits(draw, count, classes)
    return [told, draw.random((count, 4), np.float32)]


def torchvision(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    count = int(draw.choice([0, 1, 30]))
    labels = draw.integers(0, classes + spec["first_label"], count)
    return [corners(draw, count, spec), labels, scores(draw, count)]


def maskrcnn(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    outputs = torchvision(draw, spec, classes)
    return [*outputs, draw.random((len(outputs[0]), 1, 5, 5), np.float32)]


def ssd(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    boxes, labels, likely = torchvision(draw, {**spec, "height": 1, "width": 1}, classes)
    found = [boxes, labels.astype(draw.choice(["f4", "i8"])), likely]
    return [*found, np.array(draw.integers(0, len(boxes) + 1), "f4")] if draw.random() < 0.5 else found


def classifier(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    shape = [(classes,), (classes, 1, 1), (1, 1, classes)][int(draw.integers(3))]
    if spec["family"] == "logits":
        return [logits(draw, *shape)]
    odds = np.exp(logits(draw, classes).astype(float).clip(-50, 50))
    odds = (odds / odds.sum()).reshape(shape)
    coarse = draw.random() < 0.5
    return [(odds * 255).round().astype(np.uint8) if coarse else odds.astype(np.float32)]


def planes(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    size = map_size(draw, spec)
    if classes in size:  # read either way, and so refused
        size = spec["height"], spec["width"]
    found = logits(draw, classes, *size) if spec["family"] == "logits" else scores(draw, classes, *size)
    return [found.transpose(1, 2, 0) if draw.random() < 0.5 else found]


def map_size(draw: Draw, spec: dict[str, Any]) -> tuple[int, int]:
    stride = int(draw.choice([1, 4, 8]))
    return spec["height"] // stride, spec["width"] // stride


def one_plane(draw: Draw, spec: dict[str, Any], classes: int) -> list[Array]:
    height, width = map_size(draw, spec)
    shape = [(height, width), (1, height, width), (height, width, 1)][int(draw.integers(3))]
    if spec["family"] == "labels":
        return [draw.integers(0, classes, shape).astype(draw.choice(["i8", "i4", "u1"]))]
    return [scores(draw, *shape) if spec["family"] == "binary" else logits(draw, *shape)]


RAWS: Mapping[TaskName, Mapping[str, Raw]] = {
    "classification": {"logits": classifier, "probabilities": classifier},
    "detection": {
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
        "maskrcnn": maskrcnn,
        "ssd": ssd,
        "yolov8-seg": yolov8_seg,
    },
    "segmentation": {
        "logits": planes,
        "probabilities": planes,
        "labels": one_plane,
        "binary": one_plane,
        "binary-logits": one_plane,
    },
}

"""The same numbers by other people's code, and data sets mean enough to tell the difference."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.metrics.base import Metric, Score
from eval.metrics.detection import DetectionMetric
from eval.metrics.overlaps import Shapes
from eval.metrics.truth import Objects
from models.results import Array, Detections

TWELVE = (
    "ap", "ap50", "ap75", "ap.small", "ap.medium", "ap.large",
    "ar1", "ar10", "ar100", "ar.small", "ar.medium", "ar.large",
)  # fmt: skip


def by_name(metric: Metric[Any, Any]) -> dict[str, Score]:
    return {score.name: score for score in metric.compute()}


def values(metric: Metric[Any, Any]) -> dict[str, float | None]:
    return {score.name: score.value for score in metric.compute()}


@dataclass
class Scene:
    """One image in COCO's terms: boxes are x, y, width, height."""

    image: int
    boxes: Array
    scores: Array
    labels: Array
    true_boxes: Array
    true_labels: Array
    areas: Array
    crowd: Array

    def detections(self) -> Detections:
        return Detections(_xyxy(self.boxes), self.scores, self.labels)

    def objects(self) -> Objects:
        image = f"{self.image:012}"
        return Objects(_xyxy(self.true_boxes), self.true_labels, self.areas, self.crowd, image=image)


def _xyxy(boxes: Array) -> Array:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def random_scenes(seed: int, images: int = 12, classes: int = 4, step: float = 8.0) -> list[Scene]:
    """Boxes and scores on coarse grids, so that ties abound; crowds, copies, empty images; class
    `classes - 1` has no objects and class 0 no detections."""
    rng = np.random.default_rng(seed)
    scenes = []
    for image in range(1, images + 1):
        wanted, extra = int(rng.integers(0, 7)), int(rng.integers(0, 9))
        sides = rng.choice([8, 16, 32, 32, 64, 96, 120], (wanted, 2)).astype(float)
        true_boxes = np.concatenate([rng.integers(0, 12, (wanted, 2)) * step, sides], axis=1)
        true_labels = rng.integers(0, max(classes - 1, 1), wanted)
        near = rng.integers(0, max(wanted, 1), extra if wanted else 0)
        boxes = true_boxes[near] + rng.integers(-1, 2, (len(near), 4)) * step / 2
        noise = np.concatenate([rng.integers(0, 12, (3, 2)) * step, rng.choice([16, 32, 96], (3, 2))], axis=1)
        boxes = np.concatenate([boxes, noise, boxes[:1]])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], 4)
        labels = np.concatenate([true_labels[near], rng.integers(0, classes, 3), true_labels[near][:1]])
        kept = (labels != 0) | (classes == 1)
        scores = rng.integers(1, 10, len(boxes)) / 10
        areas = np.where(rng.random(wanted) < 0.3, 1024.0, sides.prod(axis=1))
        crowd = rng.random(wanted) < 0.2
        scenes.append(
            Scene(image, boxes[kept], scores[kept], labels[kept], true_boxes, true_labels, areas, crowd)
        )
    return scenes


def fed(scenes: list[Scene], classes: int, **options: Any) -> DetectionMetric:
    """A metric fed in COCO's own terms."""
    metric = DetectionMetric([f"c{i}" for i in range(classes)], **options)
    for s in scenes:
        found = Shapes(s.labels, s.boxes[:, 2] * s.boxes[:, 3], s.boxes)
        wanted = Shapes(s.true_labels, s.areas, s.true_boxes)
        metric.add(f"{s.image:012}", found, s.scores, wanted, s.crowd)
    return metric


def pycocotools(scenes: list[Scene], classes: int) -> COCOeval:
    """Box evaluation by the reference."""
    return evaluated(*annotated(scenes, classes), "bbox")


def annotated(scenes: list[Scene], classes: int) -> tuple[COCO, COCO]:
    """Objects and detections as the reference wants them."""
    truth = [
        {"image_id": s.image, "category_id": int(k) + 1, "bbox": b.tolist(), "area": float(a),
         "iscrowd": int(c)}
        for s in scenes
        for k, b, a, c in zip(s.true_labels, s.true_boxes, s.areas, s.crowd, strict=True)
    ]  # fmt: skip
    found = [
        {"image_id": s.image, "category_id": int(k) + 1, "bbox": b.tolist(), "area": float(b[2] * b[3]),
         "score": float(p), "iscrowd": 0}
        for s in scenes
        for k, b, p in zip(s.labels, s.boxes, s.scores, strict=True)
    ]  # fmt: skip
    images = [{"id": s.image} for s in scenes]
    categories = [{"id": k + 1, "name": f"c{k}"} for k in range(classes)]
    return indexed(images, categories, truth), indexed(images, categories, found)


def indexed(images: list[Any], categories: list[Any], annotations: list[Any]) -> COCO:
    numbered = [{**a, "id": i} for i, a in enumerate(annotations, start=1)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "categories": categories, "annotations": numbered}
        coco.createIndex()
    return coco


def evaluated(truth: COCO, found: COCO, kind: str) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def twelve(evaluation: COCOeval) -> dict[str, float | None]:
    numbers = evaluation.stats.tolist()
    return {name: None if number == -1 else number for name, number in zip(TWELVE, numbers, strict=True)}

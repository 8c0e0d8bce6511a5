"""Data sets made to disagree on, and how far the numbers lie from pycocotools'."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from eval.metrics.detection import DetectionMetric
from eval.metrics.overlaps import Shapes
from models.results import Array
from tests.eval.metrics.oracles import TWELVE, evaluated, indexed, twelve, values

__all__ = ["Kind", "difference", "fuzz"]

Kind: TypeAlias = Literal["bbox", "segm"]
HEIGHT, WIDTH = 112, 128
SIDES = (8, 16, 31, 32, 32, 33, 64, 95, 96, 97)  # 32 and 96 squared are COCO's bounds of area


def fuzz(kind: Kind, cases: int, seed: int = 0) -> tuple[float, int]:
    """The largest difference of any of the twelve numbers or AP of a class, and the number of cases.

    A number that is undefined in one and not in the other differs by infinity.
    """
    return max((difference(kind, seed + case) for case in range(cases)), default=0.0), cases


def difference(kind: Kind, seed: int) -> float:
    """Of one random data set."""
    rng = np.random.default_rng((seed, kind == "segm"))
    classes = int(rng.integers(1, 6))
    images = [_image(rng, kind, classes, seed) for _ in range(int(rng.integers(1, 8)))]
    ours, theirs = _ours(images, classes), _theirs(images, classes, kind)
    pairs = [(ours[name], value) for name, value in twelve(theirs).items()]
    for label in range(classes):
        precision = theirs.eval["precision"][:, :, label, 0, 2]
        value = None if precision[0, 0] == -1 else float(np.mean(precision.ravel()))
        pairs.append((ours[f"ap.class.c{label}"], value))
    assert len(pairs) == len(TWELVE) + classes
    return max(_apart(mine, other) for mine, other in pairs)


def _apart(one: float | None, other: float | None) -> float:
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    return abs(one - other)


def _image(rng: np.random.Generator, kind: Kind, classes: int, seed: int) -> dict[str, Any]:
    """Objects and detections of one image. Everything lies on a coarse grid, so that scores and overlaps
    tie; in some data sets there are no objects, or no detections, or too many of one class."""
    step = (8.0, 7.3)[seed % 2] if kind == "bbox" else 8.0
    wanted, truth = _objects(rng, classes, 0 if seed % 11 == 3 else int(rng.integers(0, 6)), step)
    found, labels = _detections(rng, classes, wanted, truth, step)
    kept = np.full(len(labels), seed % 13 != 5) & ((labels != 0) | (classes == 1) | (seed % 3 > 0))
    image = {
        "found": found[kept],
        "labels": labels[kept],
        "scores": (rng.integers(1, 10, len(found)) / 10)[kept],
        "wanted": wanted,
        "truth": truth,
        "crowd": rng.random(len(truth)) < 0.2,
    }
    areas = wanted[:, 2:].prod(axis=1)
    if kind == "segm":
        image["found_masks"], image["wanted_masks"] = _masks(rng, found[kept]), _masks(rng, wanted)
        areas = image["wanted_masks"].sum(axis=(1, 2)).astype(float)
    told = rng.choice([1023.5, 1024.0, 1024.5, 9216.0, 9216.5], len(truth))
    return {**image, "areas": np.where(rng.random(len(truth)) < 0.3, told, areas)}


def _objects(rng: np.random.Generator, classes: int, count: int, step: float) -> tuple[Array, Array]:
    """Boxes and classes; the last class has none, and some objects are neighbours of the one before."""
    sides = rng.choice(SIDES, (count, 2))
    sides[:, 1] = np.where(rng.random(count) < 0.5, sides[:, 0], sides[:, 1])
    boxes = np.concatenate([rng.integers(0, 8, (count, 2)) * step, sides], axis=1)
    truth = rng.integers(0, max(classes - 1, 1), count)
    for i in np.flatnonzero(rng.random(count) < 0.3)[1:]:
        boxes[i], truth[i] = boxes[i - 1] + [step, 0, 0, 0], truth[i - 1]
    return boxes, truth


def _detections(
    rng: np.random.Generator, classes: int, wanted: Array, truth: Array, step: float
) -> tuple[Array, Array]:
    """Copies of objects, shifted by half the way to a neighbour or a whole, and false alarms."""
    near = rng.integers(0, len(truth), int(rng.integers(0, 9))) if len(truth) else np.zeros(0, np.int64)
    jitter = rng.integers(-1, 2, (len(near), 4)) * step / 2 * (rng.random((len(near), 1)) < 0.5)
    jitter += rng.integers(0, 3, (len(near), 1)) * [step / 2, 0, 0, 0] * (rng.random((len(near), 1)) < 0.5)
    alarms = 130 if rng.random() < 0.04 else int(rng.integers(0, 4))
    noise = np.concatenate([rng.integers(0, 9, (alarms, 2)) * step, rng.choice(SIDES, (alarms, 2))], axis=1)
    boxes = np.concatenate([wanted[near] + jitter, noise])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 4)
    said = np.where(rng.random(len(near)) < 0.85, truth[near], rng.integers(0, classes, len(near)))
    guesses = rng.integers(0, classes, alarms)
    if alarms > 100:
        guesses[:] = said[0] if len(said) else 0
    return boxes, np.concatenate([said, guesses]).astype(np.int64)


def _masks(rng: np.random.Generator, boxes: Array) -> Array:
    """Rectangles, some with a piece cut out, some torn in two, some empty."""
    masks = np.zeros((len(boxes), HEIGHT, WIDTH), bool)
    for mask, (x, y, w, h) in zip(masks, boxes.astype(int).tolist(), strict=True):
        mask[max(y, 0) : y + h, max(x, 0) : x + w] = rng.random() > 0.03
        if rng.random() < 0.3:
            mask[y + h // 4 : y + h // 2] = False
        if rng.random() < 0.1:
            mask &= rng.random(mask.shape) < 0.8
    return masks


def _ours(images: list[dict[str, Any]], classes: int) -> dict[str, float | None]:
    metric = DetectionMetric([f"c{k}" for k in range(classes)], resamples=0)
    for number, image in enumerate(images, start=1):
        masks = image.get("found_masks")
        areas = image["found"][:, 2] * image["found"][:, 3] if masks is None else masks.sum(axis=(1, 2))
        found = Shapes(image["labels"], areas.astype(float), image["found"], masks)
        wanted = Shapes(image["truth"], image["areas"], image["wanted"], image.get("wanted_masks"))
        metric.add(f"{number:012}", found, image["scores"], wanted, image["crowd"])
    return values(metric)


def _theirs(images: list[dict[str, Any]], classes: int, kind: Kind) -> COCOeval:
    truth: list[Any] = []
    found: list[Any] = []
    for number, image in enumerate(images, start=1):
        for side, rows, label, areas, more in (
            ("wanted", truth, "truth", image["areas"], {"iscrowd": image["crowd"]}),
            ("found", found, "labels", None, {"score": image["scores"]}),
        ):
            for i, box in enumerate(image[side]):
                row = {"image_id": number, "category_id": int(image[label][i]) + 1, "bbox": box.tolist()}
                row |= {"iscrowd": 0, "area": float(box[2] * box[3])}
                row |= {name: column[i].item() for name, column in more.items()}
                if kind == "segm":
                    mask = np.asfortranarray(image[f"{side}_masks"][i].astype(np.uint8))
                    row |= {"segmentation": coco_mask.encode(mask), "area": float(mask.sum())}
                if areas is not None:
                    row["area"] = float(areas[i])
                rows.append(row)
    shots = [{"id": n, "height": HEIGHT, "width": WIDTH} for n in range(1, len(images) + 1)]
    categories = [{"id": k + 1, "name": f"c{k}"} for k in range(classes)]
    return evaluated(indexed(shots, categories, truth), indexed(shots, categories, found), kind)

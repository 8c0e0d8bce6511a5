"""Detection evaluation at the size of COCO val2017, beside pycocotools.

    python -m tests.bench.bench_metrics [images]

Prints seconds and how many times faster; checks that the twelve numbers are the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from eval.metrics.coco import IOUS, Table, average_precision_intervals
from eval.metrics.detection import DetectionMetric
from tests.eval.metrics.oracles import TWELVE, Scene, fed, pycocotools, twelve, values

CLASSES = 80


def coco_like(images: int) -> list[Scene]:
    """Seven objects and fifty detections an image: jittered copies of the objects, and noise."""
    rng = np.random.default_rng(0)
    scenes = []
    for image in range(1, images + 1):
        wanted, alarms = int(rng.poisson(7.3)), int(rng.poisson(30))
        sides = np.exp(rng.normal(4, 1, (wanted, 2))).clip(4, 400)
        boxes = np.concatenate([rng.uniform(0, 400, (wanted, 2)), sides], axis=1)
        labels = rng.choice(CLASSES, 3)[rng.integers(0, 3, wanted)]
        near = np.repeat(np.arange(wanted), 3)
        copies = boxes[near] + rng.normal(0, 0.08, (len(near), 4)) * np.tile(sides[near], 2)
        noise = np.concatenate([rng.uniform(0, 400, (alarms, 2)), rng.uniform(8, 200, (alarms, 2))], axis=1)
        found = np.concatenate([copies, noise]).clip(0.5)
        said = np.concatenate([labels[near], rng.integers(0, CLASSES, alarms)])
        areas, crowd = sides.prod(axis=1) * 0.6, rng.random(wanted) < 0.012
        scenes.append(Scene(image, found, rng.random(len(found)), said, boxes, labels, areas, crowd))
    return scenes


def timed(what: str, run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    print(f"{what:<48}{seconds:8.2f} s")
    return result, seconds


def main(images: int) -> None:
    scenes = coco_like(images)
    objects, found = sum(len(s.crowd) for s in scenes), sum(len(s.scores) for s in scenes)
    print(f"{images} images, {objects} objects, {found} detections, {CLASSES} classes")
    metric: DetectionMetric
    metric, matching = timed("match", lambda: fed(scenes, CLASSES, resamples=0))
    ours, reading = timed("twelve numbers, classes and operating point", lambda: values(metric))
    table = Table(metric._matches, CLASSES, len(IOUS))
    timed("bootstrap of AP and AP50, 200 resamples", lambda: average_precision_intervals(table, 200, 0))
    theirs, reference = timed("pycocotools", lambda: pycocotools(scenes, CLASSES))
    print(f"{reference / (matching + reading):.1f} times faster")
    print("same twelve numbers:", {name: ours[name] for name in TWELVE} == twelve(theirs))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)

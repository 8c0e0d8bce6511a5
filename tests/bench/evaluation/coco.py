"""Detection at the size of COCO val2017: the same numbers as pycocotools, how soon, and how sure.

python -m tests.bench.evaluation.coco [images]
"""

from __future__ import annotations

import contextlib
import io
import pickle
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.metrics.coco import average_precision
from eval.metrics.detection import DetectionMetric
from eval.metrics.intervals import bootstrap
from tests.eval.metrics.coco_fuzz import fuzz
from tests.eval.metrics.oracles import Scene, annotated, fed, twelve, values

__all__ = ["coco_like", "measure"]

IMAGES, CLASSES, ROUNDS, RESAMPLES, CASES = 5000, 80, 3, 1000, 250


def coco_like(images: int, classes: int = CLASSES) -> list[Scene]:
    """Seven objects and up to a hundred detections an image: jittered copies of the objects, and noise."""
    rng = np.random.default_rng(0)
    scenes = []
    for image in range(1, images + 1):
        wanted, alarms = int(rng.poisson(7.3)), int(rng.poisson(60))
        sides = np.exp(rng.normal(4, 1, (wanted, 2))).clip(4, 400)
        boxes = np.concatenate([rng.uniform(0, 400, (wanted, 2)), sides], axis=1)
        labels = rng.choice(classes, 3)[rng.integers(0, 3, wanted)]
        near = np.repeat(np.arange(wanted), 3)
        copies = boxes[near] + rng.normal(0, 0.08, (len(near), 4)) * np.tile(sides[near], 2)
        noise = np.concatenate([rng.uniform(0, 400, (alarms, 2)), rng.uniform(8, 200, (alarms, 2))], axis=1)
        found = np.concatenate([copies, noise]).clip(0.5)[:100]
        said = np.concatenate([labels[near], rng.integers(0, classes, alarms)])[:100]
        areas, crowd = sides.prod(axis=1) * 0.6, rng.random(wanted) < 0.012
        scenes.append(Scene(image, found, rng.random(len(found)), said, boxes, labels, areas, crowd))
    return scenes


def measure(images: int = IMAGES, rounds: int = ROUNDS) -> dict[str, float]:
    """Figures of one run on one process; times are medians, the two libraries take turns.

    * `coco.max_abs_difference`, `coco.cases`: of the twelve numbers and AP of each class from pycocotools',
      on random data sets, half of them boxes and half masks, and on the large one;
    * `coco.time_vs_pycocotools`: seconds to match and to read every score, over those of its `evaluate` and
      `accumulate`, both from arrays in memory;
    * `bootstrap_seconds`: 1,000 resamples of the twelve numbers and AP of each class;
    * `bootstrap_all_seconds`: of all scores; `coco.bytes_per_image`: what is kept until then.
    """
    warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # pycocotools
    scenes = coco_like(images)
    truth, found = annotated(scenes, CLASSES)
    ours, theirs = [], []
    for _ in range(rounds):
        (metric, scores), seconds = _timed(lambda: _ours(scenes))
        ours.append(seconds)
        reference, seconds = _timed(lambda: _theirs(truth, found))
        theirs.append(seconds)
    largest = max(abs((scores[name] or 0.0) - (v or 0.0)) for name, v in twelve(reference).items())
    statistic = average_precision(metric.table())
    _, some = _timed(lambda: bootstrap(statistic, images, resamples=RESAMPLES))
    sure = DetectionMetric(metric._labels, resamples=RESAMPLES)
    sure._matches = metric._matches
    _, everything = _timed(sure.compute)
    differences, cases = zip(fuzz("bbox", CASES), fuzz("segm", CASES), strict=True)
    return {
        "coco.max_abs_difference": max(largest, *differences),
        "coco.cases": float(sum(cases) + 1),
        "coco.time_vs_pycocotools": statistics.median(ours) / statistics.median(theirs),
        "coco.seconds": statistics.median(ours),
        "coco.pycocotools_seconds": statistics.median(theirs),
        "coco.bytes_per_image": len(pickle.dumps(metric)) / images,
        "bootstrap_seconds": some,
        "bootstrap_all_seconds": everything,
    }


def _ours(scenes: list[Scene]) -> tuple[DetectionMetric, dict[str, float | None]]:
    metric = fed(scenes, CLASSES, resamples=0)
    return metric, values(metric)


def _theirs(truth: COCO, found: COCO) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def main(images: int) -> None:
    """Print the figures."""
    for name, value in measure(images).items():
        print(f"{name:<28}{value:14.6g}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)

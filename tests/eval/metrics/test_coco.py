"""The twelve numbers are pycocotools' to the last bit, on data made of ties and on COCO's own fixture."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from eval.metrics.coco import average_precision
from eval.metrics.detection import DetectionMetric
from eval.metrics.overlaps import Shapes, box_overlaps, mask_overlaps
from eval.metrics.truth import Objects
from models.results import Array, Detections
from tests.eval.metrics.coco_fuzz import Kind, fuzz
from tests.eval.metrics.oracles import TWELVE, evaluated, fed, pycocotools, random_scenes, twelve, values

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

PARITY = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "coco_eval_parity"
PUBLISHED = {
    "bbox": (0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564),
    "segm": (0.320, 0.562, 0.299, 0.387, 0.310, 0.327, 0.268, 0.415, 0.417, 0.469, 0.377, 0.381),
}


@pytest.mark.parametrize("seed", range(60))
def test_random_sets_agree_with_pycocotools(seed: int) -> None:
    scenes = random_scenes(seed, images=3 + seed % 11, classes=1 + seed % 5, step=(8.0, 7.3)[seed % 2])
    theirs = pycocotools(scenes, 1 + seed % 5)
    ours = values(fed(scenes, 1 + seed % 5, resamples=0))
    assert {name: ours[name] for name in TWELVE} == twelve(theirs)
    for label in range(1 + seed % 5):
        precision = theirs.eval["precision"][:, :, label, 0, 2]
        assert ours[f"ap.class.c{label}"] == (None if precision[0, 0] == -1 else np.mean(precision.ravel()))


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_two_hundred_and_fifty_hard_sets_agree_with_pycocotools(kind: Kind) -> None:
    """All twelve numbers and AP of each class, of boxes and of masks."""
    assert fuzz(kind, 250) == (0.0, 250)


@pytest.mark.parametrize("seed", range(10))
def test_answers_of_a_service_agree_too(seed: int) -> None:
    """Through Detections and Objects; coordinates on a grid of halves lose nothing as xyxy."""
    scenes = random_scenes(seed)
    metric = DetectionMetric("abcd", resamples=0)
    metric.update([s.detections() for s in scenes], [s.objects() for s in scenes])
    ours = values(metric)
    assert {name: ours[name] for name in TWELVE} == twelve(pycocotools(scenes, 4))


def test_the_hundred_and_first_detection_of_a_class_is_not_counted() -> None:
    """The objects are found, but behind 100 surer false alarms; the operating point still sees them."""
    scenes = random_scenes(3, images=1, classes=2)
    scene = scenes[0]
    alarms = np.tile([500.0, 500.0, 20.0, 20.0], (2 * 100, 1))
    scene.boxes = np.concatenate([scene.true_boxes, alarms])
    scene.labels = np.concatenate([scene.true_labels, np.repeat([0, 1], 100)])
    scene.scores = np.concatenate([np.full(len(scene.crowd), 0.5), np.full(200, 0.9)])
    ours = values(fed(scenes, 2, resamples=0))
    assert {name: ours[name] for name in TWELVE} == twelve(pycocotools(scenes, 2))
    assert ours["ap"] == ours["ar100"] == 0.0
    assert ours["recall.micro"] == 1.0


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_overlaps_agree_with_pycocotools(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    found, wanted = rng.integers(0, 9, (count, 4)) * 1.1, rng.integers(0, 9, (5, 4)) * 1.1
    crowd = rng.random(5) < 0.5
    assert (box_overlaps(found, wanted, crowd) == coco_mask.iou(found, wanted, crowd.tolist())).all()
    ours, theirs = rng.random((count, 7, 9)) < 0.5, rng.random((5, 7, 9)) < 0.4
    encoded = [[coco_mask.encode(np.asfortranarray(m.astype(np.uint8))) for m in s] for s in (ours, theirs)]
    overlaps = mask_overlaps(ours, theirs, crowd)
    assert (overlaps == coco_mask.iou(*encoded, crowd.tolist())).all()


def fixture() -> Path:
    if not PARITY.is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has no {PARITY.name}")
    return PARITY


def loaded(kind: str) -> tuple[COCO, COCO]:
    name = {"bbox": "fakebbox100", "segm": "fakesegm100"}[kind]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(fixture() / "instances_val2014_100.json"))
        return truth, truth.loadRes(str(fixture() / f"instances_val2014_{name}_results.json"))


def shapes(coco: COCO, annotations: list[Any], size: tuple[int, int] | None) -> Shapes:
    """Annotations of one image; with masks where a size is given."""
    classes = {k: i for i, k in enumerate(sorted(coco.getCatIds()))}
    labels = np.array([classes[a["category_id"]] for a in annotations], np.int64)
    areas = np.array([a["area"] for a in annotations], np.float64)
    boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    if size is None:
        return Shapes(labels, areas, boxes)
    masks = np.array([coco.annToMask(a) for a in annotations], bool).reshape(-1, *size)
    return Shapes(labels, areas, boxes, masks)


@pytest.mark.data
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_published_table(kind: str) -> None:
    truth, found = loaded(kind)
    metric = DetectionMetric([str(k) for k in sorted(truth.getCatIds())], resamples=0)
    for image in truth.getImgIds():
        info = truth.imgs[image]
        size = (info["height"], info["width"]) if kind == "segm" else None
        theirs, ours = (c.loadAnns(c.getAnnIds(imgIds=[image])) for c in (truth, found))
        scores = np.array([a["score"] for a in ours])
        crowd = np.array([a["iscrowd"] for a in theirs], bool)
        metric.add(f"{image:012}", shapes(found, ours, size), scores, shapes(truth, theirs, size), crowd)
    numbers = values(metric)
    reference = evaluated(truth, found, kind)
    assert {name: numbers[name] for name in TWELVE} == twelve(reference)
    assert tuple(round(numbers[name] or 0, 3) for name in TWELVE) == PUBLISHED[kind]
    precision = reference.eval["precision"][:, :, :, 0, 2]
    for k, label in enumerate(sorted(truth.getCatIds())):
        ap = None if precision[0, 0, k] == -1 else np.mean(precision[:, :, k].ravel())
        assert numbers[f"ap.class.{label}"] == ap


@pytest.mark.data
def test_masks_of_a_service_give_the_published_table() -> None:
    """Bool masks in Detections and Objects; their areas are counted, not told."""
    truth, found = loaded("segm")
    metric = DetectionMetric([str(k) for k in sorted(truth.getCatIds())], overlap="masks", resamples=0)
    for image in truth.getImgIds():
        size = (truth.imgs[image]["height"], truth.imgs[image]["width"])
        theirs, ours = (c.loadAnns(c.getAnnIds(imgIds=[image])) for c in (truth, found))
        scores = np.array([a["score"] for a in ours])
        a, b = shapes(found, ours, size), shapes(truth, theirs, size)
        crowd = np.array([a["iscrowd"] for a in theirs], bool)
        answer = Detections(a.boxes, scores, a.labels, a.masks)
        metric.update([answer], [Objects(b.boxes, b.labels, b.areas, crowd, b.masks, f"{image:012}")])
    numbers = values(metric)
    assert {n: numbers[f"mask.{n}"] for n in TWELVE} == twelve(evaluated(truth, found, "segm"))


def resampled_by_hand(metric: DetectionMetric, images: Array) -> Array:
    """The numbers of a data set in which the drawn images really occur as often as they were drawn."""
    matches = sorted(metric._matches, key=lambda m: m.key())
    copies = DetectionMetric(metric._labels, resamples=0)
    copies._matches = [matches[i] for i in images]
    numbers = values(copies)
    return np.array([numbers[name] for name in (*TWELVE, *(f"ap.class.c{k}" for k in range(4)))], float)


def test_the_bootstrap_weights_images_as_copies_would() -> None:
    scenes = random_scenes(5, images=8)
    for k, scene in enumerate(scenes):  # no score twice: copies of an image stay together
        scene.scores = (np.arange(len(scene.scores)) * 8 + k + 1) / 100
    metric = fed(scenes, 4)
    statistic = average_precision(metric.table())
    for seed in range(20):
        images = np.sort(np.random.default_rng(seed).integers(0, 8, 8))
        weighted = statistic(np.bincount(images, minlength=8)[None])[0]
        np.testing.assert_allclose(weighted, resampled_by_hand(metric, images), atol=1e-12)


def test_the_interval_holds_the_number_and_repeats() -> None:
    metric = fed(random_scenes(11, images=40), 4)
    for score in metric.compute()[: len(TWELVE)]:
        assert score.value is not None
        assert score.low is not None
        assert score.high is not None
        assert score.low < score.value < score.high
    assert metric.compute() == metric.compute()

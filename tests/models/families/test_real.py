"""Real graphs, published with a right card, see in real pictures what is there."""

from __future__ import annotations

import csv
import itertools
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.card import InputSpec, TaskName
from models.decoding import decode
from models.families.tables import FAMILIES
from models.publish import publish
from models.repository import RepositoryError, open_version
from models.results import Array, Classification, Detections, Result, Segmentation
from models.runtime import OnnxRunner
from models.tasks import Predictor

DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1)}
pytestmark = pytest.mark.data

YOLOX = {
    "task": "detection",
    "family": "yolox",
    "input": {
        "name": "images", "height": 416, "width": 416, "channels": "BGR", "resize": "letterbox",
        "align": "top_left", **PLAIN,
    },
    "outputs": ("output",),
    "labels": tuple(map(str, range(80))),
}  # fmt: skip
FASTESTDET = {
    "task": "detection",
    "family": "fastestdet",
    "input": {"name": "input.1", "height": 352, "width": 352, "channels": "BGR"},
    "outputs": ("758",),
    "labels": tuple(map(str, range(80))),
}
MOBILENET = {
    "task": "classification",
    "family": "probabilities",
    "input": {
        "name": "input", "height": 224, "width": 224, "layout": "NHWC", "dtype": "uint8", "resize": "crop",
        "crop_fraction": 0.875,
    },
    "outputs": ("MobilenetV2/Predictions/Softmax",),
    "labels": tuple(map(str, range(1001))),
}  # fmt: skip
DEEPLAB = {
    "task": "segmentation",
    "family": "labels",
    "input": {
        "name": "MobilenetV2/MobilenetV2/input", "height": 513, "width": 513, "layout": "NHWC",
        "dtype": "uint8", "resize": "letterbox", "align": "top_left", "fill": 128,
    },
    "outputs": ("ArgMax",),
    "labels": tuple(map(str, range(21))),
}  # fmt: skip
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RESNET = {
    "task": "classification",
    "family": "logits",
    "input": {"name": "input", "height": 32, "width": 32},
    "outputs": ("t110",),
    "labels": CLASSES,
    "max_batch": 32,
}
FACTS: dict[str, dict[str, Any]] = {
    "yolox_nano_coco80_416": YOLOX,
    "fastestdet_coco80_352": FASTESTDET,
    "mobilenet_v2_1.0_224_quant": MOBILENET,
    "deeplabv3_mnv2_dm05_pascal_quant": DEEPLAB,
    "cifar10_resnet20": RESNET,
}
# VOC's number of what COCO calls person, motorcycle, airplane, bus, train, cat, dog, horse.
VOC = {0: 15, 3: 14, 4: 1, 5: 6, 6: 19, 15: 8, 16: 12, 17: 13}


def graph(name: str) -> bytes:
    path = DATA / "models" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"ASSAY_DATA_DIR has no models/{path.name}")
    return path.read_bytes()


def served(name: str, root: Path) -> Predictor[Result]:
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    facts = {"name": name, "version": 1, "licence": "see its source", "max_batch": 1, **FACTS[name]}
    return open_version(publish(root, graph(name), facts, golden_image=picture))


def scenes() -> Iterator[tuple[Array, Array, Array]]:
    """Picture, labels and boxes of its objects that cover at least a tenth of it."""
    root = DATA / "coco100_train2017"
    if not root.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no coco100_train2017")
    for path in sorted((root / "object_detection" / "labels" / "train2017").glob("*.txt")):
        image = decode((root / "images" / "train2017" / f"{path.stem}.jpg").read_bytes())
        rows = np.loadtxt(path, ndmin=2)
        rows = rows[rows[:, 3] * rows[:, 4] >= 0.1]
        size = np.array([image.shape[1], image.shape[0]])
        centre, side = rows[:, 1:3] * size, rows[:, 3:] * size
        yield (
            image,
            rows[:, 0].astype(np.int64),
            np.concatenate([centre - side / 2, centre + side / 2], axis=1),
        )


def iou(box: Array, boxes: Array) -> Array:
    shared = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.asarray(shared / (areas - shared))


@pytest.mark.parametrize(("name", "share"), [("yolox_nano_coco80_416", 0.75), ("fastestdet_coco80_352", 0.6)])
def test_large_objects_are_found(name: str, share: float, tmp_path: Path) -> None:
    predictor, hits = served(name, tmp_path), []
    for image, labels, boxes in itertools.islice(scenes(), 30):
        found = predictor.predict([image])[0]
        assert isinstance(found, Detections)
        sure = found[found.scores >= 0.25]
        hits += [
            bool((iou(box, sure.boxes)[sure.labels == label] >= 0.5).any())
            for box, label in zip(boxes, labels, strict=True)
        ]
    assert len(hits) >= 20
    assert np.mean(hits) >= share


def test_a_label_map_lies_where_the_objects_are(tmp_path: Path) -> None:
    predictor, shares = served("deeplabv3_mnv2_dm05_pascal_quant", tmp_path), []
    for image, labels, boxes in itertools.islice(scenes(), 30):
        if not any(label in VOC for label in labels.tolist()):
            continue
        found = predictor.predict([image])[0]
        assert isinstance(found, Segmentation)
        assert found.labels.shape == image.shape[:2]
        for label, (x1, y1, x2, y2) in zip(labels.tolist(), boxes.astype(int).tolist(), strict=True):
            if label in VOC:
                own = found.labels == VOC[label]
                shares.append(own[y1:y2, x1:x2].mean() > 0.3)
    assert len(shares) >= 5
    assert np.mean(shares) >= 0.7


def test_a_quantised_softmax_names_photographs(tmp_path: Path) -> None:
    predictor = served("mobilenet_v2_1.0_224_quant", tmp_path)
    samples = DATA / "imagenet_samples"
    if not samples.is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has no {samples.name}")
    with (samples / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    answers = predictor.predict([decode((samples / row["file"]).read_bytes()) for row in rows])
    found = [answer for answer in answers if isinstance(answer, Classification)]
    np.testing.assert_allclose([answer.scores.sum() for answer in found], 1, atol=1e-5)
    want = [int(row["class_index"]) + 1 for row in rows]  # 0 is its background
    assert np.mean([answer.label == label for answer, label in zip(found, want, strict=True)]) >= 0.8


def test_logits_name_small_pictures(tmp_path: Path) -> None:
    predictor, archive = served("cifar10_resnet20", tmp_path), DATA / "cifar10_jpeg" / "test_a.tar.gz"
    if not archive.is_file():
        pytest.skip("ASSAY_DATA_DIR has no cifar10_jpeg")
    images: list[Array] = []
    want: list[int] = []
    with tarfile.open(archive) as files:
        for member in list(files)[::5]:
            if member.isfile() and (file := files.extractfile(member)) is not None:
                images.append(decode(file.read()))
                want.append(CLASSES.index(Path(member.name).parent.name))
    answers = predictor.predict(images)
    found = [answer.label for answer in answers if isinstance(answer, Classification)]
    assert np.mean(np.array(found) == want) >= 0.75


@pytest.mark.parametrize("name", FACTS)
def test_trying_all_families_finds_the_right_one(name: str) -> None:
    facts = FACTS[name]
    task: TaskName = facts["task"]
    outputs, spec = OnnxRunner(graph(name)).outputs, InputSpec.model_validate(facts["input"])
    fits = {n for n, f in FAMILIES[task].items() if f.mismatch(outputs, spec, len(facts["labels"])) is None}
    assert fits == ({"logits", "probabilities"} if name == "cifar10_resnet20" else {facts["family"]})
    other = FAMILIES[task][facts["family"]].mismatch(outputs, spec, 7)
    assert other is None if facts["family"] == "labels" else "7" in str(other)


def test_a_wrong_family_does_not_go_live(tmp_path: Path) -> None:
    served("yolox_nano_coco80_416", tmp_path)
    with pytest.raises(RepositoryError, match="10647 anchors"):
        publish(
            tmp_path,
            graph("yolox_nano_coco80_416"),
            {**YOLOX, "name": "wrong", "version": 1, "licence": "x", "max_batch": 1, "family": "yolov5"},
            golden_image=np.zeros((9, 9, 3), np.uint8),
        )

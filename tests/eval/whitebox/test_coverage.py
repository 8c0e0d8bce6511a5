"""Which graphs have a twin, and how like them it is: every shipped one, and every real one that is here.

Labels are classes of pictures, pixels of label maps, and confident objects of detections. Pictures are 200
where there are so many for the task at the graph's size and in the time of a test, and 50 of ImageNet, which
is all there are. A quantised graph's values cannot all agree; onnxruntime with its optimisations and without
agrees with itself no better (`test_onnxruntime_is_no_closer_to_itself`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from eval.data.tables import open_data
from eval.whitebox.twin import LEAST_AGREEMENT, Twin, compare
from models.card import InputSpec
from models.cli import ZOO
from models.decoding import decode
from models.digits import digits
from models.imaging import fit
from models.repository import Version, versions
from models.results import Array, Classification, Detections, Result, Segmentation
from models.runtime import OnnxRunner
from models.scenes import scene
from models.tasks import TASKS, Predictor, Runner
from tests.eval.whitebox.test_twin import input_of, outputs_of

pytestmark = [pytest.mark.torch, pytest.mark.data]
DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))

# Model -> pictures, least share of labels, least share of values. Measured, and a little below it where the
# last digit decides.
SHIPPED = {
    "digits/1": (200, 1.0, 1.0),
    "digits/2": (200, 1.0, 1.0),
    "digits/3": (200, 1.0, 1.0),
    "cifar10/1": (200, 1.0, 1.0),
    "cifar10/2": (200, 0.999, 0.97),
    "imagenet/1": (50, 1.0, 1.0),
    "scenes-segmenter/1": (20, 1.0, 0.9999),
    "scenes-segmenter/2": (20, 1.0, 0.9999),
    "scenes-segmenter/3": (20, 0.999, 0.85),
    "scenes-detector/1": (20, 1.0, 0.9999),
    "scenes-detector/2": (20, 1.0, 0.9999),
    "scenes-detector/3": (20, 0.9, 0.98),
    "bccd/1": (10, 1.0, 0.9999),
    "bccd/2": (10, 0.9, 0.93),
}
QUANTISED = {"cifar10/2", "scenes-segmenter/3", "scenes-detector/3", "bccd/2"}
VERSIONS = {
    f"{v.card.name}/{v.card.version}": v for v in versions(ZOO) if (v.folder / "model.onnx").is_file()
}


class Remembers:
    """A runner that runs nothing twice."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.told: dict[bytes, list[Array]] = {}

    def run(self, batch: Array) -> list[Array]:
        key = batch.tobytes()
        if key not in self.told:
            self.told[key] = self.runner.run(batch)
        return self.told[key]


def pictures_of(name: str, count: int) -> list[Array]:
    """Such as the model is for, at most so many. Skips where they are not here."""
    model = name.split("/")[0]
    if model == "digits":
        return list(digits("test")[0][:count])
    if model.startswith("scenes"):
        return [scene(i).image for i in range(count)]
    if model.startswith("cifar10"):
        archive = DATA / "cifar10_jpeg" / "test_a.tar.gz"
        if not archive.is_file():
            pytest.skip(f"ASSAY_DATA_DIR has no {archive.name}")
        samples = open_data(f"tar:{archive}", "classification")
        return [decode(sample.file) for sample in islice(samples, count)]
    folder = {"imagenet": "imagenet_samples", "mobilenet": "imagenet_samples", "bccd": "bccd"}
    root = DATA / folder.get(model.split("_")[0], "coco100_train2017")
    files = sorted(f for f in root.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg"))[:count]
    if not files:
        pytest.skip(f"ASSAY_DATA_DIR has no pictures in {root.name}")
    return [decode(file.read_bytes()) for file in files]


def alike(one: Result, other: Result) -> tuple[int, int]:
    """How many labels of the second answer the first has too, and how many there are."""
    if isinstance(one, Classification) and isinstance(other, Classification):
        return int(one.label == other.label), 1
    if isinstance(one, Segmentation) and isinstance(other, Segmentation):
        return int((one.labels == other.labels).sum()), other.labels.size
    if isinstance(one, Detections) and isinstance(other, Detections):
        sure = other.scores >= 0.3
        near = np.abs(one.boxes[:, None] - other.boxes[None, sure]).max(axis=2, initial=0) <= 4  # pixels
        same = near & (one.labels[:, None] == other.labels[None, sure])
        return int(same.any(axis=0).sum()), int(sure.sum())
    raise TypeError(f"answers must be of one task, got {type(one).__name__}, {type(other).__name__}")


def test_every_shipped_graph_is_in_the_table() -> None:
    assert VERSIONS.keys() <= SHIPPED.keys()
    assert {name for name, v in VERSIONS.items() if quantised(v.model_path.read_bytes())} <= QUANTISED


def quantised(model: bytes) -> bool:
    return b"QuantizeLinear" in model


@pytest.mark.parametrize("name", VERSIONS)
def test_every_shipped_graph_has_a_twin(name: str) -> None:
    """Through the whole task: prepared, run, and read as the service does."""
    version: Version = VERSIONS[name]
    card, model = version.card, version.model_path.read_bytes()
    count, least_labels, least_values = SHIPPED[name]
    pictures, task = pictures_of(name, count), TASKS[card.task](card)
    assert len(pictures) == count
    twin = Remembers(Twin(model, input_name=card.input.name, outputs=card.outputs))
    runner = Remembers(OnnxRunner(model, input_name=card.input.name, outputs=card.outputs))
    found = compare(twin, runner, (task.prepare(picture) for picture in pictures))
    answers = [Predictor(task, runs, 1).predict(pictures) for runs in (twin, runner)]
    same = np.sum([alike(one, other) for one, other in zip(*answers, strict=True)], axis=0)
    assert same[1] > 0
    assert same[0] / same[1] >= least_labels, same
    assert found.share >= least_values
    assert found.images == count
    assert least_values >= LEAST_AGREEMENT or name in QUANTISED


REAL = {
    "cifar10_resnet20.onnx": (200, 1.0, 1.0, InputSpec(name="input", height=32, width=32)),
    "mobilenet_v2_1.0_224_quant.onnx": (
        50, 0.94, 0.998, InputSpec(name="input", height=224, width=224, dtype="uint8", layout="NHWC")
    ),
    "deeplabv3_mnv2_dm05_pascal_quant.onnx": (
        10, 0.97, 0.97,
        InputSpec(
            name="MobilenetV2/MobilenetV2/input", height=513, width=513, dtype="uint8", layout="NHWC"
        ),
    ),
    "fastestdet_coco80_352.onnx": (
        10, 0.0, 0.9999, InputSpec(name="input.1", height=352, width=352, channels="BGR")
    ),
    "yolox_nano_coco80_416.onnx": (
        10, 0.0, 0.9999,
        InputSpec(height=416, width=416, channels="BGR", resize="letterbox", std=(1.0, 1.0, 1.0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_every_real_graph_has_a_twin(name: str) -> None:
    """Raw outputs; labels of classifiers are their highest, of label maps their pixels."""
    path = DATA / "models" / name
    if not path.is_file():
        pytest.skip(f"ASSAY_DATA_DIR has no {name}")
    count, least_labels, least_values, spec = REAL[name]
    inputs = [fit(picture, spec) for picture in pictures_of(name, count)]
    assert len(inputs) == count
    twin, runner = both(path)
    assert compare(twin, runner, inputs).share >= least_values
    if least_labels:
        assert share_of_labels(labels_by(twin, inputs), labels_by(runner, inputs)) >= least_labels


@cache
def both(path: Path) -> tuple[Remembers, Remembers]:
    """Its twin and itself, for all tests: a twin of a quantised graph takes its time."""
    model, name, outputs = path.read_bytes(), input_of(path), outputs_of(path)
    twin = Twin(model, input_name=name, outputs=outputs).requires_grad_(False)
    return Remembers(twin), Remembers(OnnxRunner(model, input_name=name, outputs=outputs))


def labels_by(runner: Runner, inputs: Sequence[Array]) -> list[Array]:
    found = [runner.run(one[None])[0] for one in inputs]
    return [f if f.ndim == 3 else f.reshape(1, -1).argmax(axis=1) for f in found]


def share_of_labels(one: Sequence[Array], other: Sequence[Array]) -> float:
    return float(np.mean([(a == b).mean() for a, b in zip(one, other, strict=True)]))


def test_onnxruntime_is_no_closer_to_itself() -> None:
    """An 8-bit graph run as it stands, without what onnxruntime fuses, gives other classes now and then."""
    import onnxruntime

    path = DATA / "models" / "mobilenet_v2_1.0_224_quant.onnx"
    if not path.is_file():
        pytest.skip(f"ASSAY_DATA_DIR has no {path.name}")
    count, *_, spec = REAL[path.name]
    inputs = [fit(picture, spec) for picture in pictures_of(path.name, count)]
    name, outputs = input_of(path), outputs_of(path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    plain = [session.run(list(outputs), {name: one[None]})[0].argmax(axis=1) for one in inputs]
    twin, fused = (labels_by(runner, inputs) for runner in both(path))
    own = share_of_labels(plain, fused)
    assert share_of_labels(twin, fused) >= own - 0.04, own

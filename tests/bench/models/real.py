"""Other people's graphs, imported by the command line, served, and measured through HTTP against what is
said of them; the words after `import` are all that a person has to know about each."""

from __future__ import annotations

import asyncio
import contextlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.data.tables import open_data
from eval.metrics.base import Score
from eval.runs import evaluate
from eval.served import served
from models.card import TaskName
from models.cli import main

POINT = 0.01
# COCO's panoptic numbers in the words of Pascal VOC; pixels without a segment do not count.
VOC = """\
*: background
0: ignore
1: person
2: bicycle
3: car
4: motorbike
5: aeroplane
6: bus
7: train
9: boat
16: bird
17: cat
18: dog
19: horse
20: sheep
21: cow
44: bottle
62: chair
63: sofa
64: pottedplant
67: diningtable
72: tvmonitor
"""
_COCO = "{data}/coco100_train2017"
_DETECTION = f"{_COCO}/object_detection"
_YOLO = f"yolo:{_COCO}/images/train2017,{_DETECTION}/labels/train2017,{_DETECTION}/config.yaml"
_MASKS = f"masks:{_COCO}/images/train2017,{_COCO}/semantic_segmentation/masks/train2017,{{work}}/voc.txt"
_CIFAR = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"


@dataclass(frozen=True)
class Real:
    """A graph, how it is brought, the data it is measured on, and what its source says it scores.

    Attributes:
        labels: what is given to `import --labels`.
        claims: metric -> value. `miou.present` is the mean over classes that the truth has.
    """

    name: str
    file: str
    task: TaskName
    labels: str
    data: str
    claims: Mapping[str, float]


REAL = (
    Real(
        "yolox-nano",
        "yolox_nano_coco80_416.onnx",
        "detection",
        f"{_DETECTION}/config.yaml",
        _YOLO,
        {"ap": 0.323, "ap50": 0.506},
    ),
    Real(
        "fastestdet",
        "fastestdet_coco80_352.onnx",
        "detection",
        f"{_DETECTION}/config.yaml",
        _YOLO,
        {"ap": 0.176, "ap50": 0.308},
    ),
    Real(
        "mobilenet-v2",
        "mobilenet_v2_1.0_224_quant.onnx",
        "classification",
        "{data}/models/imagenet_labels.txt",
        "csv:{data}/imagenet_samples/labels.csv",
        {"accuracy": 0.84, "top5_accuracy": 1.0},
    ),
    Real(
        "deeplab-v3",
        "deeplabv3_mnv2_dm05_pascal_quant.onnx",
        "segmentation",
        "{data}/models/pascal_voc_segmentation_labels.txt",
        _MASKS,
        {"miou.present": 0.477, "pixel_accuracy": 0.848},
    ),
    Real(
        "cifar10-resnet20",
        "cifar10_resnet20.onnx",
        "classification",
        _CIFAR,
        "tar:{data}/cifar10_jpeg/test_a.tar.gz",
        {"accuracy": 0.810},
    ),
)


@dataclass(frozen=True)
class Row:
    """One score, as it is claimed and as it was measured live.

    Attributes:
        low, high: 95 % interval, or None.
    """

    name: str
    metric: str
    claimed: float
    measured: float
    low: float | None = None
    high: float | None = None

    @property
    def near(self) -> bool:
        """Within a point of the claim."""
        return abs(self.measured - self.claimed) <= POINT

    @property
    def within(self) -> bool:
        """Near, or the claim lies in the interval."""
        inside = self.low is not None and self.high is not None and self.low <= self.claimed <= self.high
        return self.near or inside


def bring(real: Real, data: Path, root: Path) -> str:
    """Import one graph into a repository; what the command line said."""
    labels = real.labels.format(data=data)
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        words = ["import", str(data / "models" / real.file), "--name", real.name, "--labels", labels]
        code = main(["--repository", str(root), *words])
    if code:
        raise RuntimeError(f"{real.name} was not imported: {told.getvalue()}")
    return told.getvalue()


def scores(url: str, real: Real, data: Path, work: Path) -> list[Row]:
    """The claimed scores of one served graph. `work` gets a file of class names."""
    (work / "voc.txt").write_text(VOC)
    named = real.data.format(data=data, work=work)
    report = asyncio.run(evaluate(url, named, model=real.name, batch=2))
    if not report.valid:
        raise RuntimeError(f"{real.name} did not answer every image")
    told = {score.name: score for score in report.sections[0].scores}
    rows = []
    for metric, claimed in real.claims.items():
        if metric == "miou.present":
            rows.append(Row(real.name, metric, claimed, _present(told, named)))
            continue
        score = told[metric]
        rows.append(Row(real.name, metric, claimed, _value(score), score.low, score.high))
    return rows


def _value(score: Score) -> float:
    if score.value is None:
        raise RuntimeError(f"{score.name} must have a value, got none")
    return score.value


def _present(told: Mapping[str, Score], named: str) -> float:
    """Mean IoU over the classes of the truth; a class that is only answered does not count."""
    data = open_data(named, "segmentation")
    there = {data.labels[i] for s in data for i in np.unique(np.asarray(s.expected)).tolist() if i != 255}
    return float(np.mean([_value(told[f"iou.class.{label}"]) for label in there]))


def measure(data: Path) -> list[Row]:
    """Every claimed score of every graph; an empty list where the data is absent."""
    if not (data / "models").is_dir():
        return []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for real in REAL:
            bring(real, data, work / "repository")
        with served(model_repository=work / "repository") as url:
            return [row for real in REAL for row in scores(url, real, data, work)]

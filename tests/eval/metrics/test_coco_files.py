"""From COCO's own files through the reader and the answers of a service to the twelve numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.data.coco import coco_data
from eval.metrics.detection import DetectionMetric
from models.results import Detections
from tests.eval.metrics.oracles import TWELVE, evaluated, twelve, values
from tests.eval.metrics.test_coco import fixture, loaded, shapes

pytestmark = [
    pytest.mark.data,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # pycocotools
]


def rounded(annotations: list[dict[str, Any]]) -> None:
    """Boxes and scores as they are once a service has answered them: float32 corners."""
    for told in annotations:
        x, y, w, h = told["bbox"]
        left, top, right, bottom = np.array([x, y, x + w, y + h], np.float32).astype(float).tolist()
        told["bbox"] = [left, top, right - left, bottom - top]
        told["area"] = (right - left) * (bottom - top)
        told["score"] = float(np.float32(told["score"]))


@pytest.mark.parametrize(("kind", "options", "prefix"), [("bbox", "", ""), ("segm", ",masks", "mask.")])
def test_the_whole_way_gives_pycocotools_numbers(
    kind: str, options: str, prefix: str, tmp_path: Path
) -> None:
    source = fixture() / "instances_val2014_100.json"
    for image in json.loads(source.read_text(encoding="utf-8"))["images"]:
        (tmp_path / image["file_name"]).touch()  # the reader wants them there; nobody looks inside
    truth, found = loaded(kind)
    numbers = {f"{image:012}": image for image in truth.getImgIds()}
    if kind == "bbox":
        rounded(found.loadAnns(found.getAnnIds()))
    data = coco_data(f"{source},{tmp_path}{options}")
    metric = DetectionMetric(data.labels, overlap="masks" if options else "boxes", resamples=0)
    for sample in data:
        expected: Any = sample.expected
        image = numbers[expected.image]
        size = (truth.imgs[image]["height"], truth.imgs[image]["width"]) if options else None
        told = found.loadAnns(found.getAnnIds(imgIds=[image]))
        said = shapes(found, told, size)
        corners = np.concatenate([said.boxes[:, :2], said.boxes[:, :2] + said.boxes[:, 2:]], axis=1)
        scores = np.array([one["score"] for one in told], np.float32)
        metric.update([Detections(corners.astype(np.float32), scores, said.labels, said.masks)], [expected])
    assert len(data) == 100
    ours, theirs = values(metric), twelve(evaluated(truth, found, kind))
    for name in TWELVE:
        assert ours[prefix + name] == pytest.approx(theirs[name], abs=1e-12), name

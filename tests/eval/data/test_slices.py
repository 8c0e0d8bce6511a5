"""What a sample is, in words."""

from __future__ import annotations

import io
import os
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.data.dataset import Dataset, Expected, Sample
from eval.data.slices import slicer
from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.decoding import encode_png

REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
GREY = encode_png(np.full((4, 6, 3), 100, np.uint8))


def value(name: str, expected: Expected = 0, file: bytes = GREY, **tags: str) -> str:
    task: TaskName = "classification" if isinstance(expected, int) else "detection"
    data = Dataset("some", task, ("cat", "dog"), ["a"], lambda _: Sample("a", file, expected, tags))
    found = slicer([name], data)(data[0])
    assert list(found) == [name]
    return found[name]


def objects(*labels: int, crowd: int = 0) -> Objects:
    many = np.arange(len(labels)) < crowd
    return Objects(np.ones((len(labels), 4)), np.array(labels, np.int64), crowd=many)


@pytest.mark.parametrize(
    ("expected", "want"),
    [
        (1, "dog"),
        (objects(0, 1, 1), "dog"),
        (objects(1, 0), "cat"),
        (objects(), "none"),
        (np.array([[1, 1, 255], [255, 0, 255]], np.uint8), "dog"),
        (np.full((2, 2), 255, np.uint8), "none"),
    ],
)
def test_class(expected: Expected, want: str) -> None:
    assert value("class", expected) == want


@pytest.mark.parametrize(
    ("expected", "want"),
    [
        (1, "1"),
        (objects(), "0"),
        (objects(0), "1"),
        (objects(0, 1), "2 to 5"),
        (objects(*[0] * 5), "2 to 5"),
        (objects(*[0] * 6), "6 or more"),
        (objects(*[0] * 6, crowd=5), "1"),
        (np.array([[0, 1, 255]], np.uint8), "2 to 5"),
    ],
)
def test_objects(expected: Expected, want: str) -> None:
    assert value("objects", expected) == want


@pytest.mark.parametrize(
    ("shape", "want"),
    [((64, 64), "up to 64"), ((64, 65), "up to 256"), ((16, 256), "up to 64"), ((256, 256), "up to 256"),
     ((500, 500), "up to 512"), ((1, 1_050_000), "up to 2048"), ((2049, 2048), "over 2048")],
)  # fmt: skip
def test_size_is_told_by_the_header(shape: tuple[int, int], want: str) -> None:
    head = encode_png(np.zeros((1, 1, 3), np.uint8))
    size = shape[1].to_bytes(4, "big") + shape[0].to_bytes(4, "big")
    body = head[12:16] + size + head[24:29]
    assert value("size", file=head[:12] + body + zlib.crc32(body).to_bytes(4, "big") + head[33:]) == want
    assert value("size", file=b"x") == "unreadable"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("colour", "want"),
    [((0, 0, 0), "0 to 63"), ((63, 63, 63), "0 to 63"), ((66, 66, 66), "64 to 127"),
     ((0, 255, 0), "128 to 191"), ((0, 0, 255), "0 to 63"),
     ((255, 0, 0), "64 to 127"), ((255, 255, 255), "192 to 255")],
)  # fmt: skip
def test_brightness(kind: str, colour: tuple[int, int, int], want: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(buffer, kind)
    assert value("brightness", file=buffer.getvalue()) == want


def test_brightness_of_what_is_no_picture() -> None:
    assert value("brightness", file=b"x") == "unreadable"


def test_columns_of_the_data() -> None:
    assert value("camera", camera="north") == "north"
    assert value("camera", camera="") == "none"
    assert value("tag.size", size="small") == "small"
    assert value("size", size="small") == "up to 64"
    with pytest.raises(
        DatasetError, match="a slice must be one of class, size, brightness, objects, camera; got"
    ):
        value("weather", camera="north")


def test_several_slices_of_a_folder(tmp_path: Path) -> None:
    for name in ("cat/night/a.png", "dog/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(GREY)
    data = open_data(f"folder:{tmp_path}", "classification")
    of = slicer(["class", "parent"], data)
    assert [of(s) for s in data] == [
        {"class": "cat", "parent": "cat/night"},
        {"class": "dog", "parent": "dog"},
    ]


@pytest.mark.data
def test_real_photographs() -> None:
    root = REAL / "coco100_train2017"
    if not root.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no coco100_train2017")
    labels = root / "object_detection"
    data = open_data(
        f"yolo:{root}/images/train2017,{labels}/labels/train2017,{labels}/config.yaml", "detection"
    )
    of = slicer(["size", "objects", "brightness"], data)
    found = [of(s) for s in data]
    assert Counter(f["objects"] for f in found)["0"] == 2
    assert {f["size"] for f in found} <= {"up to 512", "up to 1024"}
    for sample, told in zip(data.first(20), found, strict=False):  # all pixels tell the same
        exact = np.asarray(Image.open(io.BytesIO(sample.file)).convert("L")).mean()
        low, high = map(int, told["brightness"].split(" to "))
        assert low - 2 <= exact <= high + 3

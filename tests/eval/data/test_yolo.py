"""YOLO text labels: fractions become pixels of the picture as it is shown."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as oracle

from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects

REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))


def yolo(root: Path, labels: dict[str, str | None], names: str | None = None) -> str:
    for name in ("images", "labels"):
        (root / name).mkdir()
    for stem, lines in labels.items():
        Image.fromarray(np.full((40, 60, 3), 9, np.uint8)).save(root / "images" / f"{stem}.png")
        if lines is not None:
            (root / "labels" / f"{stem}.txt").write_text(lines)
    if names is None:
        return f"yolo:{root / 'images'},{root / 'labels'}"
    (root / "data.yaml").write_text(names)
    return f"yolo:{root / 'images'},{root / 'labels'},{root / 'data.yaml'}"


def truth(name: str, index: int = 0) -> Objects:
    expected = open_data(name, "detection")[index].expected
    assert isinstance(expected, Objects)
    return expected


def test_boxes_are_pixels(tmp_path: Path) -> None:
    found = truth(yolo(tmp_path, {"a": "1 0.5 0.5 1 1\n\n0 0.25 0.5 0.5 0.25\n"}))
    assert found.boxes.tolist() == [[0, 0, 60, 40], [0, 15, 30, 25]]
    assert found.labels.tolist() == [1, 0]
    assert found.areas.tolist() == [2400, 300]
    assert not found.crowd.any()


def test_a_picture_without_a_file_has_no_objects(tmp_path: Path) -> None:
    name = yolo(tmp_path, {"a": None, "b": "0 0.5 0.5 0.5 0.5", "c": ""})
    assert [len(truth(name, i)) for i in range(3)] == [0, 1, 0]


def test_an_outline_counts_with_its_box(tmp_path: Path) -> None:
    found = truth(yolo(tmp_path, {"a": "0 0.5 0.1 0.2 0.5 0.6 0.9"}))
    np.testing.assert_allclose(found.boxes, [[12, 4, 36, 36]])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools on NumPy 2
def test_outlines_as_masks(tmp_path: Path) -> None:
    outline = [0.5, 0.1, 0.2, 0.5, 0.6, 0.9, 0.93, 0.33]
    name = yolo(tmp_path, {"a": f"0 {' '.join(map(str, outline))}\n1 0.25 0.5 0.5 0.25\n", "b": ""})
    assert truth(name).masks is None
    found = truth(f"{name},masks")
    assert found.masks is not None
    corners = [side * (60, 40)[i % 2] for i, side in enumerate(outline)]
    want = oracle.decode(oracle.frPyObjects([corners], 40, 60))[:, :, 0].astype(bool)
    np.testing.assert_array_equal(found.masks[0], want)
    box = np.zeros((40, 60), bool)
    box[15:25, :30] = True
    np.testing.assert_array_equal(found.masks[1], box)
    empty = truth(f"{name},masks", 1).masks
    assert empty is not None
    assert empty.shape == (0, 40, 60)


def test_folders_below_are_folders_below(tmp_path: Path) -> None:
    name = yolo(tmp_path, {"a": "0 .5 .5 1 1"})
    for kind in ("images", "labels"):
        (tmp_path / kind / "far").mkdir()
        (tmp_path / kind / "far" / "b.txt").write_text("1 .5 .5 .5 .5")
    (tmp_path / "images" / "far" / "b.png").write_bytes((tmp_path / "images" / "a.png").read_bytes())
    data = open_data(name, "detection")
    assert data.ids == ["a.png", "far/b.png"]
    assert truth(name, 1).labels.tolist() == [1]
    assert data.remarks == ()
    (tmp_path / "labels" / "far" / "b.txt").unlink()
    (told,) = open_data(name, "detection").remarks
    assert told.endswith("has no .txt for 1 pictures, such as far/b.png: they have no objects")


def test_names_and_numbers(tmp_path: Path) -> None:
    named = open_data(yolo(tmp_path, {"a": "1 .5 .5 1 1"}, "names: [cat, dog]\n"), "detection")
    assert named.labels == ("cat", "dog")
    assert truth(
        named.name.replace("yolo:images", f"yolo:{tmp_path}/images,{tmp_path}/labels")
    ).labels.tolist() == [1]
    served = named.in_classes_of(("dog", "cow", "cat"))[0].expected
    assert isinstance(served, Objects)
    assert served.labels.tolist() == [0]
    numbered = open_data(f"yolo:{tmp_path}/images,{tmp_path}/labels", "detection")
    assert (numbered.labels, numbered.numbered) == (("class 0", "class 1"), True)
    assert numbered.in_classes_of(("x", "y", "z")).labels == ("x", "y", "z")


def test_a_turned_photograph_counts_as_it_is_shown(tmp_path: Path) -> None:
    name = yolo(tmp_path, {"a": "0 0.5 0.5 1 1"})
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "images" / "a.png").unlink()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "images" / "a.jpg", exif=turned)
    assert truth(name).boxes.tolist() == [[0, 0, 40, 60]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 1", r"a\.txt:2: a line must be `class cx cy w h`"),
        ("0 0.5 0.5 1 x", r"a\.txt:2: could not convert"),
        ("0.5 0.5 0.5 1 1", r"a\.txt:2: the class must be a whole number"),
        ("-1 0.5 0.5 1 1", r"a\.txt:2: the class must be a whole number"),
        ("0 0.5 nan 1 1", r"a\.txt:2: the class must be .* finite"),
        ("9999999999999 0.5 0.5 1 1", r"a\.txt:2: the class must be a whole number below 65536"),
        ("0 30 20 60 40", r"a\.txt:2: numbers must be fractions"),
        ("0 0.5 0.5 -1 1", r"a\.txt:2: numbers must be fractions"),
    ],
)
def test_file_and_line_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        truth(yolo(tmp_path, {"a": f"0 .5 .5 1 1\n{line}\n"}))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has none of them"):
        truth(yolo(tmp_path, {"a": None}))
    with pytest.raises(DatasetError, match="must be yolo:IMAGES,LABELS"):
        open_data(f"yolo:{tmp_path}", "detection")
    (tmp_path / "labels" / "a.txt").write_text("7 .5 .5 1 1")
    (tmp_path / "names.txt").write_text("cat\n")
    with pytest.raises(DatasetError, match="names 1 classes, the labels use class 7"):
        open_data(f"yolo:{tmp_path}/images,{tmp_path}/labels,{tmp_path}/names.txt", "detection")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_data(f"yolo:{tmp_path}/images,{tmp_path}/labels,{tmp_path}/nothing.yaml", "detection")
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"a\.png must be a picture"):
        truth(f"yolo:{tmp_path}/images,{tmp_path}/labels")


@pytest.mark.data
def test_real_photographs() -> None:
    root = REAL / "coco100_train2017"
    if not root.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no coco100_train2017")
    labels = root / "object_detection"
    name = f"yolo:{root}/images/train2017,{labels}/labels/train2017,{labels}/config.yaml"
    data = open_data(name, "detection")
    assert (len(data), len(data.labels)) == (100, 80)
    assert data.labels[:2] == ("person", "bicycle")
    objects = [s.expected for s in data if isinstance(s.expected, Objects)]
    assert sum(map(len, objects)) == 741
    assert sum(len(o) == 0 for o in objects) == 2

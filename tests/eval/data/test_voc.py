"""Pascal VOC folders: whole pixels from 1 become edges from 0; slips of the hand are survived."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import encode_png

PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))
REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))


def thing(name: str, *corners: float, difficult: int = 0) -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{k}>{v}</{k}>" for k, v in zip(keys, corners, strict=True))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{box}</bndbox></object>"


def voc(root: Path, pictures: dict[str, str], **lists: str) -> Path:
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for stem, objects in pictures.items():
        (root / "JPEGImages" / f"{stem}.png").write_bytes(PICTURE)
        (root / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{objects}</annotation>")
    for name, lines in lists.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(lines)
    return root


def truth(root: Path, index: int = 0, arguments: str = "") -> Objects:
    expected = open_data(f"voc:{root}{arguments}", "detection")[index].expected
    assert isinstance(expected, Objects)
    return expected


def test_the_whole_picture_is_the_whole_picture(tmp_path: Path) -> None:
    found = truth(voc(tmp_path, {"a": thing("cell", 1, 1, 6, 4) + thing("bug", 2, 2, 2.5, 3, difficult=1)}))
    assert found.boxes.tolist() == [[0, 0, 6, 4], [1, 1, 2.5, 3]]
    assert found.labels.tolist() == [1, 0]  # bug, cell
    assert found.crowd.tolist() == [False, True]
    assert found.areas.tolist() == [24, 3]
    assert found.image == "a"


def test_boxes_without_area_are_left_out(tmp_path: Path) -> None:
    found = truth(
        voc(tmp_path, {"a": thing("x", 3, 3, 3, 3) + thing("x", 4, 1, 2, 3) + thing("x", 1, 1, 2, 2)})
    )
    assert found.boxes.tolist() == [[0, 0, 2, 2]]
    assert len(truth(voc(tmp_path / "b", {"a": thing("x", 3, 3, 3, 3)}))) == 0


def test_lists_choose_and_order_but_do_not_change_the_classes(tmp_path: Path) -> None:
    pictures = {"a": thing("ant", 1, 1, 2, 2), "b": thing("bee", 1, 1, 2, 2), "c": ""}
    root = voc(tmp_path, pictures, val="c\na\n\n", bee_val="a -1\nb  1\nc  0\n")
    assert open_data(f"voc:{root}", "detection").ids == ["a.png", "b.png", "c.png"]
    val = open_data(f"voc:{root},val", "detection")
    assert (val.ids, val.labels) == (["c.png", "a.png"], ("ant", "bee"))
    assert open_data(f"voc:{root},bee_val", "detection").ids == ["b.png", "c.png"]
    with pytest.raises(DatasetError, match="there are: bee_val, val"):
        open_data(f"voc:{root},test", "detection")


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ("<object>", r"a\.xml must be a Pascal VOC annotation: mismatched tag"),
        ("<object><name>x</name></object>", "object 'x' must have a name and a bndbox"),
        (thing("x", 1, 1, float("inf"), 2), r"a\.xml .*a bndbox must be finite"),
        (thing("", 1, 1, 2, 2), "object '' must have a name"),
        (
            thing("x", 1, 1, 2, 2).replace("2</xmax>", "wide</xmax>"),
            "could not convert string to float: 'wide'",
        ),
    ],
)
def test_the_broken_file_is_named(tmp_path: Path, objects: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        truth(voc(tmp_path, {"a": objects}))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = voc(tmp_path, {"a": thing("x", 1, 1, 2, 2)}, val="a\nb\n")
    with pytest.raises(DatasetError, match="no annotation of b, which val names"):
        open_data(f"voc:{root},val", "detection")
    (root / "JPEGImages" / "a.png").unlink()
    with pytest.raises(DatasetError, match="no picture of a"):
        open_data(f"voc:{root}", "detection")
    with pytest.raises(DatasetError, match="there must be a folder"):
        open_data(f"voc:{tmp_path / 'nowhere'}", "detection")
    with pytest.raises(DatasetError, match="names no object"):
        open_data(f"voc:{voc(tmp_path / 'empty', {'a': ''})}", "detection")


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    root = voc(tmp_path, {"a": thing("x", 3, 3, 3, 3), "b": thing("x", 1, 1, 2, 2)}, val="b\n")
    (told,) = open_data(f"voc:{root}", "detection").remarks
    assert told == f"{root}/Annotations/a.xml: a box of x without area was left out: 3 3 3 3"
    assert open_data(f"voc:{root},val", "detection").remarks == ()


def test_masks_of_the_same_folders(tmp_path: Path) -> None:
    root = voc(tmp_path, {"a": "", "b": ""})
    (root / "SegmentationClass").mkdir()
    (root / "ImageSets" / "Segmentation").mkdir()
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("b\n")
    for stem, values in (("a", [[0, 1]]), ("b", [[255, 20]])):
        picture = Image.fromarray(np.array(values, np.uint8), "P")
        picture.putpalette([7, 8, 9] * 256)
        picture.save(root / "SegmentationClass" / f"{stem}.png")
    data = open_data(f"voc:{root}", "segmentation")
    assert (data.ids, len(data.labels), data.labels[20]) == (["a.png", "b.png"], 21, "tvmonitor")
    assert [np.asarray(s.expected).tolist() for s in data] == [[[0, 1]], [[255, 20]]]
    assert data[0].file == PICTURE
    assert open_data(f"voc:{root},val", "segmentation").ids == ["b.png"]
    Image.fromarray(np.array([[21]], np.uint8)).save(root / "SegmentationClass" / "b.png")
    with pytest.raises(DatasetError, match=r"b\.png must have values below 21 or 255, got 21"):
        open_data(f"voc:{root},val", "segmentation")[0]
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("c\n")
    with pytest.raises(DatasetError, match="has no mask of c, which val names"):
        open_data(f"voc:{root},val", "segmentation")


@pytest.mark.data
def test_real_blood_cells() -> None:
    root = REAL / "bccd" / "BCCD"
    if not root.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no bccd")
    data = open_data(f"voc:{root}", "detection")
    assert (len(data), data.labels) == (292, ("Platelets", "RBC", "WBC"))
    assert [len(open_data(f"voc:{root},{name}", "detection")) for name in ("train", "val")] == [205, 87]
    slip = data[data.ids.index("BloodImage_00338.jpg")].expected
    assert isinstance(slip, Objects)
    assert len(slip) == 13  # of 14
    assert (slip.areas > 0).all()

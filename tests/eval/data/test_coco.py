"""COCO files: read piece by piece, kept small, their masks those of pycocotools."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import encode_png

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools on NumPy 2
REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "coco_eval_parity"
PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))
BOX = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2]}
TOLD: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
    "annotations": [BOX],
    "categories": [{"id": 1, "name": "cat"}],
}


def written(root: Path, told: object, **dumping: Any) -> Path:
    (root / "a.png").write_bytes(PICTURE)
    path = root / "coco.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told, **dumping), encoding="utf-8")
    return path


def truth(path: Path, index: int = 0, options: str = "") -> Objects:
    expected = open_data(f"coco:{path},{path.parent}{options}", "detection")[index].expected
    assert isinstance(expected, Objects)
    return expected


def test_masks_only_where_asked_for(tmp_path: Path) -> None:
    segmentations = [
        [[0, 0, 3, 0, 3, 2, 0, 2], [5, 3, 6, 3, 6, 4, 5, 4]],
        {"counts": [0, 1, 22, 1], "size": [4, 6]},
        {"counts": "80", "size": [4, 6]},
    ]
    annotations = [{**BOX, "segmentation": s, "iscrowd": int(i == 1)} for i, s in enumerate(segmentations)]
    path = written(tmp_path, {**TOLD, "annotations": [*annotations[:2], {**BOX, "segmentation": [[0] * 6]}]})
    assert truth(path).masks is None
    found = truth(path, options=",masks")
    assert found.masks is not None
    assert found.masks[0].astype(int).tolist() == [
        [1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]
    ]  # fmt: skip
    assert np.argwhere(found.masks[1]).tolist() == [[0, 0], [3, 5]]
    assert found.masks.sum(axis=(1, 2)).tolist() == [7, 2, 0]
    assert found.crowd.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "dumping", [{}, {"ensure_ascii": False}, {"indent": 1, "ensure_ascii": False}], ids=str
)
def test_places_in_the_file_are_right_whatever_is_in_front(tmp_path: Path, dumping: dict[str, Any]) -> None:
    """Umlauts move bytes, not letters; line ends and a byte order mark count too."""
    told = {
        "info": {"annotations": [1, "]}"], "by": "Zoë 鳥"},
        **TOLD,
        "categories": [{"id": 1, "name": "Vögel 鳥"}],
        "annotations": [{**BOX, "who": "Åse", "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]}] * 2,
    }
    path = written(tmp_path, told, **dumping)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert open_data(f"coco:{path}", "detection").labels == ("Vögel 鳥",)
    found = truth(path, options=",masks")
    assert found.masks is not None
    assert found.masks.sum(axis=(1, 2)).tolist() == [6, 6]


def test_order_of_keys_and_of_ids(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(PICTURE)
    images = [
        {"id": "x2", "file_name": "a.png"},
        {"id": "x1", "file_name": "b.png", "site": "north", "sun": True},
    ]
    told = {
        "annotations": [{**BOX, "image_id": "x2"}],
        "categories": [{"id": 7, "name": "b"}, {"id": 1, "name": "a"}],
        "images": images,
    }
    data = open_data(f"coco:{written(tmp_path, told)}", "detection")
    assert (data.labels, data.ids) == (("a", "b"), ["b.png", "a.png"])
    assert [s.tags for s in data] == [{"site": "north", "sun": "true"}, {"site": "", "sun": ""}]
    found = data[1].expected
    assert isinstance(found, Objects)
    assert (len(found), found.image) == (1, "x2")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("", r"coco\.json must be COCO annotations: cannot mmap"),
        ("[]", r"must have '\{' at byte 0, got '\['"),
        ('{"images": [{"id": 1, "file_name": "a.png"}', "must have ','"),
        ('{"images": [{"id": 1, "file_name": "a.png"} 5]}', "must have ','"),
        ('{"images": {}, "categories": []}', "images must be a list"),
        ({**TOLD, "categories": []}, "it has no categories"),
        ({**TOLD, "images": [{"id": 1}]}, "KeyError 'file_name'"),
        ({**TOLD, "images": [{"id": 1, "file_name": 5}]}, "file_name must be a path, got 5"),
        ({**TOLD, "images": [*TOLD["images"], {"id": "1", "file_name": "a.png"}]}, "not supported between"),
        ({**TOLD, "images": TOLD["images"] * 2}, "an id of its own"),
        ({**TOLD, "annotations": [{**BOX, "bbox": [0, 0, 1]}]}, "not enough values"),
        ({**TOLD, "annotations": [{**BOX, "bbox": [0, 0, 1, "x"]}]}, "could not convert"),
        ({**TOLD, "annotations": [{**BOX, "bbox": [0, 0, 1, float("nan")]}]}, "bbox and area must be finite"),
        ({**TOLD, "annotations": [{**BOX, "image_id": [1]}]}, "image_id must be a number"),
        ({**TOLD, "annotations": [{**BOX, "image_id": 9}]}, "annotation 0 names the image 9, which"),
        ({**TOLD, "annotations": [{**BOX, "category_id": 9}]}, "annotation 0 names the category 9"),
        ({**TOLD, "annotations": [5]}, "object"),
        ("{" + '"a":' + "[" * 100_000, "recursion"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, told: object, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as error:
        truth(written(tmp_path, told))
    assert "coco.json" in str(error.value)


def test_the_line_is_named(tmp_path: Path) -> None:
    rows = [json.dumps(BOX), json.dumps({**BOX, "bbox": [1]})]
    head = json.dumps({**TOLD, "annotations": []}).replace('"annotations": []', '"annotations": [\n%s\n]')
    with pytest.raises(DatasetError, match=r"coco\.json:3 must be COCO annotations: not enough values"):
        truth(written(tmp_path, head % ",\n".join(rows)))


@pytest.mark.parametrize(
    ("annotation", "image", "message"),
    [
        ({}, {}, "annotation 0, of a.png: a segmentation must be"),
        ({"segmentation": {"counts": [5], "size": [4, 6]}}, {}, "must fill 4 x 6 pixels, got 5"),
        ({"segmentation": [[0] * 6]}, {"height": "tall"}, "the image a.png must tell its height and width"),
        ({"segmentation": [[0] * 6]}, {"height": 1 << 40, "width": 1 << 40}, "annotation -1, of a.png"),
    ],
)
def test_what_is_wrong_with_a_mask_is_told(
    tmp_path: Path, annotation: dict[str, Any], image: dict[str, Any], message: str
) -> None:
    told = {**TOLD, "annotations": [{**BOX, **annotation}], "images": [{**TOLD["images"][0], **image}]}
    path = written(tmp_path, told)
    assert len(truth(path)) == 1
    with pytest.raises(DatasetError, match=message):
        truth(path, options=",masks")
    with pytest.raises(DatasetError, match=r"coco:JSON,IMAGES,masks"):
        truth(path, options=",boxes")


def test_memory_is_that_of_columns(tmp_path: Path) -> None:
    """As dicts, an annotation with its polygon takes over 2,000 bytes."""
    count = 4_000
    one = {**BOX, "area": 3.5, "iscrowd": 0, "segmentation": [[float(i) for i in range(40)]]}
    path = written(tmp_path, {**TOLD, "annotations": [one] * count})
    tracemalloc.start()
    try:
        data = open_data(f"coco:{path},{tmp_path},masks", "detection")
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(data) == 1
    assert kept / count < 100
    assert peak < 1.5 * path.stat().st_size + 200 * count


@pytest.mark.data
def test_real_annotations_are_those_of_pycocotools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not REAL.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no coco_eval_parity")
    path = REAL / "instances_val2014_100.json"
    oracle = COCO(str(path))
    for image in oracle.loadImgs(oracle.getImgIds()):
        (tmp_path / image["file_name"]).write_bytes(PICTURE)
    data = open_data(f"coco:{path},{tmp_path},masks", "detection")
    categories = sorted(oracle.getCatIds())
    objects = 0
    for sample, number in zip(data, sorted(oracle.getImgIds()), strict=True):
        want = oracle.loadAnns(oracle.getAnnIds(number))
        found = sample.expected
        assert isinstance(found, Objects)
        assert found.masks is not None
        assert found.image == f"{number:012d}"
        assert [categories[i] for i in found.labels] == [a["category_id"] for a in want]
        assert found.areas.tolist() == [a["area"] for a in want]
        assert found.crowd.tolist() == [bool(a["iscrowd"]) for a in want]
        corners = found.boxes.tolist()
        assert corners == [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in want)]
        for mask, annotation in zip(found.masks, want, strict=True):
            assert np.array_equal(mask, oracle.annToMask(annotation))
        objects += len(found)
    assert objects == len(oracle.anns) > 800

"""Readers read what is there, and say which file is wrong where it is not."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.data.dataset import Dataset
from eval.data.tables import READERS, open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import decode, encode_png
from models.scenes import CLASSES, scene

PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))
REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))


def test_digits_are_held_out_and_labelled() -> None:
    data = open_data("digits:test", "classification")
    assert len(data) == 1000
    assert data.labels == tuple("0123456789")
    labels = [sample.expected for sample in data.first(200)]
    assert len(labels) == 200
    assert set(labels) == set(range(10))
    assert decode(data[3].file).shape == (28, 28, 3)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_scenes_are_scenes(task: str) -> None:
    data = open_data("scenes:test:7", task)  # type: ignore[arg-type]
    assert len(data) == 7
    sample, drawn = data[4], scene(4)
    np.testing.assert_array_equal(decode(sample.file), drawn.image)
    if isinstance(sample.expected, Objects):
        np.testing.assert_array_equal(sample.expected.boxes, drawn.boxes)
        assert sample.expected.areas.tolist() == drawn.masks.sum(axis=(1, 2)).tolist()
        assert data.labels == CLASSES
    else:
        np.testing.assert_array_equal(sample.expected, drawn.semantic)
        assert data.labels == ("background", *CLASSES)


def folder(root: Path) -> Path:
    for name in ("cat", "ant"):
        (root / name).mkdir(parents=True)
        for i in range(2):
            (root / name / f"{i}.png").write_bytes(PICTURE)
    (root / "cat" / "notes.txt").write_text("no picture")
    return root


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    data = open_data(f"folder:{folder(tmp_path)}", "classification")
    assert data.labels == ("ant", "cat")
    assert [(s.id, s.expected) for s in data] == [
        ("ant/0.png", 0),
        ("ant/1.png", 0),
        ("cat/0.png", 1),
        ("cat/1.png", 1),
    ]
    assert data[0].file == PICTURE


def table(root: Path, rows: list[dict[str, str]]) -> str:
    (root / "a.png").write_bytes(PICTURE)
    with (root / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return f"csv:{root / 't.csv'}"


def test_a_table_by_name(tmp_path: Path) -> None:
    rows = [{"file": "a.png", "label": "dog"}, {"file": "a.png", "label": "bee"}]
    data = open_data(table(tmp_path, rows), "classification")
    assert data.labels == ("bee", "dog")
    served = data.in_classes_of(("dog", "cow", "bee"))
    assert [s.expected for s in served] == [0, 2]
    with pytest.raises(DatasetError, match="no class 'bee'"):
        data.in_classes_of(("dog", "cow"))


def test_a_table_by_number(tmp_path: Path) -> None:
    rows = [{"file": "a.png", "label": "whatever", "class_index": "2"}]
    data = open_data(table(tmp_path, rows), "classification").in_classes_of(("x", "y", "z"))
    assert data[0].expected == 2
    assert data.labels == ("x", "y", "z")


def test_a_number_beyond_all_classes(tmp_path: Path) -> None:
    rows = [{"file": "a.png", "label": "x", "class_index": "99999999999999"}]
    with pytest.raises(DatasetError, match=r"t\.csv: class numbers must be below 65536"):
        open_data(table(tmp_path, rows), "classification")


def test_names_are_alike_but_for_case_and_signs(tmp_path: Path) -> None:
    rows = [{"file": "a.png", "label": "water_ouzel"}, {"file": "a.png", "label": "Ant"}]
    data = open_data(table(tmp_path, rows), "classification")
    served = ("background", "ant, emmet, pismire", "water ouzel, dipper")
    assert [s.expected for s in data.in_classes_of(served)] == [2, 1]
    with pytest.raises(DatasetError, match="no class 'Ant'"):  # two to choose from
        data.in_classes_of((*served, "army ant, ant"))
    exact = data.in_classes_of((*served, "Ant"))  # the very name comes first
    assert [s.expected for s in exact] == [2, 3]


def test_a_background_in_front_moves_all_numbers_alike(tmp_path: Path) -> None:
    names = ("tench", "goldfish", "crane", "hen", "crane")
    rows = [{"file": "a.png", "label": name, "class_index": str(i)} for i, name in enumerate(names)]
    data = open_data(table(tmp_path, rows), "classification")
    assert [s.expected for s in data] == [0, 1, 2, 3, 4]  # two cranes stay two
    served = ("tench, Tinca tinca", "goldfish", "crane", "hen", "crane")
    assert [s.expected for s in data.in_classes_of(served)] == [0, 1, 2, 3, 4]
    assert [s.expected for s in data.in_classes_of(("background", *served))] == [1, 2, 3, 4, 5]
    strange = data.in_classes_of(("goldfish", "tench", "x", "y", "z"))  # they do not agree: numbers count
    assert [s.expected for s in strange] == [0, 1, 2, 3, 4]
    with pytest.raises(DatasetError, match="no class"):
        data.in_classes_of(("tench", "goldfish"))


COCO = {
    "images": [{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}],
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"image_id": 7, "category_id": 90, "bbox": [1, 2, 3, 1.5], "area": 4.5, "iscrowd": 0},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 6, 4], "area": 20, "iscrowd": 1},
    ],
}


def coco(root: Path, told: object = COCO) -> str:
    for name in ("a.png", "b.png"):
        (root / name).write_bytes(PICTURE)
    (root / "coco.json").write_text(json.dumps(told))
    return f"coco:{root / 'coco.json'},{root}"


def test_coco(tmp_path: Path) -> None:
    data = open_data(coco(tmp_path), "detection")
    assert data.labels == ("person", "toothbrush")
    assert data.ids == ["b.png", "a.png"]  # by image id
    empty, full = (s.expected for s in data)
    assert isinstance(empty, Objects)
    assert isinstance(full, Objects)
    assert len(empty) == 0
    assert full.boxes.tolist() == [[1, 2, 4, 3.5], [0, 0, 6, 4]]
    assert (full.labels.tolist(), full.crowd.tolist(), full.areas.tolist()) == (
        [1, 0],
        [False, True],
        [4.5, 20],
    )
    renumbered = data.in_classes_of(("toothbrush", "person"))[1].expected
    assert isinstance(renumbered, Objects)
    assert renumbered.labels.tolist() == [0, 1]


def masks(root: Path, values: list[list[int]]) -> str:
    for name in ("images", "masks"):
        (root / name).mkdir()
    (root / "images" / "a.png").write_bytes(PICTURE)
    Image.fromarray(np.array(values, np.uint8)).save(root / "masks" / "a.png")
    return f"masks:{root / 'images'},{root / 'masks'}"


def test_masks(tmp_path: Path) -> None:
    data = open_data(masks(tmp_path, [[0, 2], [255, 1]]), "segmentation")
    assert data.labels == ("class 0", "class 1", "class 2")
    expected = data[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[0, 2], [255, 1]]


def test_masks_are_renumbered_but_not_what_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("sky\nroad\ncar\n")
    name = masks(tmp_path, [[0, 2], [255, 1]])
    data = open_data(f"{name},{tmp_path / 'names.txt'}", "segmentation").in_classes_of(("car", "sky", "road"))
    expected = data[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[1, 0], [255, 2]]


def test_masks_may_be_told_what_their_values_mean(tmp_path: Path) -> None:
    """Values of one name are one class; some do not count; the rest is what `*` says."""
    name = masks(tmp_path, [[0, 3, 4], [11, 255, 7]])
    (tmp_path / "names.txt").write_text("*: background\n3: car\n4: car\n11: ignore\n")
    data = open_data(f"{name},{tmp_path / 'names.txt'}", "segmentation")
    assert data.labels == ("background", "car")
    expected = data[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[0, 1, 1], [255, 255, 0]]
    assert expected.dtype == np.uint8
    served = data.in_classes_of(("sky", "car", "background"))[0].expected
    assert isinstance(served, np.ndarray)
    assert served.tolist() == [[2, 1, 1], [255, 255, 2]]


def test_a_value_without_a_name_is_named(tmp_path: Path) -> None:
    name = masks(tmp_path, [[0, 11]])
    (tmp_path / "names.yaml").write_text("classes:\n  0: sky\n")
    with pytest.raises(
        DatasetError, match=r"a\.png: the value 11 has no name in .*names\.yaml; name it, or add"
    ):
        open_data(f"{name},{tmp_path / 'names.yaml'}", "segmentation")[0]
    (tmp_path / "names.yaml").write_text("classes:\n  0: sky\n  255: edge\n  11: ignore\n")
    data = open_data(f"{name},{tmp_path / 'names.yaml'}", "segmentation")
    assert data.labels == ("sky", "edge")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_data(f"{name},{tmp_path / 'nothing.txt'}", "segmentation")


def test_a_palette_mask_is_its_indices(tmp_path: Path) -> None:
    name = masks(tmp_path, [[0, 0], [0, 0]])
    picture = Image.fromarray(np.array([[3, 1]], np.uint8), "P")
    picture.putpalette([7, 8, 9] * 256)
    picture.save(tmp_path / "masks" / "a.png")
    expected = open_data(name, "segmentation")[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[3, 1]]


def test_bad_names() -> None:
    generic = ["digits", "birds:all", "", "digits:validation", "folder:/nowhere", "csv:/nowhere"]
    special = ["scenes:test:many", "coco:/nowhere.json,/tmp", "masks:/nowhere", "masks:/nowhere,/nowhere"]
    for name in generic + special:
        with pytest.raises(DatasetError):
            open_data(name, "detection" if name.startswith(("scenes", "coco")) else "classification")


def test_a_table_names_the_line(tmp_path: Path) -> None:
    rows = [{"file": "a.png", "label": "x"}, {"file": "gone.png", "label": "x"}]
    with pytest.raises(DatasetError, match=r"t\.csv:3: there is no file gone\.png"):
        open_data(table(tmp_path, rows), "classification")
    with pytest.raises(DatasetError, match=r"t\.csv:2: every row"):
        open_data(table(tmp_path, [{"file": "", "label": "x"}]), "classification")


@pytest.mark.parametrize(
    "told",
    [[], {}, {**COCO, "annotations": [{"image_id": 1, "category_id": 1}]}, {**COCO, "images": [{"id": 1}]}],
    ids=str,
)
def test_bad_coco(tmp_path: Path, told: object) -> None:
    with pytest.raises(DatasetError, match=r"coco\.json"):
        open_data(coco(tmp_path, told), "detection")


def test_a_colour_mask_is_refused(tmp_path: Path) -> None:
    name = masks(tmp_path, [[0]])
    (tmp_path / "names.txt").write_text("a\n")
    (tmp_path / "masks" / "a.png").write_bytes(
        encode_png(np.random.default_rng(0).integers(0, 9, (2, 2, 3), np.uint8))
    )
    with pytest.raises(DatasetError, match="index mask"):
        open_data(f"{name},{tmp_path / 'names.txt'}", "segmentation")[0]


def test_data_of_another_task(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is for classification"):
        open_data("digits:test", "detection")
    with pytest.raises(DatasetError, match="several objects"):
        open_data("scenes:test", "classification")


@pytest.mark.data
def test_real_photographs_by_table() -> None:
    if not (REAL / "imagenet_samples").is_dir():
        pytest.skip("ASSAY_DATA_DIR has no imagenet_samples")
    data: Dataset = open_data(f"csv:{REAL / 'imagenet_samples' / 'labels.csv'}", "classification")
    assert len(data) == 50
    served = data.in_classes_of([f"name {i}" for i in range(1000)])
    assert [s.expected for s in served.first(3)] == [0, 20, 40]
    assert decode(served[0].file).ndim == 3


@pytest.mark.data
def test_real_streets() -> None:
    if not (REAL / "camvid").is_dir():
        pytest.skip("ASSAY_DATA_DIR has no camvid")
    data = open_data(f"masks:{REAL / 'camvid' / 'val'},{REAL / 'camvid' / 'valannot'}", "segmentation")
    assert (len(data), len(data.labels)) == (51, 12)


def test_every_reader_is_documented() -> None:
    from eval.commands.options import DATA

    assert all(f"{kind}:" in DATA for kind in READERS)

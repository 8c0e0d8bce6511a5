"""Tables of pictures: CSV and JSON lines, their extra columns, their errors by line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.decoding import encode_png

PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))


def lines(root: Path, *rows: object) -> str:
    (root / "a.png").write_bytes(PICTURE)
    told = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (root / "t.jsonl").write_text("\n".join(told), encoding="utf-8")
    return f"jsonl:{root / 't.jsonl'}"


def test_one_class_a_line(tmp_path: Path) -> None:
    name = lines(
        tmp_path, {"file": "a.png", "label": "dog", "camera": "north"}, "",
        {"file": "a.png", "label": "bee", "lux": 3.5, "night": True, "raw": [1], "none": None},
        {"file": "a.png", "label": "dog"}, {"file": "a.png", "label": "ant"},
        {"file": "a.png", "label": "bee"},
    )  # fmt: skip
    data = open_data(name, "classification")
    assert data.labels == ("ant", "bee", "dog")
    assert [(s.id, s.expected) for s in data] == [("a.png", label) for label in (2, 1, 2, 0, 1)]
    assert data[0].file == PICTURE
    assert [s.tags for s in data.first(2)] == [
        {"camera": "north", "lux": "", "night": ""},
        {"camera": "", "lux": "3.5", "night": "true"},
    ]
    assert data.classes is not None
    assert data.classes.tolist() == [2, 1, 2, 0, 1]


def test_numbers_of_the_model(tmp_path: Path) -> None:
    data = open_data(lines(tmp_path, {"file": "a.png", "label": "x", "class_index": 2}), "classification")
    assert (data.numbered, data[0].expected, data.labels) == (True, 2, ("class 0", "class 1", "x"))
    lines(tmp_path, {"file": "a.png", "label": "x", "class_index": 99999})
    with pytest.raises(DatasetError, match=r"t\.jsonl: class numbers must be below 65536"):
        open_data(f"jsonl:{tmp_path / 't.jsonl'}", "classification")


def test_objects_of_a_line(tmp_path: Path) -> None:
    objects = [
        {"label": "dog", "box": [1, 2, 4, 3.5], "area": 2},
        {"label": "bee", "box": [0, 0, 6, 4], "crowd": True},
    ]
    name = lines(
        tmp_path,
        {"file": "a.png", "objects": [], "site": 1},
        {"file": "a.png", "objects": objects},
    )
    data = open_data(name, "detection")
    assert data.labels == ("bee", "dog")
    empty, full = (s.expected for s in data)
    assert isinstance(empty, Objects)
    assert isinstance(full, Objects)
    assert len(empty) == 0
    assert full.boxes.tolist() == [[1, 2, 4, 3.5], [0, 0, 6, 4]]
    assert (full.labels.tolist(), full.areas.tolist(), full.crowd.tolist()) == (
        [1, 0],
        [2, 24],
        [False, True],
    )
    assert data[0].tags == {"site": "1"}


def boxed(*sides: object) -> dict[str, object]:
    return {"file": "a.png", "objects": [{"label": "x", "box": sides}]}


GOOD = boxed(0, 0, 1, 1)


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("classification", "{", r"t\.jsonl:2: "),
        ("classification", "[]", r"t\.jsonl:2: must be a JSON object"),
        ("classification", {"file": "a.png"}, r"t\.jsonl:2: every row must have a file and a label"),
        ("classification", {"label": "x"}, r"t\.jsonl:2: every row must have a file"),
        ("classification", {"label": "x", "file": "gone.png"}, r"t\.jsonl:2: there is no file gone\.png"),
        ("classification", {"label": "x", "file": "a\0"}, r"t\.jsonl:2: every row"),
        ("detection", {"file": "a.png"}, r"t\.jsonl:2: `objects` must be a list, got None"),
        ("detection", {"file": "a.png", "objects": [5]}, r"t\.jsonl:2: an object must have a label"),
        ("detection", boxed(1, 2), r"t\.jsonl:2: an object"),
        ("detection", boxed(1, 2, 3, "a"), r"t\.jsonl:2: could not"),
        ("detection", boxed(1, 2, 3, None), r"t\.jsonl:2: float"),
        ("detection", boxed(0, 0, 1, 1e999), r"t\.jsonl:2: a box must be finite"),
        ("segmentation", GOOD, "jsonl has no label maps"),
    ],
)  # fmt: skip
def test_the_line_is_named(tmp_path: Path, task: TaskName, row: object, message: str) -> None:
    name = lines(tmp_path, {**GOOD, "label": "x"}, row)
    with pytest.raises(DatasetError, match=message):
        open_data(name, task)


def test_empty_tables(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no rows"):
        open_data(lines(tmp_path, ""), "classification")
    with pytest.raises(DatasetError, match="names no object"):
        open_data(lines(tmp_path, {"file": "a.png", "objects": []}), "detection")
    with pytest.raises(DatasetError, match="jsonl must name a file"):
        open_data("jsonl:/nowhere", "classification")


def table(root: Path, text: str | bytes) -> str:
    (root / "a.png").write_bytes(PICTURE)
    (root / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"csv:{root / 't.csv'}"


def test_columns_of_a_table_are_tags(tmp_path: Path) -> None:
    text = '\ufefffile,label,camera,note\na.png,cat,north,"two\nlines"\na.png,ant,,x\n'
    data = open_data(table(tmp_path, text), "classification")
    assert data.labels == ("ant", "cat")
    assert [s.tags for s in data] == [{"camera": "north", "note": "two\nlines"}, {"camera": "", "note": "x"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"file,label\n\xff,x\n", r"t\.csv:1: 'utf-8' codec"),
        ("file,label\na.png,x,y\n", r"t\.csv:2: every row must have 2 columns, got more"),
        ("file,label\na.png,x\nb.png,x\n", r"t\.csv:3: there is no file b\.png"),
        ('file,label\n"a.png",x\na.png\n', r"t\.csv:3: every row must have a file and a label"),
        ("file,label\na.png," + "x" * 200_000, r"t\.csv:1: field larger"),
    ],
)
def test_a_broken_table(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_data(table(tmp_path, text), "classification")

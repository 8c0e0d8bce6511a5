"""Whatever lies on disk, a reader reads it as a slow reading does, or says which file is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eval.data.mapping import read_mapping
from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.decoding import encode_png
from models.labels import UnreadableLabels, class_names

PICTURE = encode_png(np.zeros((4, 6, 3), np.uint8))
WORDS = st.sampled_from(["0", "1", "0.5", "-1", "nan", "inf", "1e999", "x", "", "\t", "0.25", "7"])
NAMES = st.sampled_from(["sky", "road", "ignore", "a b"])


def folders(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
    (root / names[0] / "a.png").write_bytes(PICTURE)


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=4))
def test_yolo_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    root = tmp_path_factory.mktemp("yolo")
    folders(root, "images", "labels")
    (root / "labels" / "a.txt").write_text("\n".join(lines))
    try:
        found = open_data(f"yolo:{root}/images,{root}/labels", "detection")[0].expected
    except DatasetError as error:
        assert "a.txt:" in str(error) or "no class" in str(error)  # noqa: PT017  # which one is left open
        return
    assert isinstance(found, Objects)
    told = [[float(word) for word in line.split()] for line in lines if line.strip()]
    assert found.labels.tolist() == [int(row[0]) for row in told]
    for box, row in zip(found.boxes.tolist(), told, strict=True):
        if len(row) == 5:
            _, x, y, w, h = row
            want = [6 * (x - w / 2), 4 * (y - h / 2), 6 * (x + w / 2), 4 * (y + h / 2)]
        else:
            want = [6 * min(row[1::2]), 4 * min(row[2::2]), 6 * max(row[1::2]), 4 * max(row[2::2])]
        assert box == pytest.approx(want)


@settings(max_examples=40, deadline=None)
@given(body=st.lists(st.sampled_from(
    ["<object>", "</object>", "<name>x</name>", "<bndbox>", "</bndbox>", "<xmin>1</xmin>", "<ymin>2</ymin>",
     "<xmax>9</xmax>", "<ymax>nan</ymax>", "<ymax>8</ymax>", "&", "<!DOCTYPE a>", "\ufffd",
     "<xmax>inf</xmax>", "<difficult>1</difficult>"]
), max_size=14))  # fmt: skip
def test_voc_files(tmp_path_factory: pytest.TempPathFactory, body: list[str]) -> None:
    root = tmp_path_factory.mktemp("voc")
    folders(root, "JPEGImages", "Annotations")
    (root / "Annotations" / "a.xml").write_text(f"<annotation>{''.join(body)}</annotation>", encoding="utf-8")
    try:
        found = open_data(f"voc:{root}", "detection")[0].expected
    except DatasetError as error:
        assert "a.xml" in str(error) or "names no object" in str(error)  # noqa: PT017
        return
    assert isinstance(found, Objects)
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.integers(0, 255), min_size=6, max_size=6),
    table=st.dictionaries(st.integers(0, 255) | st.just("*"), NAMES, min_size=1, max_size=6),
)
def test_mask_values(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], table: dict[int | str, str]
) -> None:
    root = tmp_path_factory.mktemp("masks")
    folders(root, "images", "masks")
    Image.fromarray(np.array(values, np.uint8).reshape(2, 3)).save(root / "masks" / "a.png")
    (root / "names.txt").write_text("\n".join(f"{value}: {name}" for value, name in table.items()))
    meant = [table.get(v, "ignore" if v == 255 else table.get("*")) for v in values]
    data = open_data(f"masks:{root}/images,{root}/masks,{root}/names.txt", "segmentation")
    if None in meant:
        with pytest.raises(DatasetError, match=r"a\.png: the value \d+ has no name"):
            data[0]
        return
    expected = np.asarray(data[0].expected).ravel().tolist()
    assert [data.labels[e] if e != 255 else "ignore" for e in expected] == meant


VALUES = st.recursive(
    st.sampled_from([0, 1, -1, 2.5, 1e308, float("nan"), None, True, "", "x", "a.png", "a\0", 1 << 70]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(
        ["id", "file_name", "name", "image_id", "category_id", "bbox", "area", "segmentation",
         "counts", "size", "height", "width", "file", "label", "objects", "box", "class_index", "crowd"]
    ), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip
NUMBER = st.sampled_from([0, 1, 4, 6, 2.5, -1])


def mostly(good: object) -> st.SearchStrategy[object]:
    """What belongs there, or now and then anything."""
    return st.just(good) | st.just(good) | st.just(good) | VALUES


IMAGE = st.fixed_dictionaries(
    {"id": mostly(1), "file_name": mostly("a.png"), "height": mostly(4), "width": mostly(6)}
)
CATEGORY = st.fixed_dictionaries({"id": mostly(1), "name": mostly("cat")})
SEGMENTATION = (
    st.lists(st.lists(NUMBER, min_size=4, max_size=8), max_size=2)
    | st.fixed_dictionaries({"counts": st.lists(NUMBER, max_size=4) | st.text("0123`o", max_size=4)})
    | VALUES
)
ANNOTATION = st.fixed_dictionaries(
    {"image_id": mostly(1), "category_id": mostly(1),
     "bbox": st.lists(NUMBER, min_size=4, max_size=4) | VALUES, "segmentation": SEGMENTATION}
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    told=st.fixed_dictionaries(
        {"images": st.lists(IMAGE, min_size=1, max_size=2) | VALUES,
         "categories": st.lists(CATEGORY, min_size=1, max_size=2) | VALUES,
         "annotations": st.lists(ANNOTATION, max_size=2) | VALUES}
    ) | VALUES,
    cut=st.none() | st.integers(0, 200),
    masks=st.sampled_from(["", ",masks"]),
)  # fmt: skip
def test_coco_files(
    tmp_path_factory: pytest.TempPathFactory, told: object, cut: int | None, masks: str
) -> None:
    root = tmp_path_factory.mktemp("coco")
    (root / "a.png").write_bytes(PICTURE)
    (root / "coco.json").write_text(json.dumps(told, indent=1)[:cut])
    try:
        samples = list(open_data(f"coco:{root}/coco.json,{root}{masks}", "detection"))
    except DatasetError as error:
        assert "coco.json" in str(error) or "lacks" in str(error)  # noqa: PT017
        return
    for sample in samples:
        assert isinstance(sample.expected, Objects)
        assert (sample.expected.masks is not None) == bool(masks)
        assert sample.file == PICTURE


ROW = st.fixed_dictionaries(
    {"file": mostly("a.png"), "label": mostly("cat")},
    optional={
        "class_index": NUMBER | VALUES,
        "more": VALUES,
        "objects": st.lists(st.fixed_dictionaries(
            {"label": mostly("cat"), "box": st.lists(NUMBER, min_size=4, max_size=4) | VALUES}
        ), max_size=2) | VALUES,
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW | VALUES, max_size=3), task=st.sampled_from(["classification", "detection"]))
def test_json_lines(tmp_path_factory: pytest.TempPathFactory, rows: list[object], task: TaskName) -> None:
    root = tmp_path_factory.mktemp("lines")
    (root / "a.png").write_bytes(PICTURE)
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    try:
        data = open_data(f"jsonl:{root}/t.jsonl", task)
    except DatasetError as error:
        assert "t.jsonl" in str(error)  # noqa: PT017
        return
    assert len(list(data)) == len(rows)
    for sample in data:
        assert all(isinstance(value, str) for value in sample.tags.values())
        if isinstance(sample.expected, int):
            assert 0 <= sample.expected < len(data.labels)


@settings(max_examples=100, deadline=None)
@given(text=st.text('file,label\n"a.png;\r\0é', max_size=40), head=st.sampled_from(["", "file,label\n"]))
def test_tables(tmp_path_factory: pytest.TempPathFactory, text: str, head: str) -> None:
    root = tmp_path_factory.mktemp("table")
    (root / "a.png").write_bytes(PICTURE)
    (root / "t.csv").write_text(head + text)
    try:
        data = open_data(f"csv:{root}/t.csv", "classification")
    except DatasetError as error:
        assert "t.csv" in str(error)  # noqa: PT017
        return
    assert all(sample.file == PICTURE for sample in data)


@settings(max_examples=100, deadline=None)
@given(
    colours=st.lists(st.tuples(*[st.sampled_from([0, 7, 255, 256])] * 3), min_size=1, max_size=5),
    painted=st.lists(st.tuples(*[st.sampled_from([0, 7, 255])] * 3), min_size=2, max_size=2),
    others=st.sampled_from(["", "* road\n", "*: ignore\n"]),
)
def test_colour_masks(
    tmp_path_factory: pytest.TempPathFactory,
    colours: list[tuple[int, ...]],
    painted: list[tuple[int, ...]],
    others: str,
) -> None:
    root = tmp_path_factory.mktemp("colours")
    folders(root, "images", "masks")
    (root / "masks" / "a.png").write_bytes(encode_png(np.array([painted], np.uint8)))
    names = ["sky", "road", "ignore", "sky", "a b"]
    told = dict(zip(colours, names, strict=False))
    lines = [f"{r} {g} {b} {name}\n" for (r, g, b), name in zip(colours, names, strict=False)]
    (root / "names.txt").write_text("".join(lines) + others)
    meant = [told.get(p, others.removeprefix("*").removeprefix(":").strip() or None) for p in painted]
    try:
        data = open_data(f"masks:{root}/images,{root}/masks,{root}/names.txt", "segmentation")
    except DatasetError as error:
        assert len(told) < len(colours) or 256 in np.array(colours), error  # noqa: PT017
        return
    if None in meant:
        with pytest.raises(DatasetError, match=r"a\.png: the colour .* has no name"):
            data[0]
        return
    expected = np.asarray(data[0].expected).ravel().tolist()
    assert [data.labels[e] if e != 255 else "ignore" for e in expected] == meant


@settings(max_examples=100, deadline=None)
@given(text=st.text("ab:'\"#\n ~null", max_size=30))
def test_mapping_files(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "map.yaml"
    path.write_text(text)
    try:
        found = read_mapping(path)
    except DatasetError as error:
        assert "map.yaml" in str(error)  # noqa: PT017
        return
    assert found
    assert all(new is None or new for new in found.values())


@settings(max_examples=100, deadline=None)
@given(text=st.text("ab01:-*[]{}'\", \n#", max_size=40), kind=st.sampled_from([".txt", ".yaml", ".json"]))
def test_label_files(tmp_path_factory: pytest.TempPathFactory, text: str, kind: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"labels{kind}"
    path.write_text(f"names:{text}" if kind == ".yaml" else text)
    try:
        names = class_names(path)
    except UnreadableLabels as error:
        assert path.name in str(error)  # noqa: PT017
        return
    assert names
    assert all(isinstance(name, str) for name in names.values())

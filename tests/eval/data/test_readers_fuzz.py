"""Whatever lies on disk, a reader reads it as a slow reading does, or says which file is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.truth import Objects
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

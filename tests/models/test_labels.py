"""Class names come out of the files people keep them in, or the file and line that is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from models.labels import UnreadableLabels, class_names, in_order


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


READABLE = [
    ("a.txt", "cat\ndog, hound\n", {0: "cat", 1: "dog, hound"}),
    ("stops.txt", "cat\ndog\n\nand 255 does not count\n", {0: "cat", 1: "dog"}),
    ("bom.txt", "\ufeffcat\r\ndog\r\n", {0: "cat", 1: "dog"}),
    (
        "table.txt",
        "# ours\n*: other\n3: car\n 4 : car\n11: ignore\n",
        {"*": "other", 3: "car", 4: "car", 11: "ignore"},
    ),
    ("ratio.txt", "1: 2\n16: 9\n", {1: "2", 16: "9"}),
    ("list.json", '["cat", "dog"]', {0: "cat", 1: "dog"}),
    ("hub.json", '{"model": "x", "id2label": {"0": "cat", "1": "dog"}}', {0: "cat", 1: "dog"}),
    ("block.yaml", "path: .\nnames:\n  0: cat\n  1: 'dog'  # best\n\nval: x\n", {0: "cat", 1: "dog"}),
    ("items.yml", "nc: 2\nnames:\n- cat\n- fire hydrant\n", {0: "cat", 1: "fire hydrant"}),
    ("inline.yaml", "names: ['cat', 'dog']\nnc: 2\n", {0: "cat", 1: "dog"}),
    ("bare.yaml", "names: [cat, fire hydrant]  # two\n", {0: "cat", 1: "fire hydrant"}),
    ("long.yaml", "names: ['cat',\n  'dog',\n  'cow']\nnc: 3\n", {0: "cat", 1: "dog", 2: "cow"}),
    ("braces.yaml", "classes: {0: 'cat', 7: 'dog'}\n", {0: "cat", 7: "dog"}),
]


@pytest.mark.parametrize(("name", "text", "names"), READABLE, ids=[name for name, *_ in READABLE])
def test_names_are_read(tmp_path: Path, name: str, text: str, names: dict[int | str, str]) -> None:
    assert class_names(written(tmp_path, name, text)) == names


UNREADABLE = [
    ("empty.txt", "", "names no class"),
    ("twice.txt", "0: cat\n0: dog\n", r"twice\.txt:2: class 0 must be named once"),
    ("torn.json", "[", r"torn\.json must be JSON"),
    ("number.json", "7", "must hold a list of names"),
    ("none.yaml", "path: .\n", "must have one of the keys names, classes, id2label"),
    ("odd.yaml", "names:\n  0: cat\n  what is this\n", r"odd\.yaml:3: must be `NUMBER: NAME`"),
    ("deep.yaml", "names: {a: {b: c}}\n", r"deep\.yaml:1: must be a list or a table"),
]


@pytest.mark.parametrize(("name", "text", "message"), UNREADABLE, ids=[name for name, *_ in UNREADABLE])
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UnreadableLabels, match=message):
        class_names(written(tmp_path, name, text))


def test_a_missing_file() -> None:
    with pytest.raises(UnreadableLabels, match=r"nowhere\.txt cannot be read"):
        class_names(Path("/nowhere.txt"))


def test_gaps_are_called_by_their_number() -> None:
    assert in_order({2: "dog", 0: "cat", "*": "other"}) == ("cat", "class 1", "dog")
    assert in_order({}) == ()
    with pytest.raises(UnreadableLabels, match="below 65536, got 99999999"):
        in_order({99999999: "cat"})


WORDS = st.text("abcdefgh xyz", min_size=1, max_size=9).map(str.strip).filter(lambda w: w and w not in "y")


@given(names=st.lists(WORDS, min_size=1, max_size=12), numbered=st.booleans())
def test_yaml_is_read_as_a_yaml_library_reads_it(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], numbered: bool
) -> None:
    told = {"train": "x", "names": dict(enumerate(names)) if numbered else names, "val": "y"}
    for flow in (False, None):  # a line each; in brackets
        text = yaml.safe_dump(told, default_flow_style=flow, width=30)
        path = written(tmp_path_factory.mktemp("labels"), "data.yaml", text)
        assert list(class_names(path).values()) == [str(name) for name in names], text
        assert json.loads(json.dumps(class_names(path)))

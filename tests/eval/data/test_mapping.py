"""Other names for classes: in a file, and on data of every task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.data.dataset import Dataset, Expected, Sample
from eval.data.mapping import read_mapping
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName

LABELS = ("cat", "dog", "bus")


def data(task: TaskName, *expected: Expected) -> Dataset:
    ids = [f"{i}.png" for i in range(len(expected))]
    classes = np.array(expected) if task == "classification" else None
    return Dataset(
        "some", task, LABELS, ids, lambda i: Sample(ids[i], b"", expected[i], {"at": str(i)}), classes=classes
    )


@pytest.mark.parametrize("known", [True, False])
def test_pictures_of_a_dropped_class_go(known: bool) -> None:
    before = data("classification", 0, 1, 2, 0)
    before = before if known else replace(before, classes=None)
    after = before.mapped({"cat": None, "bus": "coach"})
    assert after.labels == ("dog", "coach")
    assert [(s.id, s.expected, s.tags) for s in after] == [
        ("1.png", 0, {"at": "1"}),
        ("2.png", 1, {"at": "2"}),
    ]
    assert after.ids == ["1.png", "2.png"]
    served = after.first(1).in_classes_of(("coach", "dog"))
    assert [s.expected for s in served] == [1]
    if known:
        assert served.classes is not None
        assert served.classes.tolist() == [1]


def test_classes_of_one_name_become_one() -> None:
    after = data("classification", 0, 1, 2).mapped({"cat": "pet", "dog": "pet"})
    assert after.labels == ("pet", "bus")
    assert [s.expected for s in after] == [0, 0, 1]


def test_objects_of_a_dropped_class_go() -> None:
    own = Objects(
        np.arange(12.0).reshape(3, 4), np.array([2, 0, 1]), np.array([5.0, 6, 7]),
        np.array([True, False, False]), np.eye(3, dtype=bool)[:, None], "x",
    )  # fmt: skip
    found = data("detection", own).mapped({"cat": None, "bus": "dog"})[0].expected
    assert isinstance(found, Objects)
    assert found.masks is not None
    assert found.boxes.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert (found.labels.tolist(), found.areas.tolist(), found.crowd.tolist()) == (
        [0, 0],
        [5, 7],
        [True, False],
    )
    assert (found.masks[:, 0].tolist(), found.image) == ([[True, False, False], [False, False, True]], "x")


def test_pixels_of_a_dropped_class_do_not_count() -> None:
    after = data("segmentation", np.array([[0, 1], [2, 255]], np.uint8)).mapped({"cat": None})
    expected = after[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[255, 0], [1, 255]]
    assert np.asarray(after.in_classes_of(("bus", "dog"))[0].expected).tolist() == [[255, 1], [0, 255]]


def test_what_is_no_class_or_leaves_nothing() -> None:
    some = data("classification", 0, 1)
    with pytest.raises(DatasetError, match="there is no class 'cow' to map; it has cat, dog, bus"):
        some.mapped({"cow": "dog"})
    with pytest.raises(DatasetError, match="drops everything"):
        some.mapped({"cat": None, "dog": None})
    with pytest.raises(DatasetError, match="drops everything"):
        data("segmentation", np.zeros((1, 1), int)).mapped(dict.fromkeys(LABELS))


def test_a_mapping_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "# names\n\ncat: pet\n"
        "'tv: set':   \"screen: flat\"  # why\ndog: ~\nbus: NULL\ncar:\nfire hydrant: a # b\n"
    )
    assert read_mapping(tmp_path / "m.yaml") == {
        "cat": "pet", "tv: set": "screen: flat", "dog": None, "bus": None, "car": None, "fire hydrant": "a"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat: pet\ncat dog\n", r"m\.yaml:2: must be `OLD: NEW` or `OLD: null`, got 'cat dog'"),
        ("cat: pet\ncat: dog\n", r"m\.yaml:2: a class must be mapped once, got 'cat' again"),
        ("# nothing\n", r"m\.yaml maps nothing"),
    ],
)
def test_a_broken_mapping(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_mapping(tmp_path / "m.yaml")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_mapping(tmp_path / "nothing.yaml")

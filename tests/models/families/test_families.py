"""A graph is taken for what it is, and refused, with the reason, for what it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.card import InputSpec, TaskName
from models.families.grids import alike, cells
from models.families.shapes import solved
from models.families.tables import FAMILIES
from models.ports import Port

SPEC = InputSpec(height=640, width=640)
F, L = "float32", "int64"


def ports(*told: tuple[str, tuple[int, ...]]) -> list[Port]:
    return [Port(f"o{i}", np.dtype(kind), shape) for i, (kind, shape) in enumerate(told)]


def fitting(task: TaskName, outputs: Sequence[Port], classes: int | None) -> set[str]:
    return {n for n, f in FAMILIES[task].items() if f.mismatch(outputs, SPEC, classes) is None}


def test_families_are_named_by_their_keys() -> None:
    for task, families in FAMILIES.items():
        for name, family in families.items():
            assert (family.task, family.name) == (task, name)
            assert "output" in family.contract
            assert all(len(shapes) <= len(family.kinds) for shapes in family.shapes)


# What people export, at 640 x 640: outputs, number of classes (None: unknown), families that may be.
EXPORTS: list[tuple[TaskName, list[Port], int | None, set[str]]] = [
    ("classification", ports((F, (-1, 1000))), None, {"logits", "probabilities"}),
    ("classification", ports((F, (1, 1000, 1, 1))), 1000, {"logits", "probabilities"}),
    ("classification", ports((F, (1, 1000))), 10, set()),
    ("classification", ports(("uint8", (1, 1001))), 1001, {"probabilities"}),
    ("classification", ports(("int8", (1, 1001))), 1001, set()),
    ("classification", ports((F, (1, 85, 20, 20))), None, set()),
    ("detection", ports((F, (1, 25200, 85))), None, {"yolov5"}),
    ("detection", ports((F, (-1, 102000, 85))), 80, {"yolov5"}),  # four levels
    ("detection", ports((F, (1, 84, 8400))), 80, {"yolov8"}),
    ("detection", ports((F, (1, 84, -1))), 80, {"yolov8", "yolov10"}),  # a run would tell
    ("detection", ports((F, (1, 8400, 85))), None, {"yolox"}),
    ("detection", ports((F, (-1, -1, 85))), 80, {"yolov5", "yolox"}),
    ("detection", ports((F, (1, 8400, 85))), 20, set()),
    ("detection", ports((F, (1, 300, 6))), 80, {"yolov10"}),
    ("detection", ports((F, (1, 85, 40, 40))), 80, {"fastestdet"}),
    ("detection", ports((F, (1, 8732, 4)), (F, (1, 8732, 21))), 21, {"dense"}),
    ("detection", ports((F, (1, 100, 92)), (F, (1, 100, 4))), 91, {"detr"}),
    ("detection", ports((F, (1, 300, 80)), (F, (1, 300, 4))), 80, {"rtdetr"}),
    ("detection", ports((F, (1, 300, 80)), (F, (1, 300, 4))), None, {"detr", "rtdetr"}),
    (
        "detection",
        ports((F, (1, 80, 160, 160)), (F, (1, 2, 160, 160)), (F, (1, 2, 160, 160))),
        None,
        {"centernet"},
    ),
    ("detection", ports((F, (-1, 4)), (L, (-1,)), (F, (-1,))), 91, {"torchvision"}),
    ("detection", ports((F, (-1, 4)), (F, (-1,)), (L, (-1,))), 91, set()),  # in another order
    (
        "detection",
        ports((F, (-1, 4)), (L, (-1,)), (F, (-1,)), (F, (-1, 1, 28, 28))),
        91,
        {"maskrcnn"},
    ),
    ("detection", ports((F, (1, 100, 4)), (F, (1, 100)), (F, (1, 100)), (F, (1,))), 90, {"ssd"}),
    ("detection", ports((F, (1, -1, 4)), (L, (1, -1)), (F, (1, -1))), 80, {"ssd"}),
    ("detection", ports((F, (1, 116, 8400)), (F, (1, 32, 160, 160))), 80, {"yolov8-seg"}),
    ("detection", ports((F, (1, 116, 8400)), (F, (1, 32, 160, 160))), None, {"yolov8-seg"}),
    ("detection", ports((F, (1, 116, 8400)), (F, (1, 32, 160, 160))), 81, set()),
    ("segmentation", ports((F, (1, 21, 80, 80))), None, {"logits", "probabilities"}),
    ("segmentation", ports((F, (1, 640, 640, 21))), 21, {"logits", "probabilities"}),
    ("segmentation", ports((F, (1, 640, 640, 21))), 20, set()),
    ("segmentation", ports((F, (1, 80, 80, 80))), 80, set()),  # which axis?
    ("segmentation", ports((L, (1, 640, 640))), 21, {"labels"}),
    ("segmentation", ports(("uint8", (-1, 640, 640, 1))), 21, {"labels"}),
    ("segmentation", ports((F, (1, 1, 640, 640))), 2, {"binary", "binary-logits"}),
    ("segmentation", ports((F, (1, 1, 640, 640))), 3, set()),
    ("segmentation", ports((F, (1, 8400, 85))), None, set()),
]


def name_of(value: object) -> str:
    return str(sorted(value) if isinstance(value, set) else value)[:40]  # a set's order is a matter of luck


@pytest.mark.parametrize(("task", "outputs", "classes", "want"), EXPORTS, ids=name_of)
def test_exports_fit_their_own_family_only(
    task: TaskName, outputs: list[Port], classes: int | None, want: set[str]
) -> None:
    assert fitting(task, outputs, classes) == want


@pytest.mark.parametrize(
    ("task", "family", "outputs", "classes", "reason"),
    [
        ("detection", "yolov5", ports((F, (1, 8400, 85))), 80, "25200 anchors at strides 8, 16, 32"),
        ("detection", "yolox", ports((F, (1, 25200, 85))), 80, "8400 cells at strides 8, 16, 32, got 25200"),
        ("detection", "yolox", ports((F, (1, 8400, 85))), 20, "80 classes, the labels name 20"),
        ("detection", "yolov8", ports((F, (1, 300, 6))), 80, "labels name 80"),
        ("detection", "detr", ports((F, (1, 9, 80)), (F, (1, 9, 4))), 80, "79 classes, the labels name 80"),
        ("detection", "yolov10", ports((F, (1, 8400, 6))), 80, "selection of at most 1000, got 8400"),
        ("detection", "ssd", ports((F, (-1, 4)), (L, (-1,)), (F, (-1,))), 80, "it has o0 (any, 4), o1 (any)"),
        ("classification", "logits", ports((L, (1, 10))), 10, "o0 must be floats, got int64"),
        ("segmentation", "logits", ports((F, (1, 1, 640, 640))), 1, "a binary model?"),
        ("segmentation", "logits", ports((F, (1, 80, 80, 80))), 80, "read in more ways than one"),
        ("segmentation", "binary", ports((F, (1, 1, 640, 640))), 3, "2 classes, the labels name 3"),
        ("segmentation", "labels", ports((L, (1, 640, 64))), 3, "must have the aspect of the input"),
    ],
)
def test_a_refusal_says_why(
    task: TaskName, family: str, outputs: list[Port], classes: int | None, reason: str
) -> None:
    told = FAMILIES[task][family].mismatch(outputs, SPEC, classes)
    assert told is not None
    assert reason in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("task", "family", "outputs", "classes"),
    [
        ("classification", "logits", ports((F, (-1, 1, 1, 7))), 7),
        ("detection", "yolov5", ports((F, (1, 25200, 85))), 80),
        ("detection", "detr", ports((F, (1, 100, 92)), (F, (1, 100, 4))), 91),
        ("detection", "yolov8-seg", ports((F, (1, 116, 8400)), (F, (1, 32, 160, 160))), 80),
        ("detection", "torchvision", ports((F, (-1, 4)), (L, (-1,)), (F, (-1,))), None),
        ("segmentation", "logits", ports((F, (1, 21, 80, 80))), 21),
        ("segmentation", "logits", ports((F, (1, 80, 80, 21))), 21),
        ("segmentation", "logits", ports((F, (1, 80, 80, 80))), 80),
        ("segmentation", "logits", ports((F, (1, -1, -1, -1))), None),
        ("segmentation", "binary", ports((F, (1, 640, 640))), 2),
        ("segmentation", "binary", ports((F, (1, 640, 64))), None),
    ],
)
def test_shapes_tell_the_number_of_classes(
    task: TaskName, family: str, outputs: list[Port], classes: int | None
) -> None:
    assert FAMILIES[task][family].classes(outputs, SPEC) == classes


def test_a_graph_that_tells_no_sizes_may_be_anything_of_its_kind() -> None:
    untold = ports((F, ()), (F, ()))
    assert fitting("detection", untold, 80) == {"dense", "detr", "rtdetr", "yolov8-seg"}
    assert fitting("segmentation", ports((L, ())), 9) == {"logits", "labels"}


@given(st.integers(1, 99), st.integers(1, 99), st.integers(1, 99), st.booleans(), st.booleans())
def test_letters_are_found_where_sums_allow(c: int, m: int, p: int, hide_m: bool, hide_p: bool) -> None:
    told = [("4+C+M P", (4 + c + m, -1 if hide_p else p)), ("M 3", (-1 if hide_m else m, 3))]
    found = solved(told, {})
    assert found == {**({} if hide_m else {"C": c, "M": m}), **({} if hide_p else {"P": p})}
    assert solved(told, {"C": c}) == {"C": c, "M": m, **({} if hide_p else {"P": p})}
    assert solved([*told, ("4", (5,))], {}) is None
    assert solved(told, {"C": c + m}) is None


@pytest.mark.parametrize(("height", "width"), [(640, 640), (416, 608), (96, 32)])
def test_cells_are_those_of_the_levels_one_after_the_other(height: int, width: int) -> None:
    spec = InputSpec(height=height, width=width)
    want = [
        (x, y, stride)
        for stride in (8, 16, 32)
        for y in range(height // stride)
        for x in range(width // stride)
    ]
    assert list(map(tuple, cells(len(want), spec).tolist())) == want
    with pytest.raises(ValueError, match="rows must be those of a grid"):
        cells(len(want) + 1, spec)


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([1, 2, 4, 8, 16]), st.booleans())
def test_a_map_at_one_stride_is_alike_however_it_was_rounded(
    height: int, width: int, stride: int, up: bool
) -> None:
    rounding = stride - 1 if up else 0
    rows, columns = (height + rounding) // stride, (width + rounding) // stride
    if rows and columns:
        assert alike(rows, columns, InputSpec(height=height, width=width))
    assert not alike(640, 85, InputSpec(height=640, width=640))

"""Every family is found by its outputs, in any order; what is wrong is said, with what would fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.families.tables import FAMILIES
from models.importing.graph import read_graph
from models.importing.guess import Guess, guess
from models.importing.ledger import Reason
from models.importing.wishes import Wishes
from models.repository import RepositoryError
from models.results import Array
from models.scenes import scene
from tests.models.importing.graphs import saved

CELLS = 8 * 8 + 4 * 4 + 2 * 2  # of strides 8, 16 and 32 in 64 x 64
RNG = np.random.default_rng(0)
WORDS = ("cat", "dog", "cow")


def normal(*shape: int) -> Array:
    return RNG.normal(0, 3, shape).astype(np.float32)


def shares(*shape: int) -> Array:
    return RNG.uniform(0.1, 0.9, shape).astype(np.float32)


def softmax(values: Array, axis: int) -> Array:
    odds = np.exp(values)
    told: Array = (odds / odds.sum(axis=axis, keepdims=True)).astype(np.float32)
    return told


def pixels(*shape: int) -> Array:
    return RNG.uniform(0, 64, shape).astype(np.float32)


PICKED = np.concatenate([pixels(30, 4), shares(30, 1), RNG.integers(0, 3, (30, 1))], 1).astype(np.float32)
LABELS = RNG.integers(0, 3, 9)
FOUND: dict[str, tuple[str, str, dict[str, Array], dict[str, Any]]] = {
    "logits": ("classification", "logits", {"y": normal(3)}, {}),
    "pooled logits": ("classification", "logits", {"y": normal(3, 1, 1)}, {}),
    "probabilities": ("classification", "probabilities", {"y": softmax(normal(3), 0)}, {}),
    "levels": ("classification", "probabilities", {"y": np.array([200, 50, 6], np.uint8)}, {}),
    "planes": ("segmentation", "logits", {"y": normal(3, 16, 16)}, {}),
    "planes last": ("segmentation", "logits", {"y": normal(16, 16, 3)}, {}),
    "shares of planes": ("segmentation", "probabilities", {"y": softmax(normal(3, 16, 16), 0)}, {}),
    "labels": ("segmentation", "labels", {"y": RNG.integers(0, 3, (64, 64))}, {"labels": WORDS}),
    "binary": ("segmentation", "binary", {"y": shares(1, 64, 64)}, {}),
    "binary logits": ("segmentation", "binary-logits", {"y": normal(1, 64, 64)}, {}),
    "dense": ("detection", "dense", {"boxes": pixels(50, 4), "scores": shares(50, 3)}, {}),
    "dense, turned": ("detection", "dense", {"scores": shares(50, 3), "boxes": pixels(50, 4)}, {}),
    "yolov5": ("detection", "yolov5", {"y": shares(3 * CELLS, 8)}, {}),
    "yolov8": ("detection", "yolov8", {"y": shares(7, CELLS)}, {}),
    "yolov10": ("detection", "yolov10", {"y": PICKED}, {"labels": WORDS}),
    "yolox": ("detection", "yolox", {"y": shares(CELLS, 8)}, {}),
    "fastestdet": ("detection", "fastestdet", {"y": shares(8, 4, 4)}, {"labels": WORDS}),
    "centernet": (
        "detection",
        "centernet",
        {"heat": shares(3, 16, 16), "sizes": normal(2, 16, 16), "offsets": shares(2, 16, 16)},
        {},
    ),
    "detr": ("detection", "detr", {"boxes": shares(20, 4), "logits": normal(20, 4)}, {"labels": WORDS}),
    "rtdetr": ("detection", "rtdetr", {"logits": normal(20, 3), "boxes": shares(20, 4)}, {"labels": WORDS}),
    "ssd": (
        "detection",
        "ssd",
        {
            "detection_boxes": shares(9, 4),
            "detection_classes": (1 + LABELS).astype(np.float32),
            "detection_scores": shares(9),
            "num_detections": np.array([9], np.float32),
        },
        {"labels": WORDS},
    ),
    "ssd, turned": (
        "detection",
        "ssd",
        {"scores": shares(9), "labels": LABELS, "boxes": shares(9, 4)},
        {"labels": WORDS},
    ),
    "ssd of one class": (
        "detection",
        "ssd",
        {"scores": shares(9), "labels": np.ones(9, np.float32), "boxes": shares(9, 4)},
        {"labels": WORDS},
    ),
    "torchvision": (
        "detection",
        "torchvision",
        {"scores": shares(9), "boxes": pixels(9, 4), "labels": 1 + LABELS},
        {"labels": WORDS},
    ),
    "maskrcnn": (
        "detection",
        "maskrcnn",
        {"boxes": pixels(9, 4), "labels": 1 + LABELS, "scores": shares(9), "masks": shares(9, 1, 28, 28)},
        {"labels": WORDS},
    ),
    "yolov8-seg": (
        "detection",
        "yolov8-seg",
        {"y": shares(4 + 3 + 32, CELLS), "protos": normal(32, 16, 16)},
        {"labels": WORDS},
    ),
}


def guessed(path: Path, **wishes: Any) -> Guess:
    return guess(read_graph(path), Wishes(**wishes), scene(0).image)


def reason(found: Guess, what: str) -> Reason:
    return next(r for r in found.reasons if r.what == what)


@pytest.mark.parametrize("case", FOUND)
def test_the_family_is_found(tmp_path: Path, case: str) -> None:
    task, family, outputs, said = FOUND[case]
    batched = FAMILIES[task][family].batched  # type: ignore[index]
    path = saved(tmp_path, outputs, shape=("N" if batched else 1, 3, 64, 64), batched=batched)
    facts = guessed(path, **said).facts
    assert (facts["task"], facts["family"]) == (task, family)
    if said:
        assert facts["labels"] == WORDS
    assert facts["max_batch"] == (16 if batched else 1)
    order = {"dense, turned": ("boxes", "scores"), "ssd, turned": ("boxes", "labels", "scores")}
    order |= {"ssd of one class": ("boxes", "labels", "scores")}
    order |= {"torchvision": ("boxes", "labels", "scores"), "detr": ("logits", "boxes")}
    assert facts["outputs"] == order.get(case, tuple(outputs))


def test_every_family_is_tried() -> None:
    assert {(task, family) for task, family, *_ in FOUND.values()} == {
        (task, family) for task, families in FAMILIES.items() for family in families
    }


WRONG: list[tuple[dict[str, Array], dict[str, Any], str]] = [
    (
        {"y": shares(CELLS, 8)},
        {"family": "yolov8"},
        r"family yolov8 does not fit: .*; the outputs look like yolox",
    ),
    (
        {"y": shares(CELLS, 8)},
        {"task": "classification"},
        "no classification family reads these outputs: y float32",
    ),
    (
        {"y": shares(CELLS, 8)},
        {"family": "yolo"},
        "family must be one of .*, got 'yolo'; the outputs look like yolox",
    ),
    ({"y": shares(CELLS, 8)}, {"labels": ("a", "b")}, "the labels name 2 classes, but yolox finds 3"),
    ({"y": normal(4)}, {"labels": WORDS}, r"finds 4 in the outputs \(a background class in front\?\)"),
    ({"y": shares(8, 4, 4)}, {}, r"fit fastestdet \(detection\) and logits \(segmentation\)"),
    (
        {"y": RNG.integers(0, 3, (64, 64))},
        {},
        "do not tell how many classes there are: name them with --labels",
    ),
    ({"y": shares(2, 3, 4, 5)}, {}, r"no family reads these outputs: y float32 \[any, 2, 3, 4, 5\]"),
    ({"y": normal(3)}, {"outputs": ("z",)}, "the graph has no output 'z'; it has y"),
    ({"y": normal(3)}, {"rules": {"iou_threshold": 0.5}}, "--iou-threshold has a meaning for detection only"),
    ({"y": normal(3)}, {"size": (32, 32)}, r"the graph takes \[64, 64\] only"),
    ({"y": normal(3)}, {"input": {"channels": "L"}}, "--channels must be RGB or BGR"),
    ({"y": normal(3)}, {"input": {"layout": "NHWC"}}, "layout NHWC does not fit"),
    ({"y": normal(3)}, {"input": {"mean": (1.0, 2.0)}}, "--mean must be 3 numbers, or one"),
    ({"y": normal(3)}, {"input": {"fill": 3}}, "--fill has no meaning with stretch"),
]


@pytest.mark.parametrize(("outputs", "said", "message"), WRONG, ids=[m[:40] for *_, m in WRONG])
def test_what_is_wrong_is_said(
    tmp_path: Path, outputs: dict[str, Array], said: dict[str, Any], message: str
) -> None:
    with pytest.raises(RepositoryError, match=message) as caught:
        guessed(saved(tmp_path, outputs), **said)
    assert "\n" not in str(caught.value)


INPUTS: list[tuple[dict[str, Any], str]] = [
    ({"shape": (4, 3, 64, 64)}, "takes exactly 4 pictures at once"),
    ({"shape": ("N", 7, 64, 64)}, "must have 1 or 3 channels"),
    ({"shape": ("N", 10)}, "must take pictures"),
    ({"dtype": "int8"}, "must take pictures, .* of int8"),
    ({"shape": (3, 64, 64)}, "images must have a batch axis"),
    ({"inputs": ("images", "scale")}, r"must have one input, the pictures; it has images .*, scale"),
]


@pytest.mark.parametrize(("how", "message"), INPUTS, ids=[m[:30] for _, m in INPUTS])
def test_inputs_that_are_no_pictures(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(RepositoryError, match=message):
        guessed(saved(tmp_path, {"y": normal(3)}, **how))


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(RepositoryError, match=r"model\.onnx: the graph cannot be loaded"):
        guessed(tmp_path / "model.onnx")
    with pytest.raises(RepositoryError, match=r"nothing\.onnx cannot be read"):
        guessed(tmp_path / "nothing.onnx")


@pytest.mark.parametrize(
    ("how", "said", "told"),
    [
        (
            {},
            {},
            {"layout": "NCHW", "height": 64, "channels": "RGB", "dtype": "float32", "resize": "stretch"},
        ),
        ({"shape": ("N", 48, 64, 3)}, {}, {"layout": "NHWC", "height": 48, "width": 64}),
        ({"shape": ("N", 1, 28, 28)}, {}, {"channels": "L", "mean": (0.0,), "std": (255.0,)}),
        ({"shape": ("N", 224, 224, 3), "dtype": "uint8"}, {}, {"dtype": "uint8", "resize": "crop"}),
        (
            {"shape": ("N", 3, 224, 224)},
            {},
            {"resize": "crop", "crop_fraction": 0.875, "std": (58.395, 57.12, 57.375)},
        ),
        ({"shape": ("N", 224, 224, 3)}, {}, {"mean": (127.5,) * 3, "std": (127.5,) * 3}),
        ({"shape": ("N", 3, "H", "W")}, {"task": "classification"}, {"height": 224, "width": 224}),
        ({"shape": ("N", 3, "H", "W")}, {"size": (32, 48)}, {"height": 32, "width": 48}),
        ({"shape": ("N", "C", "H", "W")}, {"size": (9, 9), "input": {"channels": "L"}}, {"channels": "L"}),
        ({"shape": ("N", 3, "H", "W"), "notes": {"imgsz": "[96, 128]"}}, {}, {"height": 96, "width": 128}),
        ({}, {"input": {"std": (1.0,), "channels": "BGR"}}, {"std": (1.0,) * 3, "channels": "BGR"}),
    ],
    ids=str,
)
def test_the_input(
    tmp_path: Path, how: dict[str, Any], said: dict[str, Any], told: Mapping[str, Any]
) -> None:
    spec = guessed(saved(tmp_path, {"y": normal(3)}, **how), **said).facts["input"]
    assert {name: getattr(spec, name) for name in told} == told


def test_what_families_usually_do(tmp_path: Path) -> None:
    yolox = guessed(saved(tmp_path, {"y": shares(CELLS, 8)})).facts
    spec = yolox["input"]
    assert (spec.channels, spec.std, spec.resize, spec.align, spec.fill) == (
        "BGR", (1.0,) * 3, "letterbox", "top_left", 114,
    )  # fmt: skip
    assert yolox["postprocess"].iou_threshold == 0.65
    yolov8 = guessed(saved(tmp_path, {"y": shares(7, CELLS)})).facts["input"]
    assert (yolov8.channels, yolov8.std, yolov8.resize, yolov8.align) == (
        "RGB",
        (255.0,) * 3,
        "letterbox",
        "centre",
    )


def test_notes_are_believed_and_a_person_more(tmp_path: Path) -> None:
    notes = {
        "names": "{0: 'cat', 1: 'dog', 2: 'cow'}",
        "task": "detect",
        "license": "AGPL-3.0",
        "stride": "32",
    }
    path = saved(tmp_path, {"y": shares(7, CELLS)}, notes=notes)
    found = guessed(path)
    assert (found.facts["labels"], found.facts["licence"]) == (WORDS, "AGPL-3.0")
    assert reason(found, "labels").how == "read"
    assert "names" in reason(found, "labels").why
    other = guessed(path, labels=("a", "b", "c"), licence="MIT")
    assert (other.facts["labels"], other.facts["licence"]) == (("a", "b", "c"), "MIT")
    assert reason(other, "labels").how == "given"


def test_labels_nobody_names_are_numbered_and_said_so(tmp_path: Path) -> None:
    found = guessed(saved(tmp_path, {"y": normal(3)}))
    assert found.facts["labels"] == ("class 0", "class 1", "class 2")
    assert reason(found, "labels").how == "guess"
    assert "--labels" in reason(found, "labels").why


def test_a_batch_is_tried_not_believed(tmp_path: Path) -> None:
    found = guessed(saved(tmp_path, {"y": normal(3)}, mixing=True))
    assert found.facts["max_batch"] == 1
    assert "another y than one alone" in reason(found, "max batch").why
    fixed = saved(tmp_path, {"y": normal(3)}, shape=(1, 3, 64, 64))
    assert guessed(fixed).facts["max_batch"] == 1
    with pytest.raises(RepositoryError, match="--max-batch must be 1: the graph takes one picture"):
        guessed(fixed, max_batch=4)


def test_what_a_person_says_stands_but_doubt_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, {"y": softmax(normal(3), 0)})
    assert guessed(path).facts["family"] == "probabilities"
    found = guessed(path, family="logits")
    assert (found.facts["task"], found.facts["family"]) == ("classification", "logits")
    assert "sum to 1" in reason(found, "beware").why


@pytest.mark.parametrize(
    ("case", "rules", "told"),
    [
        ("centernet", {}, {"activated": True}),
        ("rtdetr", {}, {"activated": False}),
        ("ssd", {}, {"box_order": "yxyx", "first_label": 1}),
        ("ssd, turned", {"first_label": 0}, {"box_order": "xyxy", "first_label": 0}),
        ("yolov10", {}, {"first_label": 0}),
        ("yolov8", {"iou_threshold": 0.5, "max_detections": 7}, {"iou_threshold": 0.5, "max_detections": 7}),
    ],
)
def test_the_rules(tmp_path: Path, case: str, rules: dict[str, Any], told: dict[str, Any]) -> None:
    _, _, outputs, said = FOUND[case]
    found = guessed(saved(tmp_path, outputs), rules=rules, **said).facts["postprocess"]
    assert {name: getattr(found, name) for name in told} == told


def test_one_of_several_outputs_is_a_guess(tmp_path: Path) -> None:
    path = saved(tmp_path, {"pooled": normal(5), "logits": normal(3)})
    found = guessed(path)
    assert found.facts["outputs"] == ("pooled",)
    assert (reason(found, "outputs").how, reason(found, "outputs").why) == (
        "guess",
        "logits would do as well",
    )
    assert guessed(path, labels=WORDS).facts["outputs"] == ("logits",)
    chosen = guessed(path, outputs=("logits",))
    assert (chosen.facts["outputs"], reason(chosen, "outputs").how) == (("logits",), "given")
    beside = saved(tmp_path, {"y": shares(3 * CELLS, 8), "head": shares(3, 8, 8, 8)})
    assert reason(guessed(beside), "outputs").how == "read"


def test_the_tolerance_goes_with_the_values(tmp_path: Path) -> None:
    assert guessed(saved(tmp_path, {"y": normal(3)})).tolerance == 0.01
    assert guessed(saved(tmp_path, {"y": np.array([1, -2000, 3], np.float32)})).tolerance == pytest.approx(
        0.2
    )
    assert guessed(saved(tmp_path, {"y": np.array([200, 50, 6], np.uint8)})).tolerance == 2


def test_a_background_among_the_labels_is_the_graphs_own(tmp_path: Path) -> None:
    _, _, outputs, _ = FOUND["torchvision"]
    path = saved(tmp_path, outputs, shape=(1, 3, 64, 64), batched=False)
    assert guessed(path, labels=WORDS).facts["postprocess"].first_label == 1
    assert guessed(path, labels=("__background__", *WORDS)).facts["postprocess"].first_label == 0

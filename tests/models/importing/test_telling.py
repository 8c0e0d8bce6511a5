"""What a person reads: reasons that wrap and do not repeat themselves, answers in a few lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.card import InputSpec, ModelCard
from models.contract import contract, listed
from models.importing.ledger import Ledger, Reason
from models.importing.notes import read_notes
from models.importing.telling import answer_lines, reason_lines
from models.importing.wishes import labels_of, numbers_of, sides_of
from models.labels import UnreadableLabels
from models.ports import Port
from models.results import Classification, Detections, Segmentation

LABELS = ("cat", "dog", "cow")


def test_reasons_are_marked_wrapped_and_said_once() -> None:
    lines = reason_lines(
        [
            Reason("size", "8 x 8", "read", "fixed in the graph"),
            Reason("mean", "0", "guess", "usual for X"),
            Reason("std", "1", "guess", "usual for X"),
            Reason("name", "y", "given"),
            Reason("family", "z", "read", "word " * 40),
        ]
    )
    assert [line[:1] for line in lines[:5]] == [" ", "?", "?", " ", " "]
    assert [line.split()[-1] for line in lines[1:4]] == ["X", '"', "said"]
    assert max(map(len, lines)) <= 110
    assert lines[-1].startswith("? 2 guesses")
    assert reason_lines([Reason("a", "b", "read")]) == [f"  {'a':14} b  "]


def test_a_ledger_prefers_what_was_said() -> None:
    ledger = Ledger()
    assert ledger.settle("fill", 7, 114, "guess", "why") == 7
    assert ledger.settle("fill", None, 114, "guess", "why") == 114
    assert ledger.settle("std", None, (255.0, 255.0), "read", "why") == (255.0, 255.0)
    assert [(r.value, r.how, r.why) for r in ledger.reasons] == [
        ("7", "given", ""),
        ("114", "guess", "why"),
        ("255", "read", "why"),
    ]


def test_answers() -> None:
    classes = answer_lines(Classification(np.array([0.2, 0.7, 0.1], np.float32)), LABELS)
    assert classes[0] == "  0.700  dog"
    boxes, scores = (
        np.tile(np.array([1, 2, 3, 4], np.float32), (7, 1)),
        np.linspace(0.9, 0.1, 7, dtype=np.float32),
    )
    found = answer_lines(Detections(boxes, scores, np.zeros(7, np.int64)), LABELS)
    assert found[0] == "  0.900  cat  from 1, 2, 3, 4"
    assert found[-1] == "  and 2 more"
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert answer_lines(none, LABELS) == ["  nothing found"]
    pixels = Segmentation(np.array([[2, 2], [2, 0]], np.uint8))
    assert answer_lines(pixels, LABELS) == ["  0.750  cow", "  0.250  cat"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"resize": "letterbox", "align": "top_left", "fill": 7},
            "aspect kept, at the top left, 7 around it",
        ),
        ({"resize": "letterbox"}, "aspect kept, in the middle, 114 around it"),
        (
            {"resize": "crop", "crop_fraction": 0.5},
            "until 0.5 of the short side is there; the middle 8 x 9 cut out",
        ),
        ({"mean": (1.0, 2.0, 3.0), "std": (4.0,) * 3}, "(level - [1, 2, 3]) / 4"),
        ({"std": (1.0,) * 3}, "levels as they are, as floats"),
        ({"dtype": "uint8"}, "levels as they are\n"),
        ({"layout": "NHWC"}, "float32 (1, 8, 9, 3)"),
        ({"channels": "L", "mean": (0.0,), "std": (1.0,)}, "8 x 9, grey, levels 0 to 255"),
    ],
)
def test_the_contract_tells_how_a_picture_gets_in(spec: dict[str, object], told: str) -> None:
    card = ModelCard(
        name="m",
        version=1,
        task="classification",
        family="logits",
        input=InputSpec.model_validate({"height": 8, "width": 9, **spec}),
        outputs=("y",),
        labels=LABELS,
        licence="MIT",
        sha256="0" * 64,
        max_batch=1,
    )
    lines = "\n".join(contract(card, [Port("y", np.dtype("float32"), (-1, 3))]))
    assert told in lines
    assert "1 at a time" in lines
    assert "golden pair   none: nothing proves the file" in lines


def test_long_lists_are_cut() -> None:
    assert listed(LABELS) == "3: cat, dog, cow"
    assert listed(LABELS, 2) == "3: cat, dog, ..."


def test_notes() -> None:
    told = read_notes({"names": "['cat', 'dog']", "imgsz": "[64, 32]", "task": "segment", "license": "MIT"})
    assert (told.labels, told.labels_key, told.size, told.task, told.licence) == (
        ("cat", "dog"), "names", (64, 32), "detection", "MIT",
    )  # fmt: skip
    assert read_notes({"labels": '{"1": "dog"}'}).labels == ("class 0", "dog")
    for broken in (
        "{",
        "[" * 9999,
        "__import__('os')",
        "7",
        "{'a': 1}",
        "x" * (1 << 21),
        "[1.5]",
        "{0: [1]}",
    ):
        told = read_notes({"names": broken, "imgsz": broken, "task": broken})
        assert (told.labels, told.task) == ((), None)
        assert told.size in (None, (7, 7))


def test_wishes_are_read(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    assert labels_of(str(tmp_path / "names.txt")) == ("cat", "dog")
    assert labels_of("face") == ("face",)
    assert labels_of("a, b") == ("a", "b")
    with pytest.raises(UnreadableLabels):
        labels_of("names.yaml")
    assert (sides_of("64"), sides_of("48x64")) == ((64, 64), (48, 64))
    assert (numbers_of("0"), numbers_of("1,2,3")) == ((0.0,), (1.0, 2.0, 3.0))
    for wrong in ("0x4", "-1", "a", ""):
        with pytest.raises(ValueError, match=r"."):
            sides_of(wrong)

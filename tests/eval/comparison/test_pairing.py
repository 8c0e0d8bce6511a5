"""Two runs go together only when they are about the same files and mean the same by their classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from eval.comparison.pairing import labels_of, pairs
from eval.errors import EvalError
from eval.recorded import recorded
from models.results import Classification, Detections, Result, Segmentation
from tests.eval.recordings import LABELS, boxes, classified, maps, pictures, recording


@pytest.fixture
def data(tmp_path: Path) -> str:
    return pictures(tmp_path / "data", (2, 2, 2))


TRUTH = [0, 0, 1, 1, 2, 2]


def labels_after(root: Path, data: str, labels: Sequence[str], answers: Sequence[Result]) -> list[int]:
    """The second run's classes as the pairs tell them."""
    one = recorded(recording(root / "a", data, classified(TRUTH)))
    two = recorded(recording(root / "b", data, answers, labels=labels))
    with one.journal, two.journal:
        told = list(pairs(one, two))
    assert [pair.before.sample.expected for pair in told] == TRUTH
    return [pair.after.answer.label for pair in told if isinstance(pair.after.answer, Classification)]


def test_classes_are_matched_by_name(tmp_path: Path, data: str) -> None:
    turned = ("cat", "ape", "bee")  # 0 is now a cat
    assert labels_after(tmp_path, data, turned, classified([1, 1, 2, 2, 0, 0])) == TRUTH


def test_a_class_that_only_one_knows_is_kept(tmp_path: Path, data: str) -> None:
    more = ("dog", "ape", "bee", "cat")
    told = labels_after(tmp_path, data, more, classified([1, 1, 2, 0, 3, 3], classes=4))
    assert told == [0, 0, 1, 3, 2, 2]
    with recorded(tmp_path / "a").journal as _, recorded(tmp_path / "b").journal as _:
        assert labels_of(recorded(tmp_path / "a"), recorded(tmp_path / "b")) == (*LABELS, "dog")


def test_another_truth_is_refused(tmp_path: Path, data: str) -> None:
    files = [f"{tmp_path}/data/{label}/0000{i}.png" for label in LABELS for i in (0, 1)]
    sides = []
    for name, last in (("one", "cat"), ("other", "bee")):
        told = [LABELS[k] for k in TRUTH[:-1]] + [last]
        rows = [f"{file},{label}" for file, label in zip(files, told, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["file,label", *rows]))
        folder = recording(tmp_path / name, f"csv:{tmp_path / name}.csv", classified(TRUTH))
        sides.append(recorded(folder))
    one, two = sides
    with one.journal, two.journal, pytest.raises(EvalError, match="'cat' for toy/1, 'bee' for toy/1"):
        list(pairs(one, two))


def test_synonyms_that_mean_the_same_class_are_told(tmp_path: Path, data: str) -> None:
    one = recorded(recording(tmp_path / "a", data, classified(TRUTH)))
    two = recorded(recording(tmp_path / "b", data, classified(TRUTH), labels=("Ape, monkey", "bee", "cat")))
    with one.journal, two.journal, pytest.raises(EvalError, match="matched by name"):
        list(pairs(one, two))


def test_other_images_are_refused(tmp_path: Path, data: str) -> None:
    one = recorded(recording(tmp_path / "a", data, classified(TRUTH)))
    fewer = pictures(tmp_path / "few", (2, 2, 1))
    two = recorded(recording(tmp_path / "b", fewer, classified(TRUTH[:5])))
    with one.journal, two.journal, pytest.raises(EvalError, match=r"same images, got 6 of .* and 5 of"):
        list(pairs(one, two))
    changed = pictures(tmp_path / "changed", (2, 2, 2))
    (tmp_path / "changed" / "bee" / "00000.png").write_bytes(
        (tmp_path / "changed" / "ape" / "00000.png").read_bytes()
    )
    three = recorded(recording(tmp_path / "c", changed, classified(TRUTH)))
    with one.journal, three.journal, pytest.raises(EvalError, match=r"number 3 is .*or its file differs"):
        list(pairs(recorded(tmp_path / "a"), three))


def test_two_tasks_are_refused(tmp_path: Path, data: str) -> None:
    one = recorded(recording(tmp_path / "a", data, classified(TRUTH)))
    truths = [np.zeros((8, 8), np.uint8)] * 2
    other = maps(tmp_path / "maps", truths, ("road", "sky"))
    two = recorded(
        recording(
            tmp_path / "b", other, [Segmentation(truth) for truth in truths], task="segmentation",
            labels=("road", "sky"),
        )
    )  # fmt: skip
    with one.journal, two.journal, pytest.raises(EvalError, match="one task, got classification"):
        list(pairs(one, two))


def test_maps_are_renumbered(tmp_path: Path) -> None:
    truth = np.array([[0, 1, 1, 255] * 2] * 8, np.uint8)
    data = maps(tmp_path / "maps", [truth], ("road", "sky"))
    one = recorded(
        recording(tmp_path / "a", data, [Segmentation(np.where(truth == 255, 0, truth))], task="segmentation",
                  labels=("road", "sky"))
    )  # fmt: skip
    turned = Segmentation(np.where(truth == 255, 0, 1 - np.minimum(truth, 1)))
    two = recorded(recording(tmp_path / "b", data, [turned], task="segmentation", labels=("sky", "road")))
    with one.journal, two.journal:
        (pair,) = pairs(one, two)
    assert isinstance(pair.after.answer, Segmentation)
    counted = truth != 255
    assert np.array_equal(pair.after.answer.labels[counted], truth[counted])
    assert isinstance(pair.before.sample.expected, np.ndarray)
    assert np.array_equal(pair.before.sample.expected, truth)


def test_objects_are_renumbered(tmp_path: Path) -> None:
    data = boxes(tmp_path / "boxes", [[(0, 0, 0, 4, 4), (1, 4, 4, 8, 8)]], ("lamp", "door"))
    corners = np.array([[0, 0, 4, 4], [4, 4, 8, 8]], np.float32)
    sure = np.array([0.9, 0.8], np.float32)
    folders = []
    for name, labels, numbers in (("a", ("lamp", "door"), [0, 1]), ("b", ("door", "lamp"), [1, 0])):
        answer = Detections(corners, sure, np.array(numbers))
        folders.append(recording(tmp_path / name, data, [answer], task="detection", labels=labels))
    one, two = map(recorded, folders)
    with one.journal, two.journal:
        (pair,) = pairs(one, two)
    assert isinstance(pair.after.answer, Detections)
    assert pair.after.answer.labels.tolist() == [0, 1]

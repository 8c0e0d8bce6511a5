"""How far apart two answers are, by hand; and a record as answers again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import DatasetError
from eval.parity import difference
from eval.parity.differences import apart, overall
from eval.parity.record import answers_of, count_of, read_record
from models.results import Classification, Detections, Result, Segmentation

SCORES = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
CLASSES: list[Result] = [Classification(row) for row in SCORES]


def objects(*scores: float) -> Detections:
    column = np.array(scores, np.float32)
    return Detections(np.zeros((len(column), 4), np.float32), column, np.zeros(len(column), np.int64))


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int64)
    )


def test_probabilities() -> None:
    assert difference(CLASSES, {"probabilities": SCORES}) == 0
    moved = SCORES + np.array([[0, 0], [0.125, 0]], np.float32)
    assert difference(CLASSES, {"probabilities": moved}) == 0.125
    told = apart(CLASSES[0], Classification(np.array([0.75, 0.25], np.float32)))
    assert (told.amount, told.changed) == (0.5, True)
    assert apart(CLASSES[0], Classification(np.ones(3, np.float32) / 3)).amount == 1


def test_objects() -> None:
    recorded = {"scores": np.array([0.75, 0.5, 0.01], np.float32), "counts": np.array([1, 2])}
    assert difference([objects(0.75), objects(0.5, 0.02)], recorded) == 0
    assert difference([objects(0.5), objects(0.5)], recorded) == 0.25
    assert difference([objects(0.75, 0.5), objects()], recorded) == 1


ONE = (0, 0, 10, 10, 0.9, 1)


@pytest.mark.parametrize(
    ("other", "amount", "changed"),
    [
        ([ONE], 0, False),
        ([(0, 0, 10, 10, 0.8, 1)], 0.1, False),
        ([(0, 0, 10, 8, 0.9, 1)], 0.2, True),  # IoU 0.8
        ([(0, 0, 10, 10, 0.9, 0)], 1, True),  # another class
        ([], 1, True),
        ([ONE, (20, 20, 30, 30, 0.5, 1)], 1, True),  # one more
        ([ONE, (20, 20, 30, 30, 0.29, 1)], 0, False),  # one more that nobody is shown
        ([(20, 20, 30, 30, 0.9, 1)], 1, True),
        ([ONE, ONE], 1, True),  # a partner serves once
    ],
)
def test_two_sets_of_objects(
    other: list[tuple[float, float, float, float, float, int]], amount: float, changed: bool
) -> None:
    for pair in ((boxes(ONE), boxes(*other)), (boxes(*other), boxes(ONE))):
        told = apart(*pair)
        assert told.amount == pytest.approx(amount, abs=1e-6)
        assert told.changed is changed


def test_of_two_objects_in_one_place_the_one_with_the_score_is_meant() -> None:
    weak = (0, 0, 10, 10, 0.4, 1)
    assert apart(boxes(ONE, weak), boxes(weak, ONE)).amount == 0


def test_no_threshold_makes_an_object_of_a_last_digit() -> None:
    one, other = boxes((0, 0, 10, 10, 0.30001, 1)), boxes((0, 0, 10, 10, 0.29999, 1))
    assert apart(one, other).amount == pytest.approx(2e-5, abs=1e-6)


def test_label_maps() -> None:
    maps: list[Result] = [Segmentation(np.array([[0, 1], [2, 0]]))]
    assert difference(maps, {"labels": np.array([0, 1, 2, 0]), "sizes": np.array([[2, 2]])}) == 0
    assert difference(maps, {"labels": np.array([0, 1, 2, 1]), "sizes": np.array([[2, 2]])}) == 0.25
    small, large = Segmentation(np.zeros((1, 2), int)), Segmentation(np.zeros((2, 3), int))
    each = [apart(small, Segmentation(np.ones((1, 2), int))), apart(large, large)]
    assert overall(each) == 0.25  # two of eight pixels
    assert apart(small, large).amount == 1


def test_other_kinds_are_as_far_apart_as_can_be() -> None:
    assert apart(CLASSES[0], objects(0.5)).amount == 1


@given(st.lists(st.floats(0.3125, 1, width=32), max_size=6), st.integers(0, 5))
def test_an_answer_is_no_different_from_itself_in_any_order(scores: list[float], turn: int) -> None:
    rows = [(20.0 * i, 0.0, 20.0 * i + 10, 10.0, score, i % 2) for i, score in enumerate(scores)]
    turned = rows[turn:] + rows[:turn]
    assert apart(boxes(*rows), boxes(*turned)).amount == 0


def test_what_cannot_be_compared() -> None:
    for recorded in ({}, {"probabilities": SCORES[:1]}, {"labels": SCORES}):
        with pytest.raises(DatasetError, match="not of these answers"):
            difference(CLASSES, recorded)


def test_a_record_gives_its_answers_back() -> None:
    columns = {
        "boxes": np.arange(12, dtype=np.float32).reshape(3, 4),
        "scores": np.array([0.75, 0.5, 0.01], np.float32),
        "labels": np.array([1, 0, 0]),
        "counts": np.array([1, 0, 2]),
    }
    first, none, last = answers_of(columns)
    assert isinstance(first, Detections)
    assert isinstance(none, Detections)
    assert isinstance(last, Detections)
    assert (len(first), len(none), len(last)) == (1, 0, 2)
    assert last.boxes.tolist() == columns["boxes"][1:].tolist()
    assert count_of(columns) == 3
    maps = answers_of({"labels": np.arange(10, dtype=np.uint8), "sizes": np.array([[2, 2], [3, 2]])})
    assert [m.labels.tolist() for m in maps if isinstance(m, Segmentation)] == [
        [[0, 1], [2, 3]],
        [[4, 5], [6, 7], [8, 9]],
    ]
    with pytest.raises(DatasetError, match="not a record"):
        answers_of({"sizes": np.array([[2, 2]])})


def test_what_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"reference\.npz"):
        read_record(tmp_path / "nothing.npz")

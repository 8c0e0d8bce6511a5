"""How one image came out, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eval.comparison.judged import judge
from eval.metrics.truth import Objects
from models.results import Array, Classification, Detections, Segmentation
from tests.eval.recordings import classified


@pytest.mark.parametrize(
    ("before", "after", "units", "mistakes", "differs"),
    [
        (1, 1, (1, 0, 0, 0), (0, 0), False),
        (1, 0, (0, 1, 0, 0), (0, 1), True),
        (2, 1, (0, 0, 1, 0), (1, 0), True),
        (2, 0, (0, 0, 0, 1), (1, 1), True),
        (2, 2, (0, 0, 0, 1), (1, 1), False),
    ],
)
def test_classification(
    before: int, after: int, units: tuple[int, ...], mistakes: tuple[int, ...], differs: bool
) -> None:
    one, other = classified([before, after])
    judged = judge(one, other, 1, 3)
    assert (judged.units, judged.mistakes, judged.differs) == (units, mistakes, differs)
    assert judged.classes.tolist() == [[1, before == 1, after == 1, 1]]


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


CAT, DOG = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0)
TRUTH = Objects(np.array([CAT, DOG, (40.0, 40.0, 60.0, 60.0)]), np.array([0, 1, 1]))


def test_detection_counts_objects() -> None:
    before = found((*CAT, 0.9, 0), (*DOG, 0.8, 1), (40, 40, 60, 60, 0.4, 1))  # the last is not sure
    after = found((*CAT, 0.9, 0), (41, 41, 60, 60, 0.7, 1), (70, 70, 80, 80, 0.9, 0))
    judged = judge(before, after, TRUTH, 3)
    assert judged.units == (1, 1, 1, 0)
    assert judged.false == (0, 1)
    assert judged.mistakes == (1, 2)
    assert judged.differs
    assert judged.classes.tolist() == [[0, 1, 1, 1], [1, 1, 1, 2]]


def test_detections_that_pair_up_do_not_differ() -> None:
    before = found((*CAT, 0.9, 0), (*DOG, 0.8, 1))
    moved = found((*DOG, 0.6, 1), (0, 0, 10, 9, 0.7, 0), (1, 1, 3, 3, 0.3, 0))
    assert not judge(before, moved, TRUTH, 3).differs
    assert judge(before, found((*CAT, 0.9, 1), (*DOG, 0.8, 1)), TRUTH, 3).differs  # another class
    assert judge(before, found((*CAT, 0.9, 0)), TRUTH, 3).differs


def test_what_lies_in_a_crowd_is_neither_lost_nor_false() -> None:
    truth = Objects(np.array([CAT, DOG]), np.array([0, 1]), crowd=np.array([False, True]))
    judged = judge(found((*CAT, 0.9, 0), (*DOG, 0.9, 1)), found((*CAT, 0.9, 0)), truth, 2)
    assert judged.units == (1, 0, 0, 0)
    assert judged.mistakes == (0, 0)


def test_segmentation_counts_the_pixels_that_count() -> None:
    truth = np.array([[0, 0, 1, 255], [1, 1, 2, 255]])
    before = Segmentation(np.array([[0, 1, 1, 0], [1, 0, 2, 0]]))
    after = Segmentation(np.array([[0, 0, 0, 2], [1, 0, 2, 1]]))
    judged = judge(before, after, truth, 3)
    assert judged.units == (3, 1, 1, 1)
    assert judged.mistakes == (2 / 6, 2 / 6)
    assert judged.differs
    assert judged.classes.tolist() == [[0, 1, 2, 2], [1, 2, 1, 3], [2, 1, 1, 1]]


@pytest.mark.parametrize(("changed", "differs"), [(1, False), (2, True)])
def test_a_map_differs_beyond_one_pixel_in_a_hundred(changed: int, differs: bool) -> None:
    flat: Array = np.zeros(100, np.int64)
    other = flat.copy()
    other[:changed] = 1
    one, two = (Segmentation(labels.reshape(10, 10)) for labels in (flat, other))
    assert judge(one, two, flat.reshape(10, 10), 2).differs is differs


def test_answers_of_another_task_are_refused() -> None:
    scores = Classification(np.array([0.5, 0.5], np.float32))
    with pytest.raises(TypeError, match="got Classification, Classification, Objects"):
        judge(scores, scores, TRUTH, 2)

"""Goals for segmenters."""

from __future__ import annotations

import numpy as np
import pytest

from eval.attacks.goals.segmentation import Erase, Pixels, large_classes
from eval.data.dataset import IGNORED
from eval.errors import EndpointError
from models.results import Array, Detections, Segmentation

TRUTH = np.array([[0] * 10, [0] * 10, [1] * 10, [1] * 5 + [2] * 5, [IGNORED] * 10], np.uint8)  # 40 count


def changed(pixels: int, label: int, start: int = 0) -> Segmentation:
    """The truth with some pixels wrong, in reading order."""
    labels = TRUTH.astype(np.int64).ravel()
    labels[start : start + pixels] = label
    return Segmentation(labels.reshape(TRUTH.shape))


@pytest.mark.parametrize(("wrong", "right"), [(0, True), (19, True), (20, False), (21, False)])
def test_half_of_the_pixels(wrong: int, right: bool) -> None:
    verdict = Pixels(TRUTH).judge(changed(wrong, 3))
    assert verdict == (1 - wrong / 40, not right, -1, right)


def test_another_floor() -> None:
    assert Pixels(TRUTH, 0.3).judge(changed(28, 3)).fooled
    assert not Pixels(TRUTH, 0.3).judge(changed(27, 3)).fooled
    assert not Pixels(TRUTH, 0).judge(changed(39, 3)).fooled
    assert Pixels(TRUTH, 0).judge(changed(40, 3)).fooled
    assert (Pixels(TRUTH).name, Pixels(TRUTH, 0.25).name) == ("pixels", "pixels:0.25")


def test_what_does_not_count_does_not_count() -> None:
    """Neither right nor wrong, even if the model answers that very number."""
    assert Pixels(TRUTH).judge(Segmentation(TRUTH)).loss == 1
    assert Pixels(TRUTH).judge(changed(10, 7, start=40)).loss == 1
    void = Pixels(np.full_like(TRUTH, IGNORED))
    assert void.total == 0
    assert void.judge(Segmentation(TRUTH)) == (0.0, False, -1, False)


def test_a_class_is_gone() -> None:
    one = Erase(TRUTH, (1,), "erase:car")  # 15 pixels, from the 20th
    assert one.judge(changed(13, 0, start=20)) == (2 / 15, False, -1, True)
    assert one.judge(changed(14, 0, start=20)) == (1 / 15, True, -1, False)
    assert one.judge(changed(20, 1)) == (1.0, False, -1, True)  # more of it elsewhere changes nothing
    assert (one.name, Erase(TRUTH, (1,)).name) == ("erase:car", "erase")


def test_any_class_is_gone() -> None:
    every = Erase(TRUTH, (0, 1, 2))
    assert every.judge(changed(3, 0, start=35)) == (2 / 5, False, -1, True)
    assert every.judge(changed(5, 0, start=35)) == (0.0, True, -1, False)
    assert every.judge(changed(20, 2)).fooled


def test_a_class_that_is_not_there_cannot_go() -> None:
    for classes in ((3,), (0, 3), ()):
        with pytest.raises(ValueError, match="must have pixels"):
            Erase(TRUTH, classes)


def test_a_speck_is_no_feat() -> None:
    labels = np.zeros((21, 25), np.uint8)  # 500 count
    labels[0, :5], labels[1, :4], labels[2] = 1, 2, IGNORED
    assert large_classes(labels) == (0, 1)
    assert large_classes(TRUTH) == (0, 1, 2)
    assert large_classes(np.full((3, 4), IGNORED)) == ()


@pytest.mark.parametrize("labels", [TRUTH[:, :9], TRUTH.T], ids=["smaller", "turned"])
def test_a_map_of_another_size_is_no_answer(labels: Array) -> None:
    for goal in (Pixels(TRUTH), Erase(TRUTH, (1,))):
        with pytest.raises(EndpointError, match=r"must be \(5, 10\), got"):
            goal.judge(Segmentation(labels))
        with pytest.raises(EndpointError, match="only be wanted of a segmenter"):
            goal.judge(Detections.empty())

"""The answer is on the picture, where it belongs, and the rest of the picture is as it was."""

from __future__ import annotations

import numpy as np

from models.drawing import PALETTE, drawn
from models.results import Classification, Detections, Segmentation

GREY = np.full((120, 160, 3), 90, np.uint8)


def test_boxes_are_drawn_where_they_are() -> None:
    found = Detections(np.array([[40.0, 50, 90, 100]], np.float32), np.array([0.9]), np.array([1]))
    picture = drawn(GREY, found, ["a", "b"])
    assert picture[75, 40].tolist() == PALETTE[1].tolist()
    assert picture[100, 60].tolist() == PALETTE[1].tolist()
    assert (picture[60:95, 50:85] == 90).all()
    assert (GREY == 90).all()  # the picture that was given is not touched


def test_classes_are_written_in_the_corner() -> None:
    picture = drawn(GREY, Classification(np.array([0.2, 0.8], np.float32)), ["dim", "light"], top=1)
    assert (picture[:20, :60] != 90).any()
    assert (picture[40:] == 90).all()


def test_each_class_but_the_first_is_tinted() -> None:
    labels = np.zeros((120, 160), np.int64)
    labels[:, 80:] = 2
    picture = drawn(GREY, Segmentation(labels), ["ground", "a", "b"])
    assert (picture[:, :80] == 90).all()
    assert (picture[:, 80:] == (90 + PALETTE[1].astype(int)) // 2).all()


def test_nothing_found_leaves_the_picture() -> None:
    assert (drawn(GREY, Detections.empty(), ["a"]) == GREY).all()

"""The answer is on the picture, where it belongs, and the rest of the picture is as it was."""

from __future__ import annotations

import numpy as np

from models.drawing import PALETTE, drawn, heated
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


def test_heat_is_brightest_where_it_is_most_and_dims_the_rest() -> None:
    heat = np.zeros((120, 160), np.float32)
    heat[30:60, 40:90] = 0.2
    heat[40:50, 50:70] = 0.4
    shown = heated(GREY, heat).astype(int).sum(axis=2)
    assert shown[45, 60] > shown[35, 45] > shown[0, 0]
    assert (shown[heat == 0] == shown[0, 0]).all()
    np.testing.assert_allclose(heated(GREY, heat * 7).astype(int), heated(GREY, heat), atol=2)
    assert (GREY == 90).all()


def test_what_speaks_against_is_as_cold_as_nothing() -> None:
    heat = np.array([[-3.0, 0.0, 1.0]], np.float32)
    shown = heated(GREY[:1, :3], heat)
    np.testing.assert_array_equal(shown[0, 0], shown[0, 1])


def test_a_flat_map_is_not_blown_up() -> None:
    noise = 0.5 + np.random.default_rng(0).random((120, 160)) * 1e-7
    shown = heated(GREY, noise)
    assert (shown == shown[0, 0]).all()
    assert np.isfinite(shown).all()

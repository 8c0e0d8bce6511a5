"""Examples as they are drawn."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from eval.metrics.truth import Objects
from eval.report.document import Gallery, Picture, Report, Section
from eval.report.html import to_html
from eval.report.pictures import WRONG, colours, detected, picture, segmented
from models.decoding import decode
from models.results import Detections
from tests.eval.report.test_report import FOUND, IMAGE, TRUTH


def test_pictures_are_lossless_and_boxes_are_drawn() -> None:
    shot = picture(IMAGE, "c")
    np.testing.assert_array_equal(decode(base64.b64decode(shot.uri.split(",")[1])), IMAGE)
    (one,) = detected(IMAGE, FOUND, TRUTH, ["cat"])
    assert [(b[4], b[5]) for b in one.boxes] == [("cat", "expected"), ("cat 0.90", "predicted")]


def test_boxes_say_what_is_right_missed_and_false() -> None:
    far = Detections(np.array([[6, 4, 9, 6]], np.float32), np.array([0.8], np.float32), np.array([0]))
    (one,) = detected(IMAGE, far, TRUTH, ["cat"])
    assert [(b[4], b[5]) for b in one.boxes] == [("cat", "missed"), ("cat 0.80", "false")]
    assert one.caption == "1 true, 1 missed, 1 false"


@pytest.mark.parametrize(("count", "told"), [(16, 16), (17, 0)])
def test_many_boxes_have_their_texts_in_the_tooltips_only(count: int, told: int) -> None:
    boxes = [(float(i), 0.0, i + 1.0, 4.0, f"box {i}", "missed") for i in range(count)]
    shot = Picture("data:,", "c", 20, 20, boxes)
    page = to_html(Report("r", {}, [Section("s", galleries=[Gallery("g", [[shot]])])]))
    assert page.count(">box ") - page.count("<title>box ") == told
    assert page.count("<title>box ") == count


def test_large_pictures_are_made_small_with_their_boxes() -> None:
    image = np.zeros((600, 1200, 3), np.uint8)
    truth = Objects(np.array([[0.0, 0, 1200, 600]]), np.array([0]))
    (one,) = detected(image, Detections.empty(), truth, ["cat"])
    assert (one.width, one.height) == (480, 240)
    assert one.boxes[0][:4] == (0, 0, 480, 240)
    assert one.uri.startswith("data:image/jpeg;base64,")


def test_label_maps_show_where_they_differ_and_name_their_colours() -> None:
    expected = np.array([[0, 1], [255, 2]])
    predicted = np.array([[0, 2], [1, 2]])
    *_, errors = segmented(np.full((2, 2, 3), 255, np.uint8), predicted, expected)
    drawn = decode(base64.b64decode(errors.uri.split(",")[1]))
    assert [tuple(pixel) == WRONG for pixel in drawn.reshape(-1, 3)] == [False, True, False, False]
    assert errors.caption == "wrong in red: 0.333 of the pixels"
    key = colours([expected, predicted], ["sky", "road", "car"])
    assert list(key) == ["sky", "road", "car", "not counted"]
    assert len(set(key.values())) == 4

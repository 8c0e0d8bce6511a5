"""Outlines and run lengths become the very pixels pycocotools makes of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as oracle

from eval.data.rle import from_counts, from_polygons, from_text, mask_of
from models.results import Array
from models.wire import mask_counts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools on NumPy 2
REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "coco_eval_parity"
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
# Halves, fifths and whole numbers lie on the borders of the rule; some corners are outside.
NUMBERS = st.one_of(
    st.floats(-30, 70, allow_subnormal=False),
    st.integers(-20, 60).map(float),
    st.integers(-100, 300).map(lambda n: n / 5),
    st.integers(-200, 600).map(lambda n: n / 10),
)
POLYGONS = st.lists(st.integers(3, 9).flatmap(lambda n: st.lists(NUMBERS, min_size=2 * n, max_size=2 * n)),
                    min_size=1, max_size=3)  # fmt: skip


def theirs(polygons: list[list[float]], size: tuple[int, int]) -> Array:
    mask: Array = oracle.decode(oracle.merge(oracle.frPyObjects(polygons, *size))).astype(bool)
    return mask


@settings(max_examples=400, deadline=None)
@given(polygons=POLYGONS, size=SIZES)
def test_polygons_pixel_for_pixel(polygons: list[list[float]], size: tuple[int, int]) -> None:
    np.testing.assert_array_equal(from_polygons(polygons, size), theirs(polygons, size))


@settings(max_examples=200, deadline=None)
@given(size=SIZES, data=st.data())
def test_runs_of_any_mask(size: tuple[int, int], data: st.DataObject) -> None:
    pixels = data.draw(st.lists(st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]))
    mask = np.array(pixels).reshape(size)
    packed = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = packed["counts"].decode()
    np.testing.assert_array_equal(from_text(text, size), mask)
    counts = mask_counts(mask).tolist()
    np.testing.assert_array_equal(from_counts(counts, size), mask)
    for told in ({"counts": text, "size": list(size)}, {"counts": counts, "size": list(size)}):
        np.testing.assert_array_equal(mask_of(told, size), mask)


def test_long_runs_need_several_letters_and_signs() -> None:
    mask = np.zeros((300, 700), bool)
    mask[10:, 5:600] = True
    mask[:, 650] = True
    text = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    np.testing.assert_array_equal(from_text(text, (300, 700)), mask)


@settings(max_examples=200, deadline=None)
@given(text=st.text("0OPoo1N`_?@\\é", max_size=12), size=SIZES)
def test_any_text_is_a_mask_or_an_error(text: str, size: tuple[int, int]) -> None:
    try:
        assert from_text(text, size).shape == size
    except ValueError as error:
        assert "must" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, "a list of polygons, or hold"),
        ({"counts": 5}, "a list of polygons, or hold"),
        ({"counts": [4, 2], "size": [3, 2]}, r"must be \[2, 3\] \(H, W\) like its picture, got \[3, 2\]"),
        ({"counts": [4, 3], "size": [2, 3]}, "must fill 2 x 3 pixels, got 7"),
        ({"counts": [8, -2], "size": [2, 3]}, "must fill 2 x 3 pixels, got 6"),
        ({"counts": ["a"], "size": [2, 3]}, "invalid literal"),
        ({"counts": [None]}, "must be whole numbers"),
        ({"counts": "", "size": [2, 3]}, "compressed run lengths"),
        ({"counts": "oooooooooo0", "size": [2, 3]}, "over 40 bits"),
        ([[0, 0, 1, 1]], "three corners or more"),
        ([[0, 0, 1, 1, 2]], "three corners or more"),
        ([[0, 0, 1, 1, 2, float("nan")]], "finite and near"),
        ([[0, 0, 1, 1, 2, 1e9]], "finite and near"),
        ([["a", 0, 1, 1, 2, 2]], "a list of numbers"),
        ([[1e6, 0, 0, 1e6] * 9], "pixels around"),
    ],
)
def test_what_is_no_mask_is_told(told: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        mask_of(told, (2, 3))


@pytest.mark.data
def test_every_real_annotation() -> None:
    """Polygons and crowds (uncompressed RLE) of 100 COCO pictures, detections in compressed RLE."""
    if not REAL.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no coco_eval_parity")
    truth = json.loads((REAL / "instances_val2014_100.json").read_text())
    size_of = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    found = json.loads((REAL / "instances_val2014_fakesegm100_results.json").read_text())
    kinds = {"polygon": 0, "counts": 0, "text": 0}
    for annotation in [*truth["annotations"], *found]:
        told, size = annotation["segmentation"], size_of[annotation["image_id"]]
        if isinstance(told, list):
            kind, want = "polygon", theirs(told, size)
        elif isinstance(told["counts"], list):
            kind, want = "counts", oracle.decode(oracle.frPyObjects(told, *size)).astype(bool)
        else:
            kind, want = "text", oracle.decode(told).astype(bool)
        kinds[kind] += 1
        assert np.array_equal(mask_of(told, size), want), annotation["id"]
    assert all(kinds.values()), kinds

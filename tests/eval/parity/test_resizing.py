"""Other stacks' filters against PyTorch's own, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.parity.resizing import FILTERS
from models.results import Array

SIDES = st.tuples(*[st.integers(1, 17)] * 4)


def noise(height: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


TORCH: dict[str, dict[str, Any]] = {
    "nearest, corners (OpenCV, PyTorch)": {"mode": "nearest"},
    "bilinear without antialias (OpenCV, PyTorch)": {"mode": "bilinear", "align_corners": False},
    "bilinear, corners aligned": {"mode": "bilinear", "align_corners": True},
    "bicubic without antialias (OpenCV, PyTorch)": {"mode": "bicubic", "align_corners": False},
}


@pytest.mark.torch
@pytest.mark.parametrize("name", TORCH)
@settings(max_examples=40, deadline=None)
@given(sides=SIDES, seed=st.integers(0, 9))
def test_filters_are_pytorchs(name: str, sides: tuple[int, int, int, int], seed: int) -> None:
    torch = pytest.importorskip("torch")
    height, width, new_height, new_width = sides
    image = noise(height, width, seed)
    planes = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float64))
    want = torch.nn.functional.interpolate(planes, (new_height, new_width), **TORCH[name])[0]
    got = FILTERS[name](image, (new_height, new_width)).astype(np.float64)
    # PyTorch keeps fractions; ours are rounded to levels.
    assert np.abs(got - want.numpy().transpose(1, 2, 0).clip(0, 255)).max() <= 0.5 + 1e-6


def test_area_is_the_mean_of_whole_blocks() -> None:
    image = noise(8, 6)
    want = np.floor(image.reshape(4, 2, 2, 3, 3).mean(axis=(1, 3)) + 0.5)
    assert (FILTERS["area (OpenCV)"](image, (4, 2)) == want).all()


def test_area_weighs_pixels_that_are_cut() -> None:
    column = np.repeat(np.array([0, 90, 240], np.uint8)[:, None, None], 3, axis=2)
    got = FILTERS["area (OpenCV)"](column, (2, 1))[:, 0, 0]
    assert got.tolist() == [30, 190]  # (0 + 45) / 1.5 and (45 + 240) / 1.5


def test_from_zero_has_the_first_pixel_first() -> None:
    column = np.repeat(np.array([0, 100, 200, 40], np.uint8)[:, None, None], 3, axis=2)
    got = FILTERS["bilinear from zero (TensorFlow 1)"](column, (3, 1))[:, 0, 0]
    assert got.tolist() == [0, 133, 93]  # at 0, 4/3 and 8/3


@pytest.mark.parametrize("name", FILTERS)
def test_an_even_picture_stays_even(name: str) -> None:
    even = np.full((9, 13, 3), 77, np.uint8)
    for size in ((4, 5), (9, 13), (20, 31)):
        got = FILTERS[name](even, size)
        assert got.shape == (*size, 3)
        assert (got == 77).all()


@pytest.mark.parametrize("name", FILTERS)
def test_filters_differ_where_pictures_have_detail(name: str) -> None:
    image = noise(40, 40)
    own = FILTERS[name](image, (11, 13))
    same = [other for other, resize in FILTERS.items() if (resize(image, (11, 13)) == own).all()]
    assert same == [name]

"""A JPEG decoded with less detail: the same places, nearly the same pixels, never less than is needed."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.card import InputSpec
from models.decoding import decode, encode_png, is_small, read_picture
from models.imaging import fit, place, wanted
from models.results import Array, Shape
from tests.models.test_decoding import saved, turned

Resize = Literal["stretch", "letterbox", "crop"]
RESIZES: list[Resize] = ["stretch", "letterbox", "crop"]


def smooth(height: int, width: int) -> Array:
    """Colours that change slowly, as in photographs; noise has no detail that could be left out."""
    rows, cols = np.mgrid[0:height, 0:width]
    waves = (rows / height, cols / width, 0.5 + np.sin(rows / 70) * np.cos(cols / 90) / 2)
    return np.stack([wave * 255 for wave in waves], axis=-1).astype(np.uint8)


def spec(resize: Resize = "stretch", **fields: object) -> InputSpec:
    told = {"height": 32, "width": 48, "resize": resize, "mean": (0,) * 3, "std": (1,) * 3, **fields}
    return InputSpec.model_validate(told)


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1.2), st.floats(0, 1.2))
@settings(max_examples=60, deadline=None)
def test_there_are_never_fewer_pixels_than_are_wanted(
    height: int, width: int, rows: float, cols: float
) -> None:
    need = (round(height * rows), round(width * cols))
    got = read_picture(saved(smooth(height, width)), wanted=lambda shape: need)
    assert got.shape == (height, width)
    assert got.scale in [k / 8 for k in range(1, 9)]
    # Every eighth is a size libjpeg can make; it is the least that will do.
    sizes = {k: (math.ceil(height * k / 8), math.ceil(width * k / 8)) for k in range(1, 9)}
    assert got.pixels.shape[:2] == sizes[round(got.scale * 8)]
    assert got.pixels.shape[0] >= min(need[0], height)
    assert got.pixels.shape[1] >= min(need[1], width)
    for size in sizes.values():
        if min(need) > 0 and all(there >= enough for there, enough in zip(size, need, strict=True)):
            assert got.pixels.shape[0] <= size[0]


def test_nothing_wanted_is_all_of_it() -> None:
    data = saved(smooth(90, 70))
    assert np.array_equal(read_picture(data, wanted=lambda shape: (0, 0)).pixels, decode(data))
    assert read_picture(data, wanted=lambda shape: (1000, 1000)).scale == 1.0


@pytest.mark.parametrize("turn", range(1, 9))
def test_what_is_wanted_is_told_upright(turn: int) -> None:
    """A picture that lies on its side is scaled by the side it will have."""
    data = saved(smooth(160, 400), exif=turned(turn))
    upright = (400, 160) if turn >= 5 else (160, 400)
    asked: list[Shape] = []

    def need(shape: Shape) -> Shape:
        asked.append(shape)
        return (shape[0] // 2, shape[1] // 4)

    got = read_picture(data, wanted=need)
    assert asked == [upright]
    assert (got.shape, got.scale) == (upright, 0.5)
    assert got.pixels.shape == (upright[0] // 2, upright[1] // 2, 3)
    small = np.asarray(Image.fromarray(decode(data)).reduce(2), np.int16)
    assert np.abs(small - got.pixels).mean() < 2


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(512, 768), (511, 767), (301, 299), (700, 250), (97, 1003), (130, 65)])
def test_the_input_is_within_a_few_levels(resize: Resize, size: Shape) -> None:
    own = spec(resize)
    data = saved(smooth(*size), quality=95)
    full = fit(decode(data), own)
    got = read_picture(data, wanted=lambda shape: wanted(shape, own))
    scaled = fit(got.pixels, own, shape=got.shape, scale=got.scale)
    assert scaled.shape == full.shape
    assert np.abs(scaled - full).max() <= 8  # of 255
    assert np.abs(scaled - full).mean() <= 1
    if min(size) > 250:
        assert got.scale < 1


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(640, 640), (637, 643), (401, 799)])
def test_what_is_drawn_lies_where_it_lies_in_the_whole_picture(resize: Resize, size: Shape) -> None:
    image = np.full((*size, 3), 20, np.uint8)
    top, left = size[0] // 3, size[1] // 3
    image[top : 2 * top, left : 2 * left] = 235
    own = spec(resize, fill=20)
    got = read_picture(saved(image, quality=95), wanted=lambda shape: wanted(shape, own))
    assert got.scale < 1
    laid = fit(got.pixels, own, shape=got.shape, scale=got.scale)[0]
    rows, cols = np.nonzero(laid > 128)
    found = np.array([[cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]], np.float64)
    placement = place(got.shape, own)
    pixel = max(1 / placement.scale_x, 1 / placement.scale_y)
    back = placement.back(found, got.shape)
    np.testing.assert_allclose(back, [[left, top, 2 * left, 2 * top]], atol=pixel)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 64), (7, 7), (7, 600), (600, 7), (32, 48)])
def test_pictures_of_few_pixels_are_fitted_whole(resize: Resize, size: Shape) -> None:
    """Of seven rows, seven eighths are all seven: a scale of 7/8 would cut the picture."""
    own = spec(resize)
    data = saved(smooth(*size), quality=95, subsampling=0)
    got = read_picture(data)
    assert got.scale == 1.0
    assert np.array_equal(fit(got.pixels, own, shape=got.shape, scale=got.scale), fit(decode(data), own))
    scaled = read_picture(data, wanted=lambda shape: wanted(shape, own))
    assert np.array_equal(scaled.pixels, got.pixels) or max(size) == 600
    laid = fit(scaled.pixels, own, shape=scaled.shape, scale=scaled.scale)
    assert np.abs(laid - fit(decode(data), own)).max() <= 8


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP"])
def test_other_formats_are_always_whole(format: str) -> None:  # noqa: A002
    data = saved(smooth(300, 300), format)
    got = read_picture(data, wanted=lambda shape: (10, 10))
    assert (got.pixels.shape, got.scale) == ((300, 300, 3), 1.0)


def png(height: int, width: int) -> bytes:
    return encode_png(np.zeros((height, width, 3), np.uint8))


def test_small_is_told_from_the_first_bytes_of_a_png() -> None:
    assert is_small(png(128, 128))
    assert is_small(memoryview(png(1, 128 * 128)))
    assert is_small(png(128, 128)[:24])
    assert not is_small(png(128, 128)[:23])
    assert not is_small(png(128, 129))
    assert not is_small(png(2000, 2000))  # a few kilobytes
    assert not is_small(png(8, 8) + bytes(1 << 14))
    assert not is_small(png(8, 8)[:16] + bytes(8))  # no pixels
    assert not is_small(saved(smooth(8, 8)))
    assert not is_small(b"")

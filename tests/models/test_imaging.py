"""Pixels survive the way in, and boxes and planes find the way back."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.card import InputSpec
from models.imaging import fit, nearest, place, resample
from models.results import Array

Resize = Literal["stretch", "letterbox", "crop"]
RESIZES: list[Resize] = ["stretch", "letterbox", "crop"]


def picture(height: int = 37, width: int = 53, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spec(resize: Resize, **fields: object) -> InputSpec:
    return InputSpec.model_validate({"height": 32, "width": 48, "resize": resize, **fields})


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(37, 53), (53, 37), (32, 48), (1, 90), (200, 9)])
def test_fit_gives_the_input_any_shape(resize: Resize, shape: tuple[int, int]) -> None:
    batch = fit(picture(*shape), spec(resize))
    assert batch.shape == (3, 32, 48)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    assert batch.min() >= 0
    assert batch.max() <= 1


def test_an_image_of_the_right_size_is_only_normalised() -> None:
    image = picture(32, 48)
    got = fit(image, spec("stretch", mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)))
    want = (image.astype(np.float64) - [1, 2, 3]) / [4, 5, 6]
    np.testing.assert_allclose(got, want.transpose(2, 0, 1), rtol=1e-6)


def test_channels_and_layout() -> None:
    image = picture(32, 48)
    plain = spec("stretch", dtype="uint8", layout="NHWC")
    assert np.array_equal(fit(image, plain), image)
    assert np.array_equal(fit(image, plain.model_copy(update={"channels": "BGR"})), image[..., ::-1])
    grey = InputSpec(height=32, width=48, channels="L", mean=(0.0,), std=(1.0,))
    equal = np.repeat(image[..., :1], 3, axis=2)
    assert np.array_equal(fit(equal, grey)[0], image[..., 0])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int32", "int64"])
def test_an_input_has_the_type_the_card_says(dtype: str, layout: str) -> None:
    image = picture(32, 48)
    got = fit(image, spec("stretch", dtype=dtype, layout=layout, mean=(9.0,) * 3, std=(7.0,) * 3))
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    whole = "int" in dtype  # plain levels
    normal = image if whole else (image.astype(np.float32) - np.float32(9)) / np.float32(7)
    want = normal if layout == "NHWC" else normal.transpose(2, 0, 1)
    assert np.array_equal(got, want.astype(dtype))


def test_letterbox_keeps_the_aspect_and_pads_with_fill() -> None:
    tall = np.zeros((64, 32, 3), np.uint8)
    laid = fit(tall, spec("letterbox", fill=7, dtype="uint8"))[0]
    assert np.flatnonzero((laid == 7).all(axis=0)).tolist() == [*range(16), *range(32, 48)]
    assert not laid[:, 16:32].any()


@pytest.mark.parametrize("shape", [(64, 32), (20, 90), (32, 48), (7, 5)])
def test_a_letterbox_may_begin_at_the_top_left(shape: tuple[int, int]) -> None:
    """The same pixels as in the middle, all of the padding below and to the right of them."""
    image = picture(*shape)
    middle, corner = (spec("letterbox", align=align, dtype="uint8") for align in ("centre", "top_left"))
    at, own = place(shape, middle), place(shape, corner)
    assert (own.offset_x, own.offset_y) == (0, 0)
    assert (own.scale_x, own.scale_y) == (at.scale_x, at.scale_y)
    laid = fit(image, corner)
    height, width = round(shape[0] * own.scale_y), round(shape[1] * own.scale_x)
    top, left = int(at.offset_y), int(at.offset_x)
    same = fit(image, middle)[:, top : top + height, left : left + width]
    assert np.array_equal(laid[:, :height, :width], same)
    assert (laid[:, height:] == 114).all()
    assert (laid[:, :, width:] == 114).all()
    box = np.array([[1.0, 2, 4, 5]])
    np.testing.assert_allclose(own.back(box * np.tile([own.scale_x, own.scale_y], 2), shape), box, atol=1e-4)


@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_only_a_letterbox_has_a_corner_to_begin_at(resize: Resize) -> None:
    image, corner = picture(), spec(resize, align="top_left")
    assert place((37, 53), corner) == place((37, 53), spec(resize))
    assert np.array_equal(fit(image, corner), fit(image, spec(resize)))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("align", ["centre", "top_left"])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_nearest_label_is_that_of_the_cell_a_pixel_lies_in(
    resize: Resize, align: str, stride: int
) -> None:
    own = spec(resize, align=align)
    labels = np.random.default_rng(0).integers(0, 9, (32 // stride, 48 // stride))
    for shape in ((37, 53), (5, 90), (64, 9)):
        at = place(shape, own)
        got = nearest(labels, at, own, shape)
        for row, column in np.ndindex(shape):
            y = int(((row + 0.5) * at.scale_y + at.offset_y) // stride)
            x = int(((column + 0.5) * at.scale_x + at.offset_x) // stride)
            y, x = min(max(y, 0), len(labels) - 1), min(max(x, 0), labels.shape[1] - 1)
            assert got[row, column] == labels[y, x]


@given(
    st.sampled_from(RESIZES),
    st.integers(8, 300),
    st.integers(8, 300),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_come_back_where_they_were(resize: Resize, height: int, width: int, ends: list[float]) -> None:
    x, y = sorted((ends[0] * width, ends[1] * width)), sorted((ends[2] * height, ends[3] * height))
    box = np.array([[x[0], y[0], x[1], y[1]]])
    placement = place((height, width), spec(resize))
    scale = [placement.scale_x, placement.scale_y] * 2
    laid = box * scale + [placement.offset_x, placement.offset_y] * 2
    np.testing.assert_allclose(placement.back(laid, (height, width)), box, atol=1e-3)


@pytest.mark.parametrize("resize", RESIZES)
def test_boxes_are_placed_where_the_pixels_are(resize: Resize) -> None:
    """A white block drawn in the image lies, in the input, where `place` says."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[24:40, 20:44] = 255
    grown = InputSpec(height=128, width=256, resize=resize, interpolation="nearest", std=(1.0,) * 3, fill=0)
    rows, cols = np.nonzero(fit(image, grown)[0] > 128)
    found = np.array([[cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]], np.float64)
    placement = place((64, 64), grown)
    np.testing.assert_allclose(placement.back(found, (64, 64)), [[20, 24, 44, 40]], atol=1.01)


def test_boxes_never_leave_the_image() -> None:
    placement = place((10, 20), spec("letterbox"))
    far = placement.back(np.array([[-500.0, -500, 500, 500]]), (10, 20))
    assert far.tolist() == [[0, 0, 20, 10]]


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_plane_that_is_linear_stays_linear(resize: Resize, stride: int) -> None:
    """Bilinear sampling is exact on a ramp, so geometry errors of half a pixel show."""
    grown = InputSpec(height=32, width=48, resize=resize)
    centres = (np.arange(48 // stride) + 0.5) * stride
    planes = np.broadcast_to(centres, (2, 32 // stride, 48 // stride)).astype(np.float32)
    placement = place((40, 40), grown)
    got = resample(planes, placement, grown, (40, 40))
    want = (np.arange(40) + 0.5) * placement.scale_x + placement.offset_x
    np.testing.assert_allclose(got[0, 0], want.clip(centres[0], centres[-1]), atol=1e-4)

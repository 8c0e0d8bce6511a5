"""Preparation in PyTorch: the values of `models.imaging.fit`, and the slope of what it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.whitebox import prepare
from eval.whitebox.node import Unsupported
from eval.whitebox.prepare import Preparation, weights
from eval.whitebox.twin import NoTwin
from models.card import InputSpec
from models.imaging import fit
from models.results import Array, Shape

pytestmark = pytest.mark.torch


def noise(shape: Shape, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def tensor(image: Array) -> torch.Tensor:
    return torch.from_numpy(image[None]).float()


sides = st.integers(1, 48)
specs = st.builds(
    lambda channels, **told: InputSpec(
        channels=channels,
        mean=(103.5,) if channels == "L" else (123.7, 0.0, 103.5),
        std=(57.1,) if channels == "L" else (58.4, 255.0, 1.0),
        **told,
    ),
    st.sampled_from(["RGB", "BGR", "L"]),
    height=sides,
    width=sides,
    layout=st.sampled_from(["NCHW", "NHWC"]),
    dtype=st.sampled_from(["float32", "float16", "float64", "uint8", "int64"]),
    resize=st.sampled_from(["stretch", "letterbox", "crop"]),
    align=st.sampled_from(["centre", "top_left"]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic"]),
    crop_fraction=st.sampled_from([1.0, 0.875, 0.5]),
)


@settings(max_examples=100, deadline=None)
@given(specs, st.tuples(sides, sides), st.integers(0, 1 << 20))
def test_it_gives_what_the_service_is_given(spec: InputSpec, shape: Shape, seed: int) -> None:
    image = noise(shape, seed)
    want = fit(image, spec)
    got = Preparation(shape, spec)(tensor(image))[0].numpy()
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (224, 224), (1200, 90)])
@pytest.mark.parametrize("resize", ["crop", "letterbox", "stretch"])
def test_photographs_come_out_to_the_last_level(shape: Shape, resize: Any) -> None:
    spec = InputSpec(height=224, width=224, resize=resize, interpolation="bicubic", std=(1.0, 1.0, 1.0))
    image = noise(shape)
    np.testing.assert_array_equal(Preparation(shape, spec)(tensor(image))[0].numpy(), fit(image, spec))


@pytest.mark.parametrize("channels", ["RGB", "L"])
def test_a_grey_picture_may_come_as_one_channel(channels: Any) -> None:
    one = {"mean": (9.0,), "std": (7.0,)} if channels == "L" else {}
    spec = InputSpec(height=9, width=7, channels=channels, **one)
    image = np.repeat(noise((20, 13))[..., :1], 3, axis=2)
    whole, single = (Preparation((20, 13), spec)(tensor(image[..., :n])) for n in (3, 1))
    assert torch.equal(whole, single)
    np.testing.assert_allclose(single[0].numpy(), fit(image, spec), rtol=1e-6, atol=1e-6)


CASES = [
    {"resize": "stretch", "interpolation": "bilinear"},
    {"resize": "letterbox", "interpolation": "bicubic"},
    {"resize": "crop", "interpolation": "bicubic", "crop_fraction": 0.8},
    {"resize": "stretch", "interpolation": "nearest", "layout": "NHWC"},
    {"resize": "stretch", "channels": "L", "mean": (3.0,), "std": (7.0,)},
    {"resize": "stretch", "channels": "BGR"},
]


@pytest.mark.parametrize("told", CASES, ids=str)
@pytest.mark.parametrize("shape", [(11, 8), (4, 5), (6, 5)])
def test_the_gradient_is_that_of_finite_differences(told: dict[str, Any], shape: Shape) -> None:
    spec = InputSpec(height=6, width=5, **told)
    picture = torch.from_numpy(np.random.default_rng(1).uniform(90, 160, (1, *shape, 3))).requires_grad_()
    assert torch.autograd.gradcheck(Preparation(shape, spec, rounded=False), (picture,))


@pytest.mark.parametrize("told", CASES, ids=str)
def test_rounding_leaves_the_gradient_as_it_is(told: dict[str, Any]) -> None:
    spec = InputSpec(height=6, width=5, **told)
    picture = torch.from_numpy(np.random.default_rng(1).uniform(90, 160, (1, 11, 8, 3)))
    lever = torch.from_numpy(np.random.default_rng(2).normal(size=fit(noise((11, 8)), spec).shape))
    slopes = []
    for rounded in (True, False):
        point = picture.clone().requires_grad_()
        (Preparation((11, 8), spec, rounded=rounded)(point) * lever).sum().backward()
        slopes.append(point.grad)
    torch.testing.assert_close(slopes[0], slopes[1])


def test_where_a_filter_overshoots_there_is_no_gradient() -> None:
    """Bicubic rings beside an edge: beyond 255 the service clips, and nothing moves."""
    spec = InputSpec(height=1, width=16, interpolation="bicubic")
    image = np.zeros((1, 8, 3), np.uint8)
    image[:, 4:] = 255
    point = tensor(image).requires_grad_()
    out = Preparation((1, 8), spec)(point)[0, 0, 0]
    slopes = [torch.autograd.grad(out[i], point, retain_graph=True)[0].abs().sum() for i in range(16)]
    clipped = fit(image, spec)[0, 0] == 1.0
    assert 1 < clipped.sum() < 8
    assert [float(slope) == 0 for slope in slopes[8:12]].count(True) >= 1
    assert all(float(slope) > 0 for slope in slopes[7:9])


def test_weights_sum_to_one() -> None:
    for size, wanted in ((100, 7), (7, 100), (5, 4)):
        for interpolation in ("bilinear", "bicubic"):
            np.testing.assert_allclose(weights(size, wanted, interpolation).sum(axis=1), 1, atol=1e-5)


def test_too_thin_a_picture_is_refused() -> None:
    with pytest.raises(Unsupported, match="would be scaled to"):
        Preparation((1, 200_000), InputSpec(height=224, width=224, resize="crop"))


def test_another_way_of_resizing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "fit", lambda image, spec: fit(image, spec) + np.float32(0.01))
    with pytest.raises(NoTwin, match="not prepared as the service"):
        Preparation((20, 20), InputSpec(height=9, width=9))

"""Corruptions are the same every time, get worse, and are what they are called."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from eval.corruptions.tables import CORRUPTIONS, SEVERITIES, corrupt
from models.results import Array
from models.scenes import scene

IMAGE = scene(5).image
EACH = pytest.mark.parametrize("name", CORRUPTIONS)


def worn(name: str, severity: int, image: Array = IMAGE, seed: int = 0, sample: str = "s") -> Array:
    return corrupt(image, name, severity, seed=seed, sample=sample)


@EACH
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(28, 28), (1, 5), (40, 17)])
def test_shape_and_type_stay(name: str, severity: int, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = image.copy()
    out = worn(name, severity, image)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@EACH
def test_the_same_every_time(name: str) -> None:
    np.testing.assert_array_equal(worn(name, 3), worn(name, 3))


def test_noise_depends_on_seed_and_sample() -> None:
    first = worn("gaussian_noise", 3)
    assert (first != worn("gaussian_noise", 3, seed=1)).any()
    assert (first != worn("gaussian_noise", 3, sample="t")).any()


@EACH
def test_higher_is_worse(name: str) -> None:
    apart = [np.abs(worn(name, s).astype(float) - IMAGE).mean() for s in SEVERITIES]
    assert apart == sorted(apart)
    assert apart[0] > 0


def test_noise_has_the_published_spread() -> None:
    grey = np.full((200, 300, 3), 128, np.uint8)
    grey[0, 0, 0] = 129  # not grey: a draw for each channel
    spread = worn("gaussian_noise", 1, grey).astype(float).std() / 255
    assert spread == pytest.approx(0.08, rel=0.05)


def test_blur_keeps_a_flat_picture_and_spreads_a_dot() -> None:
    flat = np.full((60, 60, 3), 77, np.uint8)
    assert np.abs(worn("gaussian_blur", 5, flat).astype(int) - 77).max() <= 1
    dot = np.zeros((224, 224, 3), np.uint8)
    dot[112, 112] = 255
    sums = worn("gaussian_blur", 1, dot)[..., 0].astype(float)
    rows = (np.arange(224) - 112) ** 2
    assert (sums.sum(axis=1) * rows).sum() / sums.sum() == pytest.approx(
        1.0, rel=0.25
    )  # spread 1 at 224 pixels


def test_brightness_keeps_the_hue() -> None:
    image = np.full((2, 2, 3), (100, 50, 0), np.uint8)
    out = worn("brightness", 3, image)[0, 0].astype(int)
    assert out[0] == pytest.approx(100 + 0.3 * 255, abs=1)
    assert out[1] == pytest.approx(out[0] / 2, abs=1)
    assert out[2] == 0


def test_contrast_draws_to_the_mean() -> None:
    out = worn("contrast", 5).astype(float)
    spread, before = out.std(axis=(0, 1)), IMAGE.astype(float).std(axis=(0, 1))
    assert (spread < 0.05 * before + 1).all()
    np.testing.assert_allclose(out.mean(axis=(0, 1)), IMAGE.mean(axis=(0, 1)), atol=1)


GOLDEN = {"brightness": "0ca0bd6a7c7d077b", "contrast": "29fb9b07a6c80972"}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_hashes(name: str) -> None:
    """Of a picture made of whole numbers, so that no machine's sine changes it."""
    image = (np.arange(16 * 24 * 3).reshape(16, 24, 3) * 7 % 256).astype(np.uint8)
    digest = hashlib.sha256(b"".join(worn(name, s, image).tobytes() for s in SEVERITIES)).hexdigest()
    assert digest[:16] == GOLDEN[name]


@pytest.mark.parametrize(("name", "severity"), [("rain", 1), ("jpeg", 0), ("jpeg", 6)])
def test_unknown_ones_are_refused(name: str, severity: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        worn(name, severity)

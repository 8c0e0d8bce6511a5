"""Corruptions are the same every time, get worse, and are what they are called."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from eval.auditing.plan import Audit, plan_of
from eval.corruptions.tables import COMMON, CORRUPTIONS, EXTRA, QUICK, SEVERITIES, corrupt, spelled_out
from eval.errors import EvalError
from eval.metrics.corruption import ALEXNET
from models.results import Array
from models.scenes import scene
from tests.eval.corruptions import pictures

IMAGE = scene(5).image
EACH = pytest.mark.parametrize("name", CORRUPTIONS)


def worn(name: str, severity: int, image: Array = IMAGE, seed: int = 0, sample: str = "s") -> Array:
    return corrupt(image, name, severity, seed=seed, sample=sample)


@EACH
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(28, 28), (1, 5), (1, 1), (40, 17)])
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


DRAWN = sorted(set(COMMON + EXTRA) - {
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur",
    "saturate",
})  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_depends_on_seed_and_sample(name: str) -> None:
    first = worn(name, 3)
    assert (first != worn(name, 3, seed=1)).any()
    assert (first != worn(name, 3, sample="t")).any()


def test_severities_are_drawn_apart() -> None:
    """Else the noise of severity 2 is that of 1, only stronger, and five severities are one draw."""
    flat = np.full((64, 64, 3), 128, np.uint8)
    one, two = (worn("gaussian_noise", s, flat).astype(float).ravel() for s in (1, 2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_grey_stays_grey() -> None:
    """A grey picture has one sensor: what is drawn or tinted is the same in all channels."""
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            out = worn(name, severity, pictures.grey())
            assert (out == out[..., :1]).all(), (name, severity)


def photograph(name: str) -> Array:
    path = Path(sklearn.datasets.__file__).parent / "images" / name
    return np.asarray(Image.open(path).convert("RGB").resize((336, 224)))


PHOTOGRAPH = photograph("china.jpg")
# The published severities of these are two scales of different things, each of which gets worse; how fine
# rubber is warped (3 to 5 of elastic_transform) is told apart in test_looks.
TWO_SCALES = {"saturate": ((1, 2), (3, 4, 5)), "elastic_transform": ((1, 2),)}


@pytest.mark.parametrize("name", [n for n in CORRUPTIONS if n != "frost"])
def test_higher_is_worse(name: str) -> None:
    """By the peak signal-to-noise ratio of a photograph, over several draws."""
    errors = {
        s: np.mean(
            [(worn(name, s, PHOTOGRAPH, sample=str(k)).astype(float) - PHOTOGRAPH) ** 2 for k in range(6)]
        )
        for s in SEVERITIES
    }
    decibels = {s: 10 * np.log10(255**2 / error) for s, error in errors.items()}
    for severities in TWO_SCALES.get(name, (SEVERITIES,)):
        falling = [decibels[s] for s in severities]
        assert falling == sorted(falling, reverse=True)
    assert max(decibels.values()) < 35


def test_more_frost_hides_more() -> None:
    """Its published parameters darken the picture too, which the ratio takes for less ice."""
    dim = PHOTOGRAPH // 2  # nothing reaches white, which hides too
    share = [
        np.mean(
            [np.corrcoef(worn("frost", s, dim, sample=str(k)).ravel(), dim.ravel())[0, 1] for k in range(12)]
        )
        for s in SEVERITIES
    ]
    assert share == sorted(share, reverse=True)
    assert 0.2 < share[-1] < share[0] < 0.95


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


# Of five severities of `small`, `wide` and `grey`; the first 16 digits of the sha256.
GOLDEN = {
    "gaussian_noise": ("0fbdaa882f0262db", "2c5069803a6b054a", "f748ac9a15675e56"),
    "shot_noise": ("e95aefb43d9ff220", "30cabbb08f680a2c", "8174c37b4b4a1491"),
    "impulse_noise": ("a12817dbee93ee90", "3c0995fbb491c7ba", "1374faf21609f741"),
    "defocus_blur": ("9bc322c9019439a4", "1fe2b68931dec765", "7e86287e7ed0de89"),
    "glass_blur": ("d8d9912a7cdf6a35", "a328788fd2362fd2", "c46c38c0c02c74ec"),
    "motion_blur": ("f156ce568eabc126", "a0047ebfe37bb488", "06818bc6e4175e76"),
    "zoom_blur": ("a6cdc8f6a5806a40", "8b3d7b01560adfb8", "bae43d256779068e"),
    "snow": ("28b5c548dc5714b8", "3c9d9dda738cf9d6", "941455a377815df7"),
    "frost": ("33f613ae71758a4e", "e635aa11d3e93bcc", "01e8ea7f95a92b23"),
    "fog": ("64326f4db940b9e7", "1af7c722c0f4eb53", "2b9a98e59a775348"),
    "brightness": ("0ca0bd6a7c7d077b", "5a0523d9fa7e6c90", "f1112defbba8776b"),
    "contrast": ("29fb9b07a6c80972", "7b2093e064683118", "a8fd525e6d8a332b"),
    "elastic_transform": ("f5004a26f954e154", "dd5b3f75ea6aa5ae", "e6654b7c0c9d4e13"),
    "pixelate": ("2f84f57ea32af17d", "9abc70c6dc162aa2", "0ca54ee000447607"),
    "jpeg_compression": ("92e43963f65a7fc8", "bc879fbcd0aec393", "85f6bd99b950084d"),
    "speckle_noise": ("3eb4646e512f68a6", "748b80f77748cc5a", "b379673b094261b5"),
    "gaussian_blur": ("b8c093aee3480fe7", "aac3c02c29f29150", "f2c8b05262dddb59"),
    "spatter": ("b47225af4515ab1b", "225369e917096549", "92b2eda4d209e213"),
    "saturate": ("14a4148acf1f9d2e", "f3262cf5f3e28161", "2b6b702ff3073869"),
    "jpeg": ("92e43963f65a7fc8", "bc879fbcd0aec393", "85f6bd99b950084d"),
}


@EACH
def test_golden_hashes(name: str) -> None:
    """Another NumPy or Pillow may draw or code another picture: then these numbers tell."""
    digests = tuple(
        hashlib.sha256(b"".join(worn(name, s, image).tobytes() for s in SEVERITIES)).hexdigest()[:16]
        for image in (pictures.small(), pictures.wide(), pictures.grey())
    )
    assert digests == GOLDEN[name]


def test_sets_of_names() -> None:
    assert len(COMMON) == 15
    assert len(EXTRA) == 4
    assert set(COMMON) == set(ALEXNET)
    assert set(COMMON) | set(EXTRA) | {"jpeg"} == set(CORRUPTIONS)
    assert spelled_out("common, saturate,extra") == ",".join([*COMMON, "saturate", *EXTRA])
    assert spelled_out("quick") == ",".join(QUICK)
    assert set(QUICK) < set(CORRUPTIONS)
    assert spelled_out("") == ""


def test_an_audit_knows_the_sets() -> None:
    def asked(**told: str) -> tuple[str, ...]:
        return plan_of(Audit(**told), "classification", ("a", "b")).suite.corruptions  # type: ignore[arg-type]

    assert asked(corruptions="common") == COMMON
    assert asked(corruptions="jpeg,extra") == ("jpeg", *EXTRA)
    assert asked() == QUICK
    with pytest.raises(EvalError, match="rain"):
        asked(corruptions="common,rain")


def test_jpeg_has_two_names() -> None:
    for severity in SEVERITIES:
        np.testing.assert_array_equal(worn("jpeg", severity), worn("jpeg_compression", severity))


@pytest.mark.parametrize(("name", "severity"), [("rain", 1), ("jpeg", 0), ("jpeg", 6)])
def test_unknown_ones_are_refused(name: str, severity: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        worn(name, severity)

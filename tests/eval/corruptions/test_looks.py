"""Each corruption is what its name says, measured on pictures whose answer is known."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from eval.corruptions.digital import _sampled
from eval.corruptions.tables import SEVERITIES, corrupt
from models.results import Array
from tests.eval.corruptions import pictures


def worn(name: str, severity: int, image: Array, sample: str = "s") -> Array:
    return corrupt(image, name, severity, seed=0, sample=sample)


def flat(value: int, side: int = 224) -> Array:
    """Not quite grey, so that every channel is drawn by itself."""
    image = np.full((side, side, 3), value, np.uint8)
    image[0, 0, 0] ^= 1
    return image


def dot(side: int = 225) -> Array:
    image = np.zeros((side, side, 3), np.uint8)
    image[side // 2, side // 2] = 255
    return image


@pytest.mark.parametrize(("severity", "photons"), list(enumerate((60, 25, 12, 5, 3), 1)))
def test_shot_noise_is_poisson(severity: int, photons: int) -> None:
    out = worn("shot_noise", severity, flat(32)).astype(float) / 255
    assert out.mean() == pytest.approx(32 / 255, abs=0.005)
    assert out.var() == pytest.approx(32 / 255 / photons, rel=0.05)
    assert worn("shot_noise", severity, flat(0))[1:].max() == 0


@pytest.mark.parametrize(("severity", "share"), list(enumerate((0.03, 0.06, 0.09, 0.17, 0.27), 1)))
def test_impulses_are_salt_and_pepper(severity: int, share: float) -> None:
    out = worn("impulse_noise", severity, flat(100))[1:]
    assert set(np.unique(out)) == {0, 100, 255}
    assert (out != 100).mean() == pytest.approx(share, rel=0.05)
    assert (out == 0).mean() == pytest.approx(share / 2, rel=0.07)


def test_speckles_are_in_proportion() -> None:
    dark, light = (worn("speckle_noise", 1, flat(v)).astype(float).std() for v in (40, 120))
    assert light / dark == pytest.approx(3, rel=0.05)
    assert light / 120 == pytest.approx(0.15, rel=0.05)


def test_defocus_draws_a_disc() -> None:
    """Ten pixels of radius at 225: that many pixels, alike, and none beyond."""
    out = worn("defocus_blur", 5, dot() // 255 * 255)[..., 0]
    far = np.hypot(*(np.indices(out.shape) - 112))
    assert (out[far > 11.2] == 0).all()
    bright = np.full((225, 225, 3), 0, np.uint8)
    bright[112:, :] = 255  # an edge: the blurred one has the disc's area to its left
    edge = worn("defocus_blur", 5, bright)[:, 112, 0].astype(float) / 255
    reach = np.flatnonzero((edge > 0.002) & (edge < 0.998))
    assert 19 <= len(reach) <= 22
    assert edge[112 - 5] == pytest.approx(0.2, abs=0.03)  # share of a disc beyond half its radius: 0.196


def test_glass_mixes_neighbours_and_loses_none() -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((120, 120, 3), np.uint8)
    image[rng.random((120, 120)) < 0.5] = 200
    for severity in SEVERITIES:
        out = worn("glass_blur", severity, image)
        assert out.mean() == pytest.approx(image.mean(), rel=0.05)
    sides = np.zeros((200, 224, 3), np.uint8)
    sides[:, 112:] = 255
    out = worn("glass_blur", 1, sides)[..., 0].astype(float)
    assert (out[:, :100] == 0).all()
    assert (out[:, 124:] >= 254).all()
    assert out[:, 112].std() > 10  # a ragged edge, where a blur alone leaves a straight one


def test_motion_is_a_streak_within_45_degrees() -> None:
    for sample in "abcdef":
        out = worn("motion_blur", 5, dot(), sample)[..., 0].astype(float)
        y, x = np.nonzero(out)
        spread = np.linalg.eigh(np.cov(x, y))
        assert spread.eigenvalues[1] > 20 * spread.eigenvalues[0]
        across, down = spread.eigenvectors[:, 1]
        assert abs(down / across) <= 1.1


def test_zoom_is_the_mean_of_larger_pictures() -> None:
    """Against SciPy's, as in the published code, where the whole picture is in reach."""
    image = np.asarray(Image.fromarray(pictures.wide()).resize((224, 224), Image.Resampling.BILINEAR))
    total, factors = 2 * image.astype(float), np.arange(1.02, 1.21, 0.02)
    for factor in factors:
        kept = int(np.ceil(224 / factor))
        first = (224 - kept) // 2
        part = image[first : first + kept, first : first + kept].astype(float)
        larger = ndimage.zoom(part, (factor, factor, 1), order=1)
        trim = (len(larger) - 224) // 2
        total += larger[trim : trim + 224, trim : trim + 224]
    expected = total / (len(factors) + 2)
    out = worn("zoom_blur", 3, image).astype(float)
    assert np.abs(out - expected).mean() < 2
    assert out[111:113, 111:113] == pytest.approx(image[111:113, 111:113].astype(float), abs=12)


def test_snow_is_white_and_falls() -> None:
    black = np.zeros((224, 224, 3), np.uint8)
    for severity in SEVERITIES:
        out = worn("snow", severity, black)[..., 0].astype(float)
        assert out.mean() > 5
        along, across = (np.abs(np.diff(out, axis=axis)).mean() for axis in (0, 1))
        assert along < across  # streaks within 45 degrees of upright vary less downward
    image = pictures.wide()
    assert (worn("snow", 3, image).astype(int) >= image.astype(int) - 1).all()


@pytest.mark.parametrize(("severity", "thick"), list(enumerate((1.5, 2, 2.5, 2.5, 3), 1)))
def test_fog_takes_contrast_away(severity: int, thick: float) -> None:
    """Of a checkerboard, whose two colours the same cloud covers, just so much is left."""
    board = np.indices((224, 224)).sum(axis=0) // 4 % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    out = worn("fog", severity, image).astype(float)[..., 0]
    cloud = out - image[..., 0] / (1 + thick)
    assert np.abs(np.diff(cloud, axis=1)).max() < 25  # what was taken away leaves no board behind
    assert abs(np.corrcoef(cloud.ravel(), board.ravel())[0, 1]) < 0.05
    assert cloud.max() - cloud.min() > 50


def test_frost_is_bright_and_uneven() -> None:
    black = flat(0)
    for severity, ice in zip(SEVERITIES, (0.4, 0.6, 0.7, 0.7, 0.75), strict=True):
        out = worn("frost", severity, black).astype(float)
        assert out.max() <= 255 * ice + 1
        assert 0.1 * ice < out.mean() / 255 < 0.7 * ice
        assert out.std() > 15 * ice
        assert out[..., 2].mean() > out[..., 0].mean()  # blue rather than red


def test_spatter_is_water_then_mud() -> None:
    image = flat(120)
    covered = []
    for severity in SEVERITIES:
        out = worn("spatter", severity, image).astype(int)
        changed = np.abs(out - 120).max(axis=2) > 3
        covered.append(changed.mean())
        drops = out[changed]
        if severity <= 3:
            assert (drops >= 120).all()
        else:
            assert drops[:, 0].mean() > drops[:, 1].mean() > drops[:, 2].mean()
            assert drops.mean() < 70
    assert 0.005 < covered[0] < covered[1] < covered[2] < 0.5
    assert 0.05 < covered[3] < covered[4] < 0.5


def test_rubber_is_warped_finer_and_further() -> None:
    """Places told by a slope: how far neighbours part grows from 3 to 5; 1 and 2 pull the whole picture."""
    slope = np.repeat(np.tile(np.arange(224), (224, 1))[..., None], 3, axis=2).astype(np.uint8)
    inner = np.s_[60:-60, 60:-60, 0]
    parted, moved = [], []
    for severity in SEVERITIES:
        out = [worn("elastic_transform", severity, slope, s)[inner].astype(float) for s in "abcdefgh"]
        parted.append(np.mean([np.diff(o, axis=1).std() for o in out]))
        moved.append(np.mean([np.abs(o - slope[inner]).mean() for o in out]))
    assert parted[2] < parted[3] < parted[4]
    assert min(moved[:2]) > 3 * max(moved[2:])
    assert moved[1] > moved[0]


def test_sampling_is_scipys() -> None:
    pixels = pictures.small().astype(float)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-40, 60, (16, 24)), rng.uniform(-30, 40, (16, 24))
    found = _sampled(pixels, x, y)
    for c in range(3):
        expected = ndimage.map_coordinates(pixels[..., c], [y, x], order=1, mode="mirror")
        np.testing.assert_allclose(found[..., c], expected, atol=1e-9)


def test_pixels_become_blocks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for severity, keep in zip(SEVERITIES, (0.6, 0.5, 0.4, 0.3, 0.25), strict=True):
        out = worn("pixelate", severity, image)
        rows = 1 + (np.diff(out[..., 0].astype(int), axis=0) != 0).any(axis=1).sum()
        assert rows == int(224 * keep)


@pytest.mark.parametrize(
    ("severity", "change"), list(enumerate(((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)), 1))
)
def test_saturation_is_that_of_colorsys(severity: int, change: tuple[float, float]) -> None:
    image = pictures.small()
    image[0, :2] = [[90] * 3, [0] * 3]  # a grey pixel is red, as published; a black one stays black
    out = worn("saturate", severity, image).astype(float)
    for pixel, found in zip(image.reshape(-1, 3).tolist(), out.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(v / 255 for v in pixel))
        stronger = min(1, saturation * change[0] + change[1])
        expected = np.array(colorsys.hsv_to_rgb(hue, stronger, value)) * 255
        assert np.abs(found - np.floor(expected + 1e-6)).max() == 0


@pytest.mark.parametrize("name", ["defocus_blur", "zoom_blur", "pixelate", "glass_blur", "fog"])
def test_the_same_of_a_larger_picture_is_the_same_larger(name: str) -> None:
    """Lengths are in units of the picture: corrupting and enlarging may change places."""
    small = np.asarray(Image.fromarray(pictures.wide()).resize((224, 224), Image.Resampling.BILINEAR))
    large = np.asarray(Image.fromarray(small).resize((448, 448), Image.Resampling.BILINEAR))
    back = Image.fromarray(worn(name, 3, large)).resize((224, 224), Image.Resampling.BOX)
    error = np.mean((np.asarray(back, float) - worn(name, 3, small)) ** 2)
    unscaled = np.mean((small.astype(float) - worn(name, 3, small)) ** 2)
    assert error < 0.35 * unscaled

"""Kernels, convolution and fields against slow references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from eval.corruptions.blur import jitter, shuffled
from eval.corruptions.fields import (
    convolved,
    disc,
    gaussian,
    levels,
    planes,
    plasma,
    smooth_field,
    streak,
    unit,
)
from models.results import Array


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 1), (13, 9, 3), (31, 40, 1)])
def test_convolution_is_scipys(shape: tuple[int, int, int]) -> None:
    pixels = rng().random(shape)
    kernels = [rng(1).random((5, 9)), rng(2).random((3, 3))]
    padded = np.pad(pixels, ((3, 3), (5, 5), (0, 0)), mode="edge")  # repeated once, for both
    expected = padded
    for kernel in kernels:
        expected = np.stack(
            [ndimage.convolve(expected[..., c], kernel, mode="nearest") for c in range(shape[2])], axis=2
        )
    np.testing.assert_allclose(convolved(pixels, kernels[0]), single(pixels, kernels[0]), atol=1e-12)
    np.testing.assert_allclose(convolved(pixels, *kernels), expected[3:-3, 5:-5], atol=1e-11)


def single(pixels: Array, kernel: Array) -> Array:
    planes_ = [ndimage.convolve(pixels[..., c], kernel, mode="nearest") for c in range(pixels.shape[2])]
    return np.stack(planes_, axis=2)


@pytest.mark.parametrize("kernel", [gaussian(0.2), gaussian(3.3), disc(0.9), disc(10), streak(20, 3, 30)])
def test_kernels_sum_to_one_and_have_a_centre(kernel: Array) -> None:
    assert kernel.sum() == pytest.approx(1)
    assert kernel.min() >= 0
    assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1


def test_a_disc_has_the_moments_of_a_disc() -> None:
    for radius in (2.0, 5.5, 17.0):
        kernel = disc(radius)
        x = np.arange(len(kernel)) - len(kernel) // 2
        assert (kernel.sum(axis=0) * x**2).sum() == pytest.approx(radius**2 / 4 + 1 / 12, rel=0.05)


@pytest.mark.parametrize(
    ("degrees", "right", "up"), [(0, 1, 0), (90, 0, 1), (-90, 0, -1), (45, 0.5**0.5, 0.5**0.5)]
)
def test_a_streak_goes_where_it_is_told(degrees: float, right: float, up: float) -> None:
    kernel = streak(40, 10, degrees)
    place = np.arange(len(kernel)) - len(kernel) // 2
    mean = 10 * math.sqrt(2 / math.pi)  # of a half-normal
    assert (kernel.sum(axis=0) * place).sum() == pytest.approx(mean * right, abs=0.2)
    assert (kernel.sum(axis=1) * place).sum() == pytest.approx(-mean * up, abs=0.2)


@pytest.mark.parametrize("spread", [0.3, 2.0, 6.0])
def test_a_smooth_field_is_normal_and_smooth(spread: float) -> None:
    field = np.stack([smooth_field((90, 150), spread, rng(seed)) for seed in range(20)])
    assert field.mean() == pytest.approx(0, abs=0.1)
    assert field.var() == pytest.approx(1, abs=0.1)
    lag = 3
    near = (field[:, :, lag:] * field[:, :, :-lag]).mean()
    assert near == pytest.approx(math.exp(-(lag**2) / (4 * spread**2)), abs=0.1)


def slow_plasma(side: int, decay: float, generator: np.random.Generator) -> Array:
    """Diamond and square, a point at a time; the draws in the order of the fast one."""
    cloud = np.zeros((side, side))
    step, height = side, 1.0
    while step >= 2:
        half = step // 2
        for first_row, first_column, corners in (
            (half, half, [(-half, -half), (-half, half), (half, -half), (half, half)]),
            (0, half, [(0, -half), (0, half), (-half, 0), (half, 0)]),
            (half, 0, [(0, -half), (0, half), (-half, 0), (half, 0)]),
        ):
            count = side // step
            lift = generator.uniform(-height, height, (count, count))
            for i in range(count):
                for j in range(count):
                    row, column = first_row + i * step, first_column + j * step
                    near = [cloud[(row + a) % side, (column + b) % side] for a, b in corners]
                    cloud[row, column] = sum(near) / 4 + lift[i, j]
        step, height = half, height / decay**2
    share: Array = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    return share


@pytest.mark.parametrize(("side", "decay"), [(2, 2.0), (32, 2.0), (64, 1.4)])
def test_plasma_is_diamond_and_square(side: int, decay: float) -> None:
    np.testing.assert_allclose(plasma(side, decay, rng(3)), slow_plasma(side, decay, rng(3)), atol=1e-12)


def swapped(side: int, reach: int, times: int) -> Array:
    """The published mixing of glass_blur: swaps one after the other. Where each pixel came from."""
    generator, came = rng(), np.arange(side * side).reshape(side, side)
    for _ in range(times):
        offsets = generator.integers(-reach, reach, (side, side, 2))
        for h in range(side - reach - 1, reach, -1):
            for w in range(side - reach - 1, reach, -1):
                dy, dx = offsets[h, w]
                came[h, w], came[h + dy, w + dx] = came[h + dy, w + dx], came[h, w]
    return came


@pytest.mark.parametrize(("reach", "times"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 2)])
def test_shuffling_goes_as_far_as_the_published_swaps(reach: int, times: int) -> None:
    side = 64
    ours = shuffled((side, side), jitter(reach), times, rng(1))
    assert sorted(ours.ravel()) == list(range(side * side))  # none lost, none twice

    def far(came: Array) -> float:
        rows, columns = np.divmod(came, side)
        moved = np.stack([rows - np.arange(side)[:, None], columns - np.arange(side)])[:, 10:-10, 10:-10]
        return float(np.sqrt((moved**2).mean()))

    assert far(ours) == pytest.approx(far(swapped(side, reach, times)), rel=0.1)


def test_levels_do_not_hang_on_the_last_digit() -> None:
    """A whole level stays itself, whatever a machine's sums leave of it."""
    whole = np.arange(256)[None, :, None] / 255
    for off in (0, 1e-12, -1e-12):
        np.testing.assert_array_equal(levels(whole + off)[0, :, 0], np.arange(256))
    image = rng().integers(0, 256, (5, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(levels(planes(image)), image)


def test_units_are_of_the_shorter_side() -> None:
    assert unit(np.zeros((224, 900, 3))) == 1
    assert unit(np.zeros((900, 448, 3))) == 2
    assert unit(np.zeros((28, 28, 3))) == 64 / 224

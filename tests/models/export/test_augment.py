"""Pictures, boxes and label maps are changed together, and only as far as was asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.export.augment import Augment, Window, coloured, cut, moved, shifted, window_of
from models.export.courses.detect import seen_boxes

pytestmark = pytest.mark.torch
SHAPE = (48, 64)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(25))
def test_a_painted_box_is_seen_where_its_box_is(seed: int) -> None:
    """A white rectangle, seen through a window, lies where `seen_boxes` says: picture and label map."""
    rng = np.random.default_rng(seed)
    left, top = rng.integers(0, 40), rng.integers(0, 30)
    right, bottom = left + rng.integers(8, 64 - left + 1), top + rng.integers(8, 48 - top + 1)
    picture = torch.zeros(1, *SHAPE)
    picture[0, top:bottom, left:right] = 255
    window = window_of(SHAPE, Augment(across=True, down=True, zoom=(0.6, 1.8)), draws(seed))
    boxes, labels = seen_boxes(
        np.array([[left, top, right, bottom]], np.float32), np.array([3]), window, SHAPE
    )
    levels = moved(picture, window, smooth=True, fill=0.0)[0]
    classes = moved(picture, window, smooth=False, fill=0.0)[0]
    for seen in (levels > 127, classes > 127):
        rows, cols = np.nonzero(seen.numpy())
        if len(boxes):
            found = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(found, boxes[0], atol=1.01)
        else:  # less than half of it is inside
            assert len(rows) < 0.6 * (right - left) * (bottom - top) * abs(window.scale_x * window.scale_y)
    assert labels.tolist() == [3] * len(boxes)


def test_windows_mirror_zoom_and_stay_still_as_asked() -> None:
    still = window_of(SHAPE, Augment(), draws())
    assert still == Window(1.0, 1.0, 0.0, 0.0)
    picture = torch.rand(3, *SHAPE) * 255
    torch.testing.assert_close(moved(picture, still, smooth=True, fill=114.0), picture, rtol=1e-4, atol=1e-2)
    mirror = Window(-1.0, 1.0, SHAPE[1], 0.0)
    torch.testing.assert_close(
        moved(picture, mirror, smooth=True, fill=0.0), picture.flip(-1), rtol=1e-4, atol=1e-2
    )
    windows = [window_of(SHAPE, Augment(across=True, zoom=(0.5, 2.0)), draws(i)) for i in range(200)]
    scales = np.array([[w.scale_x, w.scale_y] for w in windows])
    assert (scales[:, 1] > 0).all()  # `down` was not asked for
    assert 0.35 < (scales[:, 0] < 0).mean() < 0.65
    assert 0.5 <= np.abs(scales).min() < 0.6
    assert 1.7 < np.abs(scales).max() <= 2.0
    places = [window_of(SHAPE, Augment(zoom=(2.0, 2.0)), draws(i)) for i in range(200)]
    across, down = np.array([[w.offset_x / SHAPE[1], w.offset_y / SHAPE[0]] for w in places]).T
    assert -1 <= across.min() < -0.95 < -0.05 < across.max() <= 0
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.3  # each has a draw of its own


def test_beyond_the_picture_is_the_fill() -> None:
    small = Window(0.5, 0.5, 0.0, 0.0)
    seen = moved(torch.zeros(1, *SHAPE), small, smooth=False, fill=255.0)
    assert (seen[0, :24, :32] == 0).all()
    assert (seen[0, 24:] == 255).all()
    assert (seen[0, :, 32:] == 255).all()


def test_a_stride_takes_every_second_cell() -> None:
    labels = torch.arange(48 * 64).view(1, *SHAPE).float()
    every = moved(labels, Window(1.0, 1.0, 0.0, 0.0), smooth=False, fill=255.0, stride=2)
    assert every.shape == (1, 24, 32)
    near = {float(labels[0, y, x]) for y in (0, 1) for x in (0, 1)}
    assert float(every[0, 0, 0]) in near


def test_shifts_move_whole_pictures_by_whole_pixels() -> None:
    images = torch.rand(40, 2, 8, 9)
    seen = shifted(images, 2, draws())
    offsets = set()
    for one, other in zip(images, seen, strict=True):
        wide = torch.nn.functional.pad(one[None], (2, 2, 2, 2), mode="reflect")[0]
        fits = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(wide[:, y : y + 8, x : x + 9], other)
        ]
        assert len(fits) == 1
        offsets.add(fits[0])
    assert len(offsets) > 10
    assert {y for y, _ in offsets} == {x for _, x in offsets} == set(range(5))


@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_blanks_one_square_of_its_side(side: int) -> None:
    seen = cut(torch.ones(60, 3, 12, 12), side, draws())
    assert (seen.amin(1) == seen.amax(1)).all()  # all channels at once
    sizes = []
    for one in seen[:, 0]:
        rows, cols = np.nonzero(one.numpy() == 0)
        assert len(rows) == (rows.max() - rows.min() + 1) * (cols.max() - cols.min() + 1)
        sizes.append((int(rows.max() - rows.min() + 1), int(cols.max() - cols.min() + 1)))
    whole = side if side % 2 else side - 1  # an odd number of pixels around the middle
    assert max(sizes) == (whole, whole)
    assert min(sizes) <= (whole, whole)


def test_colours_change_within_the_levels_and_not_at_all_at_0() -> None:
    levels = torch.rand(9, 3, 4, 4) * 255
    torch.testing.assert_close(coloured(levels, 0.0, draws()), levels, rtol=1e-5, atol=1e-3)
    seen = coloured(levels, 0.5, draws())
    assert 0 <= seen.min() < seen.max() <= 255
    assert (seen - levels).abs().mean() > 5
    grey = torch.full((9, 3, 4, 4), 100.0)
    assert (coloured(grey, 0.5, draws()).std(dim=(1, 2, 3)) < 1e-3).all()  # grey stays grey

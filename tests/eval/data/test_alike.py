"""Pictures that look the same, against a comparison of all with all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eval.data.alike import DISTANCE, LEVELS, alike, hashes, thumbnail
from models.results import Array
from models.scenes import scene


def slow_thumbnail(image: Array) -> Array:
    height, width = image.shape[:2]
    small = np.zeros((8, 9))
    for i in range(8):
        for j in range(9):
            top, left = i * height // 8, j * width // 9
            bottom, right = max((i + 1) * height // 8, top + 1), max((j + 1) * width // 9, left + 1)
            part = image[top:bottom, left:right].reshape(-1, 3).astype(float)
            small[i, j] = part.mean(axis=0) @ [0.299, 0.587, 0.114]
    return small


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
def test_a_thumbnail_is_means_of_areas(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert np.abs(thumbnail(image) - slow_thumbnail(image)).max() <= 0.5 + 1e-9


def test_a_hash_says_what_is_brighter_than_its_right_neighbour() -> None:
    small = np.random.default_rng(0).integers(0, 256, (5, 8, 9), np.uint8)
    for found, own in zip(hashes(small), small, strict=True):
        bits = np.unpackbits(np.array([found]).view(np.uint8)).tolist()
        assert bits == [int(own[i, j] > own[i, j + 1]) for i in range(8) for j in range(8)]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(0, 30))
def test_all_pairs_are_found_and_no_other(data: st.DataObject, count: int) -> None:
    """Copies that differ by a few bits and levels, around every limit."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    base = rng.integers(0, 256, (3, 8, 9))
    small = base[rng.integers(0, 3, count)] + rng.integers(-20, 21, (count, 8, 9)) * (
        rng.random((count, 1, 1)) < 0.9
    )
    small = np.clip(small, 0, 255).astype(np.uint8)
    own = hashes(small)
    want = [
        (i, j, int(own[i] ^ own[j]).bit_count())
        for i in range(count)
        for j in range(i + 1, count)
        if int(own[i] ^ own[j]).bit_count() <= DISTANCE
        and np.abs(small[i].astype(int) - small[j].astype(int)).mean() <= LEVELS
    ]
    found = alike(small)
    assert (
        list(zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True)) == want
    )


@pytest.mark.parametrize("row", range(8))
def test_pairs_that_are_equal_in_one_byte_only(row: int) -> None:
    """Seven rows differ by one step each; the hash of a row is one byte."""
    steps = np.where(np.random.default_rng(row).random((8, 8)) < 0.5, 2, -2)
    changed = steps.copy()
    changed[np.arange(8) != row, 4] *= -1
    small = np.stack([np.pad(s.cumsum(axis=1), ((0, 0), (1, 0))) + 128 for s in (steps, changed)])
    found = alike(small.astype(np.uint8))
    assert list(zip(found.first, found.second, found.distance, strict=True)) == [(0, 1, DISTANCE)]


def test_flat_pictures_are_alike_only_where_they_are_as_bright() -> None:
    small = np.stack([np.full((8, 9), level, np.uint8) for level in (0, 9, 100, 250)])
    found = alike(small)
    assert list(zip(found.first, found.second, found.distance, strict=True)) == [(0, 1, 0)]


@pytest.mark.parametrize("change", ["smaller", "brighter", "noise"])
def test_a_picture_that_was_changed_a_little(change: str) -> None:
    images = [scene(i).image for i in range(12)]
    rng = np.random.default_rng(0)
    changes: dict[str, Callable[[Array], Array]] = {
        "smaller": lambda x: np.asarray(Image.fromarray(x).reduce(2)),
        "brighter": lambda x: np.clip(x.astype(int) + 4, 0, 255).astype(np.uint8),
        "noise": lambda x: np.clip(x + rng.normal(0, 3, x.shape), 0, 255).astype(np.uint8),
    }
    changed = changes[change]
    small = np.stack([thumbnail(x) for x in [*images, *(changed(x) for x in images)]])
    found = alike(small)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs <= {(i, i + 12) for i in range(12)}
    assert len(pairs) >= 10  # where a scene is flat, its hash is noise

"""Scenes are the same everywhere, and what is said of them is exactly true."""

from __future__ import annotations

import numpy as np
import pytest

from models.scenes import CLASSES, LEAST_VISIBLE, Scene, scene

SOME = [scene(i) for i in range(40)]


def test_the_same_scene_whenever_it_is_asked_for() -> None:
    again = scene(7)
    for name in Scene.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(SOME[7], name))


def test_splits_and_seeds_are_apart() -> None:
    for other in (scene(0, split="train"), scene(0, seed=1), scene(1)):
        assert other.image.shape != SOME[0].image.shape or (other.image != SOME[0].image).any()


@pytest.mark.parametrize("drawn", SOME[:10], ids=lambda s: str(s.image.shape))
def test_shapes_and_types(drawn: Scene) -> None:
    height, width, _ = drawn.image.shape
    count = len(drawn.labels)
    assert drawn.image.dtype == np.uint8
    assert height < width  # never square
    assert drawn.boxes.shape == (count, 4)
    assert drawn.masks.shape == (count, height, width)
    assert drawn.semantic.shape == (height, width)


@pytest.mark.parametrize("drawn", SOME, ids=range(len(SOME)))
def test_boxes_are_tight_and_masks_agree(drawn: Scene) -> None:
    assert drawn.masks.sum(axis=0).max(initial=0) <= 1  # disjoint
    semantic = np.zeros_like(drawn.semantic)
    for box, label, mask in zip(drawn.boxes, drawn.labels, drawn.masks, strict=True):
        rows, cols = np.nonzero(mask)
        assert box.tolist() == [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        semantic[mask] = 1 + label
    np.testing.assert_array_equal(semantic, drawn.semantic)


def test_every_class_is_drawn_and_some_objects_hide_others() -> None:
    labels = np.concatenate([s.labels for s in SOME])
    assert set(labels.tolist()) == set(range(len(CLASSES)))
    overlaps = 0
    for s in SOME:
        x1, y1 = np.maximum(s.boxes[:, None, :2], s.boxes[None, :, :2]).transpose(2, 0, 1)
        x2, y2 = np.minimum(s.boxes[:, None, 2:], s.boxes[None, :, 2:]).transpose(2, 0, 1)
        overlaps += int(np.triu((x2 > x1) & (y2 > y1), 1).sum())
    assert overlaps > len(SOME) / 4
    assert 0 < LEAST_VISIBLE < 1


def test_a_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        scene(-1)

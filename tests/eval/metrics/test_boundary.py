"""Boundary IoU against erosion step by step, mask by mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from eval.metrics.boundary import BoundaryMetric, boundaries, thickness
from models.results import Array, Segmentation
from tests.eval.metrics.oracles import by_name, values

CLASSES = 4


def outline(mask: Array, thick: int) -> Array:
    """As the authors do it: pad by one, erode 3 x 3 `thick` times, take the rest."""
    padded = np.pad(mask, 1)
    for _ in range(thick):
        padded = ndimage.binary_erosion(padded, np.ones((3, 3)), border_value=1)
    found: Array = mask & ~padded[1:-1, 1:-1]
    return found


def drawn(seed: int, void: bool = True) -> tuple[Array, Array]:
    """Blocks of classes, some pixels flipped, some void."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    coarse = rng.integers(0, CLASSES - 1, (height // 6 + 1, width // 6 + 1))
    truth = np.kron(coarse, np.ones((6, 6), int))[:height, :width]
    guess = np.where(rng.random(truth.shape) < 0.05, CLASSES - 1, np.roll(truth, 1, axis=1))
    if void:
        truth = np.where(rng.random(truth.shape) < 0.03, 255, truth)
    return guess, truth


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_outlines_are_what_erosion_takes(seed: int, thick: int) -> None:
    labels, _ = drawn(seed)
    found = boundaries(labels, thick)
    for label in range(CLASSES):
        mask = labels == label
        assert (found & mask == outline(mask, thick)).all()


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_masks_one_by_one(seed: int, share: float) -> None:
    pairs = [drawn(seed * 10 + i) for i in range(5)]
    metric = BoundaryMetric([f"c{k}" for k in range(CLASSES)], share=share, resamples=0)
    metric.update([Segmentation(guess) for guess, _ in pairs], [truth for _, truth in pairs])
    both, either = np.zeros(CLASSES), np.zeros(CLASSES)
    for guess, truth in pairs:
        thick = max(1, round(share * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2)))
        for k in range(CLASSES):
            mine, real = (outline((m == k) & (truth != 255), thick) for m in (guess, truth))
            both[k] += (mine & real).sum()
            either[k] += (mine | real).sum()
    expected = [b / e if e else None for b, e in zip(both.tolist(), either.tolist(), strict=True)]
    ours = values(metric)
    assert [ours[f"boundary_iou.class.c{k}"] for k in range(CLASSES)] == expected
    there = [value for value in expected if value is not None]
    assert ours["boundary_iou"] == pytest.approx(np.mean(there), abs=1e-12)
    assert by_name(metric)["boundary_iou.class.c0"].support == either[0]


def test_the_thickness_is_the_authors() -> None:
    assert [thickness(*shape) for shape in ((1, 1), (500, 500), (360, 480), (1024, 2048))] == [1, 14, 12, 46]


def test_an_eroded_object_keeps_its_iou_and_loses_its_outline() -> None:
    """What the number is for: one ring of pixels of a large disc."""
    y, x = np.mgrid[:200, :200]
    distance = np.hypot(y - 100, x - 100)
    truth, guess = (distance < 80).astype(int), (distance < 76).astype(int)
    metric = BoundaryMetric(["rest", "disc"], resamples=0)
    metric.update([Segmentation(guess)], [truth])
    iou = (guess & truth).sum() / (guess | truth).sum()
    outlines = values(metric)["boundary_iou.class.disc"]
    assert iou > 0.9
    assert outlines is not None
    assert outlines < 0.4


def test_a_perfect_answer_has_one_whatever_is_void() -> None:
    _, truth = drawn(3)
    metric = BoundaryMetric([f"c{k}" for k in range(CLASSES)], resamples=0)
    metric.update([Segmentation(np.where(truth == 255, 0, truth))], [truth])
    assert {s.value for s in metric.compute()} <= {1.0, None}
    assert metric.compute()[0].value == 1.0


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_turning_and_mirroring_changes_nothing(seed: int) -> None:
    guess, truth = drawn(seed)
    found = []
    for turn in (lambda m: m, np.fliplr, np.flipud, np.transpose):
        metric = BoundaryMetric([f"c{k}" for k in range(CLASSES)], resamples=0)
        metric.update([Segmentation(turn(guess))], [turn(truth)])
        found.append(metric.compute())
    assert all(scores == found[0] for scores in found)


def test_what_does_not_fit_is_refused() -> None:
    metric = BoundaryMetric("ab", resamples=0)
    with pytest.raises(ValueError, match=r"predicted pixels must be in \[0, 2\), got 2 to 2"):
        metric.update([Segmentation(np.array([[2]]))], [np.array([[0]])])
    with pytest.raises(ValueError, match="like the truth"):
        metric.update([Segmentation(np.array([[0]]))], [np.array([[0, 1]])])
    assert metric.compute()[0].value is None

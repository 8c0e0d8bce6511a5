"""Answers and truths side by side, checked before anything is counted."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from operator import index

import numpy as np

from models.results import Array, Classification

__all__ = ["label_maps", "require_pairs", "scores_and_truth"]


def require_pairs(predicted: Sized, expected: Sized) -> None:
    """Raises ValueError if the two differ in length."""
    if len(predicted) != len(expected):
        raise ValueError(f"predicted and expected must pair up, got {len(predicted)} and {len(expected)}")


def scores_and_truth(
    predicted: Sequence[Classification], expected: Sequence[int], classes: int
) -> tuple[Array, Array]:
    """Scores `(N, classes)` as answered and int64 labels `(N,)`, as arrays.

    Raises:
        ValueError: unequal lengths, another number of classes, or a class that does not exist.
    """
    require_pairs(predicted, expected)
    widths = sorted({len(answer.scores) for answer in predicted} - {classes})
    if widths:
        raise ValueError(f"scores must have {classes} classes, got {widths}")
    truth = np.array([index(label) for label in expected], np.int64)
    if truth.size and (truth.min() < 0 or truth.max() >= classes):
        raise ValueError(f"expected labels must be in [0, {classes}), got {truth.min()} to {truth.max()}")
    return np.array([answer.scores for answer in predicted]).reshape(-1, classes), truth


def label_maps(predicted: Array, expected: Array, classes: int, ignore: int) -> tuple[Array, Array]:
    """Both label maps `(H, W)` in the smallest integers, with `classes` wherever the truth is `ignore`.

    Raises:
        ValueError: unequal shapes, a truth that is not integers, or a pixel that is no class.
    """
    if predicted.shape != expected.shape:
        raise ValueError(f"predicted map must be {expected.shape} like the truth, got {predicted.shape}")
    if not np.issubdtype(expected.dtype, np.integer):
        raise ValueError(f"expected map must be integers, got {expected.dtype}")
    void = expected == ignore
    for name, pixels in (("predicted", predicted), ("expected", expected[~void])):
        if pixels.size and (pixels.min() < 0 or pixels.max() >= classes):
            span = f"{pixels.min()} to {pixels.max()}"
            raise ValueError(f"{name} pixels must be in [0, {classes}), got {span}")
    small = np.min_scalar_type(classes)
    guess, truth = (
        labels.astype(small) for labels in (predicted, expected)
    )  # void may wrap, and is replaced
    guess[void] = truth[void] = classes
    return guess, truth

"""Parity notices what differs, and refuses what cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest

from eval.errors import DatasetError
from eval.parity import difference
from models.results import Classification, Detections, Result, Segmentation

SCORES = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
CLASSES: list[Result] = [Classification(row) for row in SCORES]


def objects(*scores: float) -> Detections:
    column = np.array(scores, np.float32)
    return Detections(np.zeros((len(column), 4), np.float32), column, np.zeros(len(column), np.int64))


def test_probabilities() -> None:
    assert difference(CLASSES, {"probabilities": SCORES}) == 0
    moved = SCORES + np.array([[0, 0], [0.125, 0]], np.float32)
    assert difference(CLASSES, {"probabilities": moved}) == 0.125


def test_objects() -> None:
    recorded = {"scores": np.array([0.75, 0.5, 0.01], np.float32), "counts": np.array([1, 2])}
    assert difference([objects(0.75), objects(0.5, 0.02)], recorded) == 0
    assert difference([objects(0.5), objects(0.5)], recorded) == 0.25
    assert difference([objects(0.75, 0.5), objects()], recorded) == 1


def test_label_maps() -> None:
    maps: list[Result] = [Segmentation(np.array([[0, 1], [2, 0]]))]
    assert difference(maps, {"labels": np.array([0, 1, 2, 0]), "sizes": np.array([[2, 2]])}) == 0
    assert difference(maps, {"labels": np.array([0, 1, 2, 1]), "sizes": np.array([[2, 2]])}) == 0.25


def test_what_cannot_be_compared() -> None:
    for recorded in ({}, {"probabilities": SCORES[:1]}, {"labels": SCORES}):
        with pytest.raises(DatasetError, match="not of these answers"):
            difference(CLASSES, recorded)

"""What is sent to measure speed suits the model: pixels where they may, one size where they must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.data.dataset import Dataset, Sample
from eval.optimise import measure
from eval.optimise.measure import asks_of
from eval.optimise.speed import Ask
from models.decoding import encode_png
from models.repository import read_version

SIZES = ((6, 8), (6, 9), (6, 8), (7, 8))


def data(sizes: tuple[tuple[int, int], ...]) -> Dataset:
    files = [encode_png(np.full((*size, 3), i, np.uint8)) for i, size in enumerate(sizes)]
    ids = [str(i) for i in range(len(files))]
    return Dataset("made", "classification", ("a",), ids, lambda i: Sample(ids[i], files[i], 0))


def tensor(ask: Ask) -> dict[str, Any]:
    (told,) = json.loads(ask.body[: ask.head])["inputs"]
    found: dict[str, Any] = told
    return found


@pytest.mark.parametrize("name", ["lamp", "frame"])
def test_pictures_of_several_sizes_go_as_files(name: str, repository: Path) -> None:
    many, one, sent = asks_of(read_version(repository / name / "1").card, data(SIZES), 6)
    assert (tensor(many)["datatype"], many.images, one.images) == ("BYTES", 6, 1)
    assert sent == "the files as they are"


def test_a_segmenter_gets_the_most_frequent_size(repository: Path) -> None:
    many, one, sent = asks_of(read_version(repository / "shade" / "1").card, data(SIZES), 6)
    assert tensor(many)["shape"] == [6, 6, 8, 3]
    assert tensor(one)["shape"] == [1, 6, 8, 3]
    assert sent == "raw uint8 pixels 6 x 8"
    levels = np.frombuffer(many.body[many.head :], np.uint8).reshape(6, -1)[:, 0]
    assert levels.tolist() == [0, 2, 0, 0, 2, 0]  # pictures 0 and 2 of each turn


def test_a_request_never_has_more_pixels_than_a_service_takes(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_version(repository / "lamp" / "1").card
    monkeypatch.setattr(measure, "MOST_PIXELS", 100)
    many, _, _ = asks_of(card, data(((6, 8),)), 8)
    assert many.images == 2
    monkeypatch.setattr(measure, "MOST_PIXELS", 10)
    assert asks_of(card, data(((6, 8),)), 8)[0].images == 1

"""Pictures are drawn by the seed, and none is both calibrated and measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.data.dataset import Dataset, Sample
from eval.errors import EvalError
from eval.optimise.plan import BOUNDS, Plan, drawn, pictures
from models.decoding import encode_png
from models.repository import read_version


def numbered(count: int) -> Dataset:
    ids = [f"n{i}" for i in range(count)]
    return Dataset("numbers", "classification", ("a",), ids, lambda i: Sample(ids[i], bytes([i]), 0))


def test_a_draw_is_without_replacement_and_repeats() -> None:
    data = drawn(numbered(100), 30, 7)
    assert len(set(data.ids)) == len(data) == 30
    assert [sample.id for sample in data] == list(data.ids)
    assert list(drawn(numbered(100), 30, 7).ids) == list(data.ids)
    assert list(drawn(numbered(100), 30, 8).ids) != list(data.ids)
    assert max(int(i[1:]) for i in data.ids) > 60  # not the first class only


def test_all_of_them_stay_as_they_are() -> None:
    data = numbered(5)
    assert drawn(data, None, 0) is data
    assert drawn(data, 5, 0) is data


@pytest.mark.parametrize(("name", "least", "most"), BOUNDS)
def test_numbers_out_of_bounds_are_refused(name: str, least: float, most: float) -> None:
    for value in (least - 1, most + 1):
        told: dict[str, Any] = {name: value}
        with pytest.raises(EvalError, match=f"{name} must be"):
            Plan("c", "d", **told)


def classes(root: Path, seeds: dict[str, list[int]]) -> str:
    for label, numbers in seeds.items():
        (root / label).mkdir(parents=True)
        for number in numbers:
            image = np.full((8, 8, 3), number, np.uint8)
            (root / label / f"{number}.png").write_bytes(encode_png(image))
    return f"folder:{root}"


def test_a_picture_in_both_is_refused(tmp_path: Path, repository: Path) -> None:
    card = read_version(repository / "lamp" / "1").card
    first = classes(tmp_path / "a", {"dim": [1, 2], "light": [200, 201]})
    second = classes(tmp_path / "b", {"dim": [2, 3], "light": [202, 203]})
    third = classes(tmp_path / "c", {"dim": [5], "light": [210]})
    with pytest.raises(EvalError, match="1 of 4 are in both"):
        pictures(card, Plan(first, second))
    ranges, measured = pictures(card, Plan(first, third))
    assert (len(ranges), len(measured)) == (4, 2)
    assert [sample.expected for sample in measured] == [0, 1]

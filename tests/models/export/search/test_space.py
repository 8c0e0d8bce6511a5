"""A space is read strictly, its ends are inside, and its fields must be the recipe's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.export.recipe import RecipeError, recipe_named
from models.export.search.space import Range, Space, applied, read_space
from models.export.search.ways import WAYS, Random

pytestmark = pytest.mark.torch
SPACE: Space = {
    "settings.rate": Range(low=1e-4, high=1e-1, log=True, points=4),
    "settings.batch": Range(low=8, high=12, whole=True, points=2),
    "settings.optimiser": ["sgd", "adam"],
}


def test_a_file_is_read_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "settings.rate: {low: 1.0e-4, high: 1.0e-1, log: true, points: 4}\n"
        "settings.batch: {low: 8, high: 12, whole: true, points: 2}\n"
        "settings.optimiser: [sgd, adam]\n"
    )
    assert read_space(path) == SPACE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {low: 2, high: 1}", "a.*high must be above low, got 2 and 1"),
        ("a: {low: 0, high: 1, log: true}", "a.*low must be above 0"),
        ("a: {low: 0.5, high: 2, whole: true}", "a.*must be whole, got 0.5 and 2"),
        ("a: {low: 0, high: 1, step: 1}", "a"),
        ("a: 3", "a"),
        ("a: []", "at least one field, each with"),
        ("{}", "at least one field"),
        ("- a", "space.yaml"),
        ("a: [", "must be a YAML file"),
    ],
)
def test_what_is_no_space_is_refused_on_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as found:
        read_space(path)
    assert "\n" not in str(found.value)
    assert "space.yaml" in str(found.value)


def test_grids_are_evenly_spaced_and_have_both_ends() -> None:
    assert Range(low=1e-4, high=1e-1, log=True, points=4).grid() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert Range(low=0, high=1, points=3).grid() == [0, 0.5, 1]
    assert Range(low=1, high=3, whole=True, points=9).grid() == [1, 2, 3]  # each once


def test_the_grid_is_every_combination_once(tmp_path: Path) -> None:
    grid = WAYS["grid"](SPACE, 0, tmp_path, larger=True)
    assert grid.most == 4 * 2 * 2
    trials = [grid.ask(i) for i in range(16)]
    assert len({tuple(t.values()) for t in trials}) == 16
    assert trials[0] == {"settings.rate": 1e-4, "settings.batch": 8, "settings.optimiser": "sgd"}
    assert trials[1]["settings.optimiser"] == "adam"


def test_random_draws_are_the_spaces_and_the_seeds(tmp_path: Path) -> None:
    one, again, other = (Random(SPACE, seed, tmp_path, larger=True) for seed in (0, 0, 1))
    trials = [one.ask(i) for i in range(300)]
    assert [again.ask(i) for i in (7, 3)] == [trials[7], trials[3]]  # in any order
    assert other.ask(0) != trials[0]
    logs = [math.log10(float(str(t["settings.rate"]))) for t in trials]
    assert np.histogram(logs, 3, (-4, -1))[0] == pytest.approx([100] * 3, abs=30)
    batches = [t["settings.batch"] for t in trials]
    assert {batches.count(b) > 30 for b in range(8, 13)} == {True}
    assert set(batches) == set(range(8, 13))
    assert {t["settings.optimiser"] for t in trials} == {"sgd", "adam"}


@given(low=st.floats(1e-6, 1e3), wide=st.floats(1e-3, 1e3), share=st.floats(0, 1), log=st.booleans())
def test_no_draw_leaves_its_range(low: float, wide: float, share: float, log: bool) -> None:
    one = Range(low=low, high=low + wide, log=log)
    assert one.low <= one.at(share) <= one.high
    assert (one.at(0.0), one.at(1.0)) == pytest.approx((one.low, one.high))


def test_values_are_set_and_what_is_not_there_is_refused() -> None:
    recipe = recipe_named("digits-1")
    values: dict[str, Any] = {"settings.rate": 0.5, "settings.optimiser": "sgd", "net.options.dropout": 0.1}
    found = applied(recipe, values)
    assert (found.settings.rate, found.settings.optimiser) == (0.5, "sgd")
    assert found.net.options == {"dropout": 0.1}
    assert found.model_copy(update={"settings": recipe.settings, "net": recipe.net}) == recipe
    for field in ("settings.speed", "speed", "name.first", "settings.rate.low"):
        with pytest.raises(RecipeError, match=f"digits-1 has no field {field}"):
            applied(recipe, {field: 1})
    with pytest.raises(RecipeError, match=r"settings.rate: Input should be greater than 0"):
        applied(recipe, {"settings.rate": -1})

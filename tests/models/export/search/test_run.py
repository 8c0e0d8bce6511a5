"""A search that was killed goes on to the very trials it would have had, in each of the three ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from models.decoding import decode
from models.export.recipe import Recipe, RecipeError, recipe_named
from models.export.search import run
from models.export.search.run import Plan, search
from models.export.search.space import Range
from models.export.search.ways import Bayes

pytestmark = pytest.mark.torch
PLAN = Plan(
    recipe_named("digits-1"),
    {"settings.rate": Range(low=1e-3, high=1.0, log=True, points=3), "settings.optimiser": ["sgd", "adam"]},
    "random",
    "held_accuracy",
    6,
)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Trainings replaced by a formula: best at rate 0.1 with adam. What was trained is recorded."""
    done: list[dict[str, Any]] = []

    def formula(recipe: Recipe, work: Path, **_: object) -> nn.Module:
        settings = recipe.settings
        done.append({"rate": settings.rate, "optimiser": settings.optimiser})
        if len(done) == kill_at[0]:
            raise KeyboardInterrupt
        figure = 1 / (1 + abs(settings.rate - 0.1)) - 0.1 * (settings.optimiser == "sgd")
        row = {"loss": 1.0, "rate": 0.0, "held_loss": 1 - figure, "held_accuracy": figure, "seconds": 1.0}
        if settings.rate > 0.9:
            row["held_accuracy"] = float("nan")
        (work / recipe.key).mkdir(parents=True, exist_ok=True)
        (work / recipe.key / "curve.json").write_text(json.dumps([row]))
        return nn.Identity()

    kill_at = [0]
    monkeypatch.setattr(run, "trained", formula)
    monkeypatch.setattr(formula, "kill_at", kill_at, raising=False)
    return done


def killed_at(number: int) -> None:
    run.trained.kill_at[0] = number  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["grid", "random", "bayes"])
def test_a_killed_search_goes_on_to_the_same_trials(
    tmp_path: Path, trainings: list[dict[str, Any]], how: str
) -> None:
    plan = replace(PLAN, how=how)
    whole = search(plan, tmp_path / "whole", tmp_path)
    wanted = list(trainings)
    assert len(wanted) == 6
    trainings.clear()
    killed_at(4)
    with pytest.raises(KeyboardInterrupt):
        search(plan, tmp_path / "cut", tmp_path)
    killed_at(0)
    cut = search(plan, tmp_path / "cut", tmp_path)
    assert cut == whole
    assert trainings == [*wanted[:4], *wanted[3:]]  # the killed one again; the finished ones never
    results = [(tmp_path / name / "results.json").read_bytes() for name in ("whole", "cut")]
    assert results[0] == results[1]


def test_more_trials_go_on_from_those_that_are_done(tmp_path: Path, trainings: list[dict[str, Any]]) -> None:
    for how in ("random", "bayes"):
        few = search(replace(PLAN, how=how, trials=3), tmp_path / how, tmp_path)
        trainings.clear()
        more = search(replace(PLAN, how=how, trials=5), tmp_path / how, tmp_path)
        assert len(trainings) == 2
        assert sorted(t.number for t in more) == list(range(5))
        assert sorted(more, key=lambda t: t.number)[:3] == sorted(few, key=lambda t: t.number)


def test_a_grid_ends_where_it_ends(tmp_path: Path, trainings: list[dict[str, Any]]) -> None:
    assert len(search(replace(PLAN, how="grid", trials=100), tmp_path, tmp_path)) == 6
    assert len(trainings) == 6


def test_the_best_is_first_and_its_recipe_reads_back(tmp_path: Path, trainings: list[dict[str, Any]]) -> None:
    ranked = search(replace(PLAN, how="grid"), tmp_path, tmp_path)
    figures = [t.figure for t in ranked]
    assert figures[-2:] == [None, None]  # rate 1: no number
    assert figures[:-2] == sorted((f for f in figures if f is not None), reverse=True)
    best = Recipe.read(tmp_path / "best.yaml")
    assert best.settings.optimiser == "adam"
    assert best.settings.rate == pytest.approx(10**-1.5)
    assert best.model_copy(update={"settings": PLAN.recipe.settings}) == PLAN.recipe
    told = json.loads((tmp_path / "results.json").read_text())
    assert told["trials"][0]["values"] == ranked[0].values
    assert min(decode((tmp_path / "search.png").read_bytes()).shape[:2]) > 200


def test_a_loss_is_better_when_it_is_less(tmp_path: Path, trainings: list[dict[str, Any]]) -> None:
    ranked = search(replace(PLAN, how="random", figure="held_loss"), tmp_path, tmp_path)
    figures = [t.figure for t in ranked if t.figure is not None]
    assert figures == sorted(figures)


def test_bayes_finds_the_place_and_differs_by_seed(tmp_path: Path, trainings: list[dict[str, Any]]) -> None:
    plan = replace(PLAN, how="bayes", trials=16)
    best = search(plan, tmp_path / "a", tmp_path)[0]
    assert best.values["settings.optimiser"] == "adam"
    assert best.values["settings.rate"] == pytest.approx(0.1, abs=0.1)
    late = [t["optimiser"] for t in trainings[11:]]
    assert late.count("adam") > 2  # it learnt where to look
    first = trainings[0]
    trainings.clear()
    search(replace(plan, seed=1, trials=1), tmp_path / "b", tmp_path)
    assert trainings[0] != first


def test_bayes_has_values_of_any_kind(tmp_path: Path) -> None:
    way = Bayes(
        {
            "net.options.widths": [[8, 16], [16, 32]],
            "settings.batch": Range(low=8, high=64, log=True, whole=True),
        },
        0,
        tmp_path,
        larger=True,
    )
    values = way.ask(0)
    assert values["net.options.widths"] in ([8, 16], [16, 32])
    assert isinstance(values["settings.batch"], int)


def test_another_search_in_the_same_folder_is_refused(
    tmp_path: Path, trainings: list[dict[str, Any]]
) -> None:
    search(replace(PLAN, trials=1), tmp_path, tmp_path)
    others: list[Callable[[], Plan]] = [
        lambda: replace(PLAN, seed=1),
        lambda: replace(PLAN, how="grid"),
        lambda: replace(PLAN, space={"settings.rate": [0.1]}),
        lambda: replace(PLAN, recipe=recipe_named("digits-2")),
    ]
    for other in others:
        with pytest.raises(RecipeError, match="has another search"):
            search(other(), tmp_path, tmp_path)


def test_what_cannot_be_is_refused_before_a_training(tmp_path: Path, trainings: list[dict[str, Any]]) -> None:
    with pytest.raises(RecipeError, match=r"digits-1 has no field settings.speed"):
        search(replace(PLAN, space={"settings.speed": [1]}), tmp_path / "a", tmp_path)
    with pytest.raises(RecipeError, match=r"settings.warmup"):
        search(replace(PLAN, space={"settings.warmup": Range(low=0.0, high=2.0)}), tmp_path / "b", tmp_path)
    assert trainings == []
    with pytest.raises(RecipeError, match="has no held_miou; give one of held_accuracy, held_loss"):
        search(replace(PLAN, figure="held_miou"), tmp_path / "c", tmp_path)


def test_real_trainings_are_searched(tmp_path: Path) -> None:
    """Nothing is replaced: two quick trainings of digits, curves and checkpoints where they belong."""
    plan = replace(PLAN, trials=2, quick=True, how="bayes")
    ranked = search(plan, tmp_path, tmp_path)
    for trial in ranked:
        folder = tmp_path / "trials" / f"{trial.number:03d}" / "digits-1"
        (row,) = json.loads((folder / "curve.json").read_text())
        assert row["held_accuracy"] == trial.figure
        assert (folder / "checkpoint.pt").is_file()

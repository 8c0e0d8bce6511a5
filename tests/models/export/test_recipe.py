"""Recipes are read strictly, say what is wrong on one line, and every one of the project can be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.export.recipe import FOLDER, OBJECTIVES, Recipe, RecipeError, recipe_named, recipes
from models.export.words import meanings, rows, table
from models.export.zoo import course_of, net_of

pytestmark = pytest.mark.torch
RECIPES = recipes()


def written(folder: Path, **changed: Any) -> Path:
    """The recipe of digits-1 as a file, with dotted fields (`__`) changed."""
    told = yaml.safe_load((FOLDER / "digits-1.yaml").read_text())
    for field, value in changed.items():
        inside = told
        *path, name = field.split("__")
        for part in path:
            inside = inside.setdefault(part, {})
        inside[name] = value
    path_ = folder / "my.yaml"
    path_.write_text(yaml.safe_dump(told))
    return path_


WRONG = {
    "an unknown word": ({"colour": 1}, "colour: "),
    "an unknown setting": ({"settings__speed": 1}, "settings: words must be of seed, .*, got speed"),
    "an unknown objective": ({"objective__box": 1}, "objective: words must be of loss, .*, got box"),
    "an unknown augmentation": ({"augment__blur": 1}, "augment: words must be of .*, got blur"),
    "text for a number": ({"settings__rate": "fast"}, "settings.rate: "),
    "text in an objective": ({"objective__epsilon": "much"}, "objective.epsilon: "),
    "too small": ({"settings__epochs": 0}, "settings.epochs: "),
    "too large": ({"objective__smoothing": 1.0}, "objective.smoothing: "),
    "no such loss": ({"objective__loss": "hinge"}, "objective.loss: "),
    "no such optimiser": ({"settings__optimiser": "lion"}, "settings.optimiser: "),
    "no such task": ({"task": "poetry"}, "task: "),
    "an impossible input": ({"input__std": [0.0]}, "input: std must not be zero"),
    "a number for a table": ({"objective": 3}, "objective"),
    "a teacher and an adversary": (
        {"objective__teacher": "digits-2", "objective__adversary": "pgd"},
        "objective: teacher must go without an adversary",
    ),
    "no labels and an adversary": (
        {"data__unlabelled": 0.5, "objective__adversary": "pgd"},
        "data.unlabelled must be 0 but for a classifier without adversary, got pgd",
    ),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_on_one_line(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    path = written(tmp_path, **changed)
    with pytest.raises(RecipeError, match=message) as found:
        Recipe.read(path)
    assert str(found.value).startswith(f"{path}: ")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\x00"])
def test_what_is_no_recipe_at_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"my.yaml") as found:
        Recipe.read(path)
    assert "\n" not in str(found.value)


def test_a_missing_field_a_missing_file_and_a_missing_recipe_are_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    told = yaml.safe_load(path.read_text())
    del told["settings"]["seed"]
    path.write_text(yaml.safe_dump(told))
    with pytest.raises(RecipeError, match=r"settings.seed: Field required"):
        Recipe.read(path)
    with pytest.raises(RecipeError, match=r"other.yaml must be a YAML file"):
        recipe_named(str(tmp_path / "other.yaml"))
    with pytest.raises(RecipeError, match=r"no recipe 'nothing-1'; there are: .*digits-1"):
        recipe_named("nothing-1")


def test_missing_data_and_unknown_kinds_are_told_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATA_DIR", str(tmp_path))
    for name in ("cifar10-1", "bccd-1", "camvid-1"):
        with pytest.raises(RecipeError, match=f"{name}: its data is not there .*ASSAY_DATA_DIR"):
            course_of(RECIPES[name])
    with pytest.raises(RecipeError, match=r"data.kind must be one of digits, cifar10, got 'letters'"):
        course_of(Recipe.read(written(tmp_path, data__kind="letters")))
    with pytest.raises(RecipeError, match=r"net must be one of digits, .*: KeyError"):
        net_of(Recipe.read(written(tmp_path, net__kind="large")))
    with pytest.raises(RecipeError, match="unexpected keyword argument 'depth'"):
        net_of(Recipe.read(written(tmp_path, net__options={"depth": 3})))


def test_a_start_or_teacher_that_was_not_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"bccd-1 starts from scenes-detector-1, but .*: make it first"):
        net_of(RECIPES["bccd-1"], tmp_path)
    with pytest.raises(RecipeError, match=r"digits-1 learns from digits-2, but .*: make it first"):
        course_of(Recipe.read(written(tmp_path, objective__teacher="digits-2")), tmp_path)
    with pytest.raises(RecipeError, match="cifar10-1 must have the same labels and input"):
        course_of(Recipe.read(written(tmp_path, objective__teacher="cifar10-1")), tmp_path)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_of_the_project_reads_back_and_its_net_builds(recipe: Recipe, tmp_path: Path) -> None:
    recipe.write(tmp_path / "again.yaml")
    assert Recipe.read(tmp_path / "again.yaml") == recipe
    net = net_of(recipe.model_copy(update={"start": None}))
    parts = [recipe.part, *(one.part for one in recipe.also)]
    assert all(sum(p.numel() for p in net.get_submodule(part).parameters()) > 1000 for part in parts)
    assert isinstance(recipe.objective, OBJECTIVES[recipe.task])


def test_what_starts_from_another_comes_after_it() -> None:
    order = list(RECIPES)
    assert all(order.index(r.start.recipe) < order.index(key) for key, r in RECIPES.items() if r.start)


def test_every_field_is_told() -> None:
    """The table that people read has a meaning for each field that trains."""
    told = table(OBJECTIVES)
    for kind in OBJECTIVES.values():
        for name, _, meaning in rows(kind, "objective"):
            assert meaning, name
    lines = [line.split(" | ") for line in told.splitlines()[2:]]
    assert all(line[-1].strip(" |") for line in lines), [
        line[0] for line in lines if not line[-1].strip(" |")
    ]
    assert {"settings.seed", "data.unlabelled", "net.kind", "start.parts", "augment.zoom"} <= {
        line[0].strip("| `") for line in lines
    }
    assert "| `settings.rate` | required |" in told
    assert "| `settings.average` | `0.998` |" in told
    assert meanings(Recipe)["held_out"].startswith("data that the claims")

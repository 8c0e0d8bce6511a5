"""Trials of a recipe, one after the other: each trained, each kept, the best written as a recipe."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.export.curve import read, verdict
from models.export.recipe import Recipe, RecipeError
from models.export.search.picture import draw_search
from models.export.search.space import Range, Space, Values, applied
from models.export.search.ways import WAYS
from models.export.zoo import trained

__all__ = ["FIGURES", "Plan", "Trial", "search"]

log = logging.getLogger(__name__)
SCHEMA = 1
# What a search can go by, and whether more of it is better.
FIGURES: Mapping[str, bool] = {"held_accuracy": True, "held_miou": True, "held_loss": False}


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a search.

    Attributes:
        figure: of the last epoch; None where the training came to no number.
        fit: what its curve says, see `curve.FIT`.
    """

    number: int
    values: Values
    figure: float | None
    fit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched and how; a search goes on only where the plan is the same, but for `trials`.

    Attributes:
        figure: of the curve, one of `FIGURES`.
        trials: how many; a grid has no more than it has.
    """

    recipe: Recipe
    space: Space
    how: str
    figure: str
    trials: int
    seed: int = 0
    quick: bool = False

    def told(self) -> dict[str, Any]:
        """The plan as plain data."""
        space = {k: v.model_dump() if isinstance(v, Range) else v for k, v in self.space.items()}
        words = {name: getattr(self, name) for name in ("how", "figure", "seed", "quick")}
        return {"schema": SCHEMA, **words, "space": space, "recipe": self.recipe.model_dump(mode="json")}


def search(plan: Plan, out: Path, root: Path) -> list[Trial]:
    """Every trial, the best first. A folder with the same search is gone on with, mid-training too.

    Args:
        out: gets `plan.json`, `trials/NNN/` with curve and checkpoint, `results.json`, `search.png`,
            `best.yaml`.
        root: the repository that starts and teachers are taken from.

    Raises:
        RecipeError: the folder has another search, or a trial cannot be carried out.
    """
    _begin(plan, out)
    larger = FIGURES[plan.figure]
    way = WAYS[plan.how](plan.space, plan.seed, out, larger=larger)
    trials: list[Trial] = []
    for number in range(min(plan.trials, way.most or plan.trials)):
        trial = _one(plan, number, way.ask(number), out / "trials" / f"{number:03d}", root)
        way.tell(number, trial.figure)
        trials.append(trial)
        log.info("trial %d: %s %s with %s", number, plan.figure, trial.figure, trial.values)
        _write(plan, _ranked(trials, larger=larger), out)
    logs = {name for name, one in plan.space.items() if isinstance(one, Range) and one.log}
    told = [(t.number, t.values, t.figure) for t in trials]
    draw_search(told, out / "search.png", figure=plan.figure, larger=larger, logs=logs)
    return _ranked(trials, larger=larger)


def _begin(plan: Plan, out: Path) -> None:
    """Refuse a folder of another search; prove that every field of the space is there."""
    for place in (0, -1):
        ends = {k: v.at(abs(place)) if isinstance(v, Range) else v[place] for k, v in plan.space.items()}
        applied(plan.recipe, ends)
    path, told = out / "plan.json", json.dumps(plan.told(), indent=1, allow_nan=False) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != told:
        raise RecipeError(f"{out} has another search; give another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(told, encoding="utf-8")


def _one(plan: Plan, number: int, values: Values, folder: Path, root: Path) -> Trial:
    """A trial that was kept, or a new one; a kill leaves the training's checkpoint to go on from."""
    path = folder / "trial.json"
    if path.is_file():
        return Trial(**json.loads(path.read_text(encoding="utf-8")))
    recipe = applied(plan.recipe, values)
    trained(recipe, folder, root=root, quick=plan.quick)
    curve = read(folder / recipe.key)
    if plan.figure not in curve[-1]:
        there = ", ".join(name for name in FIGURES if name in curve[-1])
        raise RecipeError(f"the curve of {recipe.key} has no {plan.figure}; give one of {there}")
    figure = curve[-1][plan.figure]
    seconds = sum(row["seconds"] for row in curve)
    trial = Trial(number, values, figure if math.isfinite(figure) else None, verdict(curve), seconds)
    part = folder / "trial.part"
    part.write_text(json.dumps(asdict(trial), allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)
    return trial


def _ranked(trials: Sequence[Trial], *, larger: bool) -> list[Trial]:
    """The best first; those without a figure last; equals in the order they were tried."""

    def rank(trial: Trial) -> float:
        if trial.figure is None:
            return math.inf
        return -trial.figure if larger else trial.figure

    return sorted(trials, key=rank)


def _write(plan: Plan, ranked: Sequence[Trial], out: Path) -> None:
    told = {"schema": SCHEMA, "figure": plan.figure, "how": plan.how, "trials": [asdict(t) for t in ranked]}
    (out / "results.json").write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    applied(plan.recipe, ranked[0].values).write(out / "best.yaml")

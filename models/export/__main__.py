"""Train and export models from recipes; search for better settings; look at learning curves."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from models.export.curve import FIT, draw, read, verdict
from models.export.recipe import OBJECTIVES, RecipeError, recipe_named, recipes
from models.export.words import table
from models.export.zoo import make

__all__ = ["main"]

ZOO = Path("models/zoo")
RAW = argparse.RawDescriptionHelpFormatter
EXAMPLES = """\
examples:
  python -m models.export digits-1                   train, export, prove and publish; `train` may be left out
  python -m models.export my.yaml --out /tmp/zoo     the same of a recipe of your own
  python -m models.export all                        every shipped version whose data is there
  python -m models.export list                       the recipes there are
  python -m models.export search digits-1 space.yaml --how bayes --trials 20 --out runs/search
  python -m models.export curve runs/train/digits-1  draw a curve, also of a training that still runs
  python -m models.export fields                     every field of a recipe, as a table

exit codes: 0 done, 1 it could not be done (one line says why), 2 wrong usage"""
SPACE = """\
SPACE is a YAML file of dotted fields of the recipe, each a range or a list of values:

  settings.rate: {low: 1.0e-4, high: 1.0e-2, log: true, points: 5}   # points: of a grid
  settings.batch: {low: 16, high: 128, log: true, whole: true}
  net.options.dropout: [0.0, 0.1, 0.2]

The folder gets results.json, search.png, best.yaml, and each trial's curve and checkpoint. A search that was
killed goes on where it was when the same command is given again; more --trials go on from those done."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m models.export", None, __doc__, EXAMPLES, formatter_class=RAW)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train, export, prove and publish (the default)")
    train.add_argument(
        "which", nargs="+", metavar="RECIPE", help="by name, a YAML file, or `all` shipped ones"
    )
    train.add_argument(
        "--out", type=Path, default=ZOO, help="repository that gets them (default: %(default)s)"
    )
    train.add_argument(
        "--work", type=Path, default=Path("runs/train"), help="checkpoints and curves (default: %(default)s)"
    )
    train.add_argument("--quick", action="store_true", help="one epoch on few pictures: does it run?")
    train.set_defaults(run=_train)
    commands.add_parser("list", help="the recipes of the project").set_defaults(run=_list)
    search = commands.add_parser("search", help="try settings", epilog=SPACE, formatter_class=RAW)
    search.add_argument("recipe", metavar="RECIPE", help="by name, or a YAML file")
    search.add_argument("space", metavar="SPACE", type=Path, help="what is tried; see below")
    search.add_argument(
        "--how", choices=("grid", "random", "bayes"), default="random", help="default: random"
    )
    search.add_argument("--trials", type=_count, default=20, help="most trainings (default: %(default)s)")
    search.add_argument("--figure", help="held_accuracy, held_miou or held_loss (default: by task)")
    search.add_argument("--seed", type=int, default=0, help="of the search (default: %(default)s)")
    search.add_argument("--out", type=Path, required=True, help="folder of the search")
    search.add_argument("--zoo", type=Path, default=ZOO, help="where starts and teachers come from")
    search.add_argument("--quick", action="store_true", help="one epoch on few pictures a trial")
    search.set_defaults(run=_search)
    curve = commands.add_parser("curve", help="draw curve.png of a training", epilog=FIT)
    curve.add_argument("folders", nargs="+", metavar="DIR", type=Path, help="a folder with curve.json")
    curve.set_defaults(run=_curve)
    commands.add_parser("fields", help="every field of a recipe, Markdown").set_defaults(run=_fields)
    return parser


def _count(told: str) -> int:
    if not told.isdecimal() or int(told) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {told}")
    return int(told)


def _train(options: argparse.Namespace) -> None:
    log, every = logging.getLogger(__name__), options.which == ["all"]
    shipped = [name for name, recipe in recipes().items() if recipe.shipped]
    for name in shipped if every else options.which:
        recipe = recipe_named(name)
        if every and recipe.data.folder and not recipe.data.root.is_dir():
            log.warning("%s is left out: %s is not there, see ASSAY_DATA_DIR", name, recipe.data.root)
            continue
        for version in make(recipe, options.out, options.work, quick=options.quick):
            log.info("wrote %s", version.folder)


def _list(_: argparse.Namespace) -> None:
    for name, recipe in recipes().items():
        shipped = "" if recipe.shipped else " (not shipped)"
        print(f"{name:24} {recipe.task:15} {recipe.description}{shipped}")  # noqa: T201  # the command line


def _search(options: argparse.Namespace) -> None:
    from models.export.search.run import FIGURES, Plan, search
    from models.export.search.space import read_space

    recipe = recipe_named(options.recipe)
    by_task = {"classification": "held_accuracy", "segmentation": "held_miou", "detection": "held_loss"}
    figure = options.figure or by_task[recipe.task]
    if figure not in FIGURES:
        raise RecipeError(f"--figure must be one of {', '.join(FIGURES)}, got {figure}")
    plan = Plan(
        recipe, read_space(options.space), options.how, figure, options.trials, options.seed, options.quick
    )
    ranked = search(plan, options.out, options.zoo)
    for trial in ranked[:5]:
        told = ", ".join(f"{name} {value}" for name, value in trial.values.items())
        print(f"trial {trial.number:3}  {figure} {trial.figure}  {told}  ({trial.fit})")  # noqa: T201
    print(f"{len(ranked)} trials; wrote {options.out}/best.yaml, results.json and search.png")  # noqa: T201


def _curve(options: argparse.Namespace) -> None:
    for folder in options.folders:
        try:
            curve = read(folder)
        except ValueError as error:
            raise RecipeError(str(error)) from error
        draw(curve, folder / "curve.png", title=folder.resolve().name)
        print(f"{folder}: {len(curve)} epochs, {verdict(curve)}; wrote {folder}/curve.png")  # noqa: T201


def _fields(_: argparse.Namespace) -> None:
    print(table(OBJECTIVES))  # noqa: T201


def main(told: Sequence[str] | None = None) -> int:
    """Do what was asked; 1 with one line when it cannot be done."""
    words = list(sys.argv[1:] if told is None else told)
    commands = {"train", "list", "search", "curve", "fields", "-h", "--help"}
    options = _parser().parse_args(words if words and words[0] in commands else ["train", *words])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        options.run(options)
    except RecipeError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`assay-models get`: a published model into the repository, its licence shown and accepted first."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from models.recipes.carriers import Carried
from models.recipes.fetch import fetch
from models.recipes.recipe import Recipe, build
from models.recipes.remote import NotFetched, Remote, difference
from models.recipes.tables import RECIPES

__all__ = ["CACHE_VARIABLE", "LicenceNotAccepted", "add_get", "cache_folder"]

CACHE_VARIABLE = "ASSAY_CACHE_DIR"
ABOUT = """\
Build a published model into the repository, as NAME/1.

Its file is fetched once into the cache folder, over https, and believed only by its checksum. A download
that was cut goes on where it stopped. The licence is shown first and must be accepted; the card keeps it."""


class LicenceNotAccepted(ValueError):
    """Nobody said yes; says how to."""


def cache_folder() -> Path:
    """Where fetched files stay: `ASSAY_CACHE_DIR`, else `~/.cache/assay`."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "assay")


def add_get(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "get",
        help="build a published model into the repository; --list names them",
        description=ABOUT,
        epilog=f"models: {', '.join(RECIPES)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "name", nargs="?", metavar="NAME", choices=list(RECIPES), help="one of the models below"
    )
    what.add_argument("--list", action="store_true", help="what there is: task, size, licence")
    parser.add_argument("--accept-licence", action="store_true", help="say yes to the licence that is shown")
    parser.add_argument(
        "--from", dest="file", type=Path, metavar="FILE", help="use this file, fetch nothing; same checksum"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help=f"where fetched files stay (default: {CACHE_VARIABLE}, else ~/.cache/assay)",
    )
    parser.set_defaults(run=_get)


def _get(options: argparse.Namespace) -> Iterator[str]:
    if options.list:
        yield from (_line(recipe) for recipe in RECIPES.values())
        return
    recipe = RECIPES[options.name]
    yield f"{recipe.name}: {recipe.what}"
    yield f"source   {_told(recipe.source)}"
    yield from recipe.licence.lines()
    yield from _checked(recipe)
    try:
        path = _obtain(recipe, options)
        version = build(recipe, options.repository, path)
    except KeyboardInterrupt:
        raise NotFetched("stopped; what came is kept, and the same command goes on from there") from None
    yield f"built    {version.folder}"


def _line(recipe: Recipe) -> str:
    size = _size(recipe.source) if isinstance(recipe.source, Remote) else "installed"
    return f"{recipe.name:18}{recipe.task:16}{size:>14}  {recipe.licence.name:14}{recipe.what}"


def _size(remote: Remote) -> str:
    return f"{remote.size / 1e6:.1f} MB" if remote.exact else f"up to {remote.size / 1e6:.0f} MB"


def _checked(recipe: Recipe) -> list[str]:
    if isinstance(recipe.source, Carried) or recipe.source.exact:
        return []
    return [f"checked  only the first digits of its sha256, {recipe.source.sha256}: no more are published"]


def _told(source: Remote | Carried) -> str:
    if isinstance(source, Carried):
        return f"the installed package {source.distribution}"
    return f"{source.url} ({_size(source)})"


def _obtain(recipe: Recipe, options: argparse.Namespace) -> Path:
    """The published file, on this disk and checked."""
    source = recipe.source
    if isinstance(source, Carried):
        if options.file:
            raise ValueError(f"{recipe.name} comes from an installed package: leave --from out")
        return source.path()
    if not options.accept_licence:
        _ask(recipe)
    if options.file is None:
        return fetch(source, options.cache or cache_folder())
    if wrong := difference(options.file, source):
        raise NotFetched(f"{options.file} {wrong}: it is not {source.url}")
    given: Path = options.file
    return given


def _ask(recipe: Recipe) -> None:
    if not sys.stdin.isatty():
        raise LicenceNotAccepted(f"the licence of {recipe.name} must be accepted: add --accept-licence")
    sys.stderr.write("Do you accept this licence? Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise LicenceNotAccepted(f"the licence of {recipe.name} was not accepted; nothing was fetched")

"""What a recipe is: a published model, where it comes from, on what terms, and how it becomes a version."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from models.card import TaskName
from models.publish import publish
from models.recipes.carriers import Carried, MissingCarrier
from models.recipes.remote import Remote
from models.repository import RepositoryError, Version, digest, read_version
from models.scenes import scene

__all__ = ["Licence", "Made", "Recipe", "build"]

# An ONNX file, and the fields of its card that the recipe does not tell: input, outputs, labels ...
Made: TypeAlias = tuple[bytes, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Licence:
    """Terms of a published model.

    Attributes:
        name: SPDX identifier.
        stated: where its publisher says so.
        notes: what else somebody must know before using it.
    """

    name: str
    stated: str
    notes: str = ""

    def lines(self) -> list[str]:
        """For a person, before anything is fetched."""
        return [f"licence  {self.name} ({self.stated})"] + [
            f"{'' if i else 'note':9}{line}" for i, line in enumerate(textwrap.wrap(self.notes, 100))
        ]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One published model.

    Attributes:
        name: of the model it becomes.
        what: one line about it.
        family: how its outputs are read.
        source: a file that is fetched, or one that an installed package carries.
        make: path of that file -> graph and card.
        tolerance: largest difference of a raw output on another machine.
    """

    name: str
    what: str
    task: TaskName
    family: str
    source: Remote | Carried
    licence: Licence
    make: Callable[[Path], Made]
    tolerance: float = 1e-3

    @property
    def origin(self) -> str:
        """How its cards' `source` begins."""
        return self.source.url if isinstance(self.source, Remote) else f"PyPI {self.source.distribution}"


def build(recipe: Recipe, root: Path, path: Path) -> Version:
    """Write and prove `<root>/<name>/1`, made from the published file at `path`.

    The card tells the licence with its notes, and the whole checksum of the file it was made from.

    Raises:
        RepositoryError: a model of that name is there that does not come from this recipe, or the
            written version does not prove itself.
        MissingCarrier: a package that the recipe needs is not installed; says how to get it.
        ValueError: the file holds another model.
    """
    _keep_others(recipe, root / recipe.name / "1")
    try:
        graph, facts = recipe.make(path)
    except ModuleNotFoundError as error:
        raise MissingCarrier(
            f"{recipe.name} needs the package {error.name} to be built: run `pip install {error.name}`"
        ) from error
    known = {
        "name": recipe.name,
        "version": 1,
        "task": recipe.task,
        "family": recipe.family,
        "description": recipe.what,
        "licence": _terms(recipe),
        "source": f"{recipe.origin}, sha256 {digest(path)}",
    }
    return publish(root, graph, {**known, **facts}, golden_image=scene(0).image, tolerance=recipe.tolerance)


def _terms(recipe: Recipe) -> str:
    if isinstance(recipe.source, Carried):
        return recipe.licence.name
    licence = recipe.licence
    told = f"{licence.name} ({licence.stated}), accepted with `assay-models get`. {licence.notes}"
    return told.strip()


def _keep_others(recipe: Recipe, folder: Path) -> None:
    """A model somebody else put there must not be overwritten."""
    if not (folder / "card.json").is_file():
        return
    found = read_version(folder).card.source
    if not found.startswith(recipe.origin):
        raise RepositoryError(
            f"{folder} must be free, got a model from {found or 'elsewhere'}: move it away, or name another "
            "folder with --repository"
        )

"""One typed YAML file says all about one training: data, net, objective, settings, and the card."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from models.card import NAME_PATTERN, InputSpec, Postprocess, TaskName
from models.export.augment import Augment
from models.export.courses.classify import Classes
from models.export.courses.detect import Boxes
from models.export.courses.segment import Pixels
from models.export.settings import Settings

__all__ = ["OBJECTIVES", "Also", "Data", "Net", "Recipe", "RecipeError", "Start", "recipe_named", "recipes"]

FOLDER = Path(__file__).parent / "recipes"
DATA_DIR = "ASSAY_DATA_DIR"


class RecipeError(ValueError):
    """A recipe cannot be read or carried out; one line that says where and what to do."""


def _known_words(kind: type[Any], told: Any, where: str = "") -> Any:
    known = kind.__dataclass_fields__
    if isinstance(told, dict) and (unknown := set(told) - set(known)):
        raise ValueError(f"{where}words must be of {', '.join(known)}, got {', '.join(map(str, unknown))}")
    return told


def _first(error: ValidationError, *where: str) -> str:
    """The first thing that is wrong, on one line: its field and what it must be."""
    first = error.errors()[0]
    field, wrong = ".".join(map(str, (*where, *first["loc"]))), first["msg"].removeprefix("Value error, ")
    return f"{field}: {wrong}" if field else wrong


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Frozen):
    """What is learnt from.

    Attributes:
        kind: `digits`, `cifar10` (one object), `scenes`, `bccd` or `camvid` (many).
        folder: of real sets, below the data folder (`ASSAY_DATA_DIR`).
        count: of procedural sets, how many pictures.
        unlabelled: share of the pictures whose labels are not looked at.
    """

    kind: str
    folder: str = ""
    count: int = Field(0, ge=0)
    unlabelled: float = Field(0.0, ge=0, lt=1)

    @property
    def root(self) -> Path:
        """Where a real set lies."""
        return Path(os.environ.get(DATA_DIR, "../shared/data")) / self.folder


class Net(_Frozen):
    """The net, and what it is made with.

    Attributes:
        kind: `digits`, `residual` (classifiers), `detector`, `segmenter` or `multitask`.
        options: of `residual`: `widths`, `blocks`, `channels`, `norm` (`batch`, `instance`, `none`),
            `activation` (`relu`, `leaky_relu`, `elu`, `gelu`, `silu`, `hardswish`, `tanh`), `attention`
            (`none`, `squeeze`, `heads`), `pooling` (`average`, `max`, `both`), `dropout`, `start` (`he`,
            `xavier`).
    """

    kind: str
    options: dict[str, Any] = {}


class Start(_Frozen):
    """Weights to begin from: the named parts of another version of the zoo.

    Attributes:
        recipe: whose net it is.
        parts: names of the parts that are taken; all others begin from the seed.
    """

    recipe: str
    parts: tuple[str, ...] = ("backbone",)


OBJECTIVES: Mapping[str, type[Any]] = {"classification": Classes, "detection": Boxes, "segmentation": Pixels}


class Also(_Frozen):
    """Another version out of the same training: a part of the net, and what its card says."""

    part: str
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    task: TaskName
    family: str
    description: str
    labels: tuple[str, ...]
    outputs: tuple[str, ...]
    held_out: str


class Recipe(_Frozen):
    """One version: how it is trained and what its card says; fields of the card mean what they mean there.

    Attributes:
        objective: `Classes`, `Boxes` or `Pixels`, by task.
        part: what of the net is exported; all of it when empty.
        also: further versions out of this training.
        held_out: data that the claims are measured on, as `assay evaluate` names it.
        shipped: its graph is part of the project; otherwise it only may be made.
    """

    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(1, ge=1)
    task: TaskName
    family: str
    description: str
    labels: tuple[str, ...]
    outputs: tuple[str, ...]
    licence: str = "Apache-2.0"
    notes: str = ""
    input: InputSpec
    postprocess: Postprocess = Postprocess()
    data: Data
    net: Net
    start: Start | None = None
    objective: Classes | Boxes | Pixels
    augment: Augment = Augment()
    settings: Settings
    part: str = ""
    also: tuple[Also, ...] = ()
    held_out: str
    shipped: bool = True

    @model_validator(mode="before")
    @classmethod
    def _objective_of_the_task(cls, told: Any) -> Any:
        kind = OBJECTIVES.get(str(told.get("task"))) if isinstance(told, dict) else None
        if kind is None or not isinstance(told.get("objective", {}), dict):
            return told
        objective = _known_words(kind, told.get("objective", {}), "objective: ")  # not there: the defaults
        try:
            return {**told, "objective": TypeAdapter(kind).validate_python(objective)}
        except ValidationError as error:
            raise ValueError(_first(error, "objective")) from error

    @field_validator("augment", "settings", mode="before")
    @classmethod
    def _no_unknown_words(cls, told: Any, info: Any) -> Any:
        return _known_words({"augment": Augment, "settings": Settings}[info.field_name], told)

    @model_validator(mode="after")
    def _unlabelled_pictures_have_a_use(self) -> Self:
        adversary = getattr(self.objective, "adversary", "boxes or pixels")
        if self.data.unlabelled and adversary != "none":
            raise ValueError(
                f"data.unlabelled must be 0 but for a classifier without adversary, got {adversary}"
            )
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML file. Raises RecipeError naming the file and the field."""
        try:
            told = yaml.safe_load(path.read_bytes())
        except (OSError, yaml.YAMLError) as error:
            raise RecipeError(f"{path} must be a YAML file: {' '.join(str(error).split())}") from error
        return cls.checked(told, str(path))

    @classmethod
    def checked(cls, told: Any, where: str) -> Self:
        """The recipe that plain data describes. Raises RecipeError naming `where` and the field."""
        try:
            return cls.model_validate(told)
        except ValidationError as error:
            raise RecipeError(f"{where}: {_first(error)}") from error

    def write(self, path: Path) -> None:
        """Write a YAML file that reads back as this recipe; what is as by default is left out."""
        told = self.model_dump(mode="json", exclude_defaults=True)
        path.write_text(
            yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100), encoding="utf-8"
        )

    @property
    def key(self) -> str:
        """`digits-2`: what people call the recipe."""
        return f"{self.name}-{self.version}"


def recipes() -> dict[str, Recipe]:
    """Every recipe of the project by key, in the order they can be made."""
    found = {recipe.key: recipe for recipe in map(Recipe.read, sorted(FOLDER.glob("*.yaml")))}
    return dict(sorted(found.items(), key=lambda item: item[1].start is not None))


def recipe_named(name: str) -> Recipe:
    """The recipe of the project called so, or of the YAML file at that path. Raises RecipeError."""
    if name.endswith((".yaml", ".yml")):
        return Recipe.read(Path(name))
    known = recipes()
    if name not in known:
        raise RecipeError(f"no recipe {name!r}; there are: {', '.join(known)}; or give a YAML file")
    return known[name]

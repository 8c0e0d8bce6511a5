"""What a search may change: dotted fields of a recipe, each a list of values or a range."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from models.export.recipe import Recipe, RecipeError

__all__ = ["Range", "Space", "Value", "Values", "applied", "read_space"]

Value: TypeAlias = bool | int | float | str | list[int] | list[float] | list[str]
Values: TypeAlias = dict[str, Value]


class Range(BaseModel):
    """Numbers from `low` to `high`, both among them.

    Attributes:
        log: equal steps are equal factors.
        whole: whole numbers only.
        points: how many of them a grid takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    log: bool = False
    whole: bool = False
    points: int = Field(3, ge=2)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"high must be above low, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, got {self.low:g}")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low and high must be whole, got {self.low:g} and {self.high:g}")
        return self

    def at(self, share: float) -> float:
        """The number at a share of the way, in [0, 1]."""
        if self.log:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + share * (self.high - self.low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(value)

    def grid(self) -> list[float]:
        """Evenly spaced numbers from low to high, each once."""
        return list(dict.fromkeys(self.at(i / (self.points - 1)) for i in range(self.points)))


Space: TypeAlias = Mapping[str, "Range | list[Value]"]
_READ: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Range | list[Value]])


def read_space(path: Path) -> Space:
    """Read a YAML file of dotted fields. Raises RecipeError naming the file and the field.

    settings.rate: {low: 1.0e-4, high: 1.0e-2, log: true}
    net.options.dropout: [0.0, 0.1, 0.2]
    """
    try:
        told = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"{path} must be a YAML file: {' '.join(str(error).split())}") from error
    try:
        space = _READ.validate_python(told, strict=None)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "space"
        raise RecipeError(f"{path}: {field}: {first['msg'].removeprefix('Value error, ')}") from error
    if not space or not all(space.values()):
        raise RecipeError(f"{path} must name at least one field, each with a range or a list of values")
    return space


def applied(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """The recipe with dotted fields set. Raises RecipeError naming one that is not there or cannot be so."""
    told = recipe.model_dump(mode="json")
    for field, value in values.items():
        inside = told
        *path, name = field.split(".")
        for part in path:
            inside = inside.get(part, {}) if isinstance(inside, dict) else {}
        open_ended = path == ["net", "options"]
        if not isinstance(inside, dict) or (name not in inside and not open_ended):
            raise RecipeError(f"{recipe.key} has no field {field}; fields are dotted, e.g. settings.rate")
        inside[name] = value
    return Recipe.checked(told, recipe.key)

"""Every field of a recipe as a table, from the docstrings and defaults of what reads it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from models.export.augment import Augment
from models.export.recipe import Data, Net, Recipe, Start
from models.export.settings import Settings

__all__ = ["meanings", "rows", "table"]


def meanings(kind: type[Any]) -> dict[str, str]:
    """Field -> what the `Attributes:` of the docstring say of it; `a, b: both` is said of either."""
    text = inspect.getdoc(kind) or ""
    part = text.partition("Attributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\S)", "\n" + part):
        names, colon, meaning = " ".join(entry.split()).partition(": ")
        if colon:
            found |= dict.fromkeys(names.split(", "), meaning)
    return found


def rows(kind: type[Any], where: str) -> Iterator[tuple[str, str, str]]:
    """(dotted field, default, meaning) of a dataclass or model; `required` where there is no default."""
    said, hints = meanings(kind), get_type_hints(kind, include_extras=False)
    for name, default in _defaults(kind).items():
        choices = get_args(hints[name]) if get_origin(hints[name]) is Literal else ()
        meaning = said.get(name, "")
        unsaid = [choice for choice in choices if f"`{choice}`" not in meaning]
        more = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if unsaid else ""
        told = "required" if default is MISSING else f"`{_yaml(default)}`"
        yield f"{where}.{name}", told, (meaning + more).strip()


def _defaults(kind: type[Any]) -> dict[str, Any]:
    if is_dataclass(kind):
        return {field.name: _default(field) for field in fields(kind)}
    if not issubclass(kind, BaseModel):
        raise TypeError(f"kind must be a dataclass or a model, got {kind.__name__}")
    told = {name: field.default for name, field in kind.model_fields.items()}
    return {name: MISSING if value is PydanticUndefined else value for name, value in told.items()}


def _default(field: Field[Any]) -> Any:
    return field.default


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    return '""' if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def table(objectives: Mapping[str, type[Any]]) -> str:
    """A Markdown table of every field that trains; those of the card mean what they mean there.

    Args:
        objectives: task -> what its `objective` holds.
    """
    parts = [(Data, "data"), (Net, "net"), (Start, "start"), (Settings, "settings"), (Augment, "augment")]
    parts += [(kind, f"objective ({task})") for task, kind in objectives.items()]
    lines = ["| Field | Default | Meaning |", "|---|---|---|"]
    for kind, where in parts:
        lines += [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows(kind, where)]
    said = meanings(Recipe)
    lines += [f"| `{name}` | | {said[name]} |" for name in said]
    return "\n".join(lines)

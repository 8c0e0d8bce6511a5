"""Fields of a card that may be wrong, in words for whoever gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.repository import RepositoryError

__all__ = ["complaint", "filled"]

Fields = TypeVar("Fields", bound=BaseModel)


def filled(model: type[Fields], told: Mapping[str, Any]) -> Fields:
    """A part of a card with these fields.

    Raises:
        RepositoryError: one is not what it must be; one line.
    """
    try:
        return model(**told)
    except ValidationError as error:
        raise RepositoryError(complaint(error)) from error


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    words = (
        str(first["msg"])
        .removeprefix("Value error, ")
        .replace("Input should", "must")
        .replace("String should", "must")
    )
    if not first["loc"]:
        return words
    return f"{'.'.join(map(str, first['loc']))} {words}, got {first['input']!r}"

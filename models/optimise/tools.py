"""The tools that rewrite graphs, imported when they are first needed: serving has none of them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["CannotOptimise", "tool"]


class CannotOptimise(ValueError):
    """A graph cannot be rewritten in the way that was asked for. One line, for a person."""


def tool(name: str) -> ModuleType:
    """The module called `name`.

    Raises:
        CannotOptimise: it is not installed; says which extras have it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise CannotOptimise(
            f"optimising needs {name} ({error}): install the extras `serve` and `recipes`, "
            "pip install 'assay[serve,recipes]'"
        ) from error

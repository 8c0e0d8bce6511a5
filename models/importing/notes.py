"""What exporters write into a graph about it: class names, size, licence."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from models.card import TaskName
from models.labels import KEYS, in_order, names_of

__all__ = ["Notes", "read_notes"]

TASKS: Mapping[str, TaskName] = {  # Ultralytics' words
    "detect": "detection",
    "segment": "detection",  # instances: boxes with masks
    "classify": "classification",
}
_LONGEST = 1 << 20  # characters of one note; a literal is parsed


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes that say something we use; None or empty where there is none.

    Attributes:
        labels: class names, and the key they stood under.
        size: (H, W) of the input.
    """

    labels: tuple[str, ...] = ()
    labels_key: str = ""
    size: tuple[int, int] | None = None
    task: TaskName | None = None
    licence: str = ""
    description: str = ""


def read_notes(notes: Mapping[str, str]) -> Notes:
    """Metadata properties, as Ultralytics and others write them; whatever cannot be read says nothing."""
    labels, labels_key = _labels(notes)
    return Notes(
        labels,
        labels_key,
        _size(_literal(notes.get("imgsz", ""))),
        TASKS.get(notes.get("task", "")),
        notes.get("license", ""),
        notes.get("description", ""),
    )


def _labels(notes: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    for key in (*KEYS, "labels"):
        if names := names_of(_literal(notes.get(key, ""))):
            return in_order(names), key
    return (), ""


def _size(told: object) -> tuple[int, int] | None:
    if isinstance(told, list | tuple) and len(told) == 2 and all(isinstance(n, int) and n > 0 for n in told):
        return told[0], told[1]
    return (told, told) if isinstance(told, int) and not isinstance(told, bool) and told > 0 else None


def _literal(text: str) -> object:
    """A Python or JSON value; None where it is none, or too long to be one."""
    if len(text) > _LONGEST:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None

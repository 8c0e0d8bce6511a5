"""Class names from the files people keep them in."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

__all__ = ["MOST_CLASSES", "UnreadableLabels", "class_names", "in_order", "names_of"]

KEYS = ("names", "classes", "id2label")  # under which YAML and JSON files keep them
MOST_CLASSES = 1 << 16  # a slip of the hand must not name billions
OTHERS = "*"  # in the place of a number: every number that is not named
_ENTRY = re.compile(r"""^\s*(?:-\s+|(\d+|\*|'\d+'|"\d+")\s*:\s+)(.+?)\s*$""")


class UnreadableLabels(ValueError):
    """The file does not say which class has which name. One line, for a person."""


def class_names(path: Path) -> dict[int | str, str]:
    """Class number -> name, in the file's order; `OTHERS` may stand for the numbers that are not named.

    Text: one name a line, counted from 0, up to the first empty line; or lines `NUMBER: NAME`. YAML and
    JSON: a list or a table, alone or under one of `KEYS` (Ultralytics' `data.yaml`, a `config.json`).
    YAML is read in the plain form of such files, no further.

    Raises:
        UnreadableLabels: the file is missing, empty or of another form; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableLabels(f"{path} cannot be read: {error}") from error
    if path.suffix == ".json":
        found = _from_json(path, text)
    elif path.suffix in (".yaml", ".yml"):
        found = _from_yaml(path, text.splitlines())
    else:
        found = _from_text(path, text.splitlines())
    if not found:
        raise UnreadableLabels(f"{path} names no class")
    return found


def in_order(names: Mapping[int | str, str]) -> tuple[str, ...]:
    """Names by number; numbers nobody named are called `class NUMBER`.

    Raises:
        UnreadableLabels: a number is beyond `MOST_CLASSES`.
    """
    highest = max((number for number in names if isinstance(number, int)), default=-1)
    if highest >= MOST_CLASSES:
        raise UnreadableLabels(f"class numbers must be below {MOST_CLASSES}, got {highest}")
    return tuple(names.get(i, f"class {i}") for i in range(highest + 1))


def names_of(told: object) -> dict[int | str, str] | None:
    """A list of names, or a table of numbers and names, as such a mapping; None where it is neither."""
    if isinstance(told, list) and all(isinstance(name, str | int) for name in told):
        return {i: str(name) for i, name in enumerate(told)}
    if isinstance(told, dict) and all(
        str(k).isdecimal() and isinstance(v, str | int) for k, v in told.items()
    ):
        return {int(number): str(name) for number, name in told.items()}
    return None


def _from_json(path: Path, text: str) -> dict[int | str, str]:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise UnreadableLabels(f"{path} must be JSON: {error}") from error
    inside = next((told[key] for key in KEYS if key in told), told) if isinstance(told, dict) else told
    if (names := names_of(inside)) is None:
        raise UnreadableLabels(f"{path} must hold a list of names or a table of numbers and names")
    return names


def _from_text(path: Path, lines: list[str]) -> dict[int | str, str]:
    told = [line for line in lines if line.split("#")[0].strip()]
    if told and all(_ENTRY.match(line) and not line.lstrip().startswith("-") for line in told):
        return _entries(path, enumerate(lines, start=1))
    names: list[str] = []
    for line in lines:
        if not line.strip():
            break
        names.append(line.strip())
    return dict(enumerate(names))


def _from_yaml(path: Path, lines: list[str]) -> dict[int | str, str]:
    for at, line in enumerate(lines):
        key, colon, rest = line.partition(":")
        if not colon or key not in KEYS:
            continue
        if rest := rest.split(" #")[0].strip():
            return _inline(path, at + 1, " ".join([rest, *_until_closed(rest, lines[at + 1 :])]))
        return _entries(path, _block(enumerate(lines[at + 1 :], start=at + 2)))
    raise UnreadableLabels(f"{path} must have one of the keys {', '.join(KEYS)}")


def _until_closed(first: str, lines: list[str]) -> Iterator[str]:
    """The further lines of a list or table that is written in brackets."""
    closing = {"[": "]", "{": "}"}.get(first[0], "")
    if closing and closing not in first:
        for line in lines:
            yield line.strip()
            if closing in line:
                return


def _block(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines below a key: indented, or items of a list."""
    for number, line in lines:
        if line.strip() and not line.startswith((" ", "\t", "- ", "#")):
            return
        yield number, line


def _entries(path: Path, lines: Iterable[tuple[int, str]]) -> dict[int | str, str]:
    names: dict[int | str, str] = {}
    for number, line in lines:
        if not line.split("#")[0].strip():
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            raise UnreadableLabels(
                f"{path}:{number}: must be `NUMBER: NAME` or `- NAME`, got {line.strip()!r}"
            )
        told = (entry[1] or str(len(names))).strip("'\"")
        key = OTHERS if told == OTHERS else int(told)
        if key in names:
            raise UnreadableLabels(f"{path}:{number}: class {key} must be named once, got it again")
        names[key] = entry[2].split(" #")[0].strip().strip("'\"")
    return names


def _inline(path: Path, number: int, text: str) -> dict[int | str, str]:
    try:
        told = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # words without quotes
        told = _bare(text)
    if (names := names_of(told)) is None:
        raise UnreadableLabels(f"{path}:{number}: must be a list or a table of names, got {text[:40]!r}")
    return names


def _bare(text: str) -> list[str] | dict[str, str] | None:
    """`[cat, fire hydrant]` or `{0: cat, 1: fire hydrant}`; None where it is neither."""
    words = [word.strip() for word in text[1:-1].split(",") if word.strip()]
    if text[0] + text[-1] == "[]":
        return [word.strip("'\"") for word in words]
    if text[0] + text[-1] != "{}" or not all(": " in word for word in words):
        return None
    pairs = [word.split(": ", 1) for word in words]
    return {key.strip(): value.strip().strip("'\"") for key, value in pairs}

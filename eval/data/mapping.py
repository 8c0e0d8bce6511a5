"""Which class of the data is called what by the model, from a file of `OLD: NEW` lines."""

from __future__ import annotations

import re
from pathlib import Path

from eval.errors import DatasetError

__all__ = ["read_mapping"]

DROPPED = ("", "null", "~")
_LINE = re.compile(r"""^\s*("[^"]*"|'[^']*'|[^\s"'#][^:]*?)\s*:(?:\s+(.*?))?\s*$""")


def read_mapping(path: Path) -> dict[str, str | None]:
    """Old name -> new name, or None to drop the class; for `Dataset.mapped`.

    One class a line, in the plain form of YAML; names may stand in quotes, `#` begins a comment:

        # what the model calls them
        motorbike: motorcycle
        "tv: monitor": tv
        pottedplant: null

    Raises:
        DatasetError: the file is missing, names nothing, or a line has another form; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    found: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        told = _LINE.match(line)
        if told is None:
            raise DatasetError(f"{path}:{number}: must be `OLD: NEW` or `OLD: null`, got {line.strip()!r}")
        old = _plain(told[1])
        if old in found:
            raise DatasetError(f"{path}:{number}: a class must be mapped once, got {old!r} again")
        new = (told[2] or "").split(" #")[0].strip()
        found[old] = None if new.lower() in DROPPED else _plain(new)
    if not found:
        raise DatasetError(f"{path} maps nothing; it must have `OLD: NEW` lines")
    return found


def _plain(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "\"'"
    return name[1:-1] if quoted else name

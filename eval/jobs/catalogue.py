"""What a job may name instead of a path: data sets, templates and cards of the operator's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from eval.data.tables import READERS
from eval.jobs.errors import UnknownName

__all__ = ["NAME", "Catalogue", "CatalogueError"]

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"  # no dot, slash or colon: never a path, never a built-in
BUILT_IN = re.compile(r"digits:(test|train)|scenes:(test|train)(:[1-9][0-9]{0,4})?")


class CatalogueError(ValueError):
    """The file of data sets cannot be used; the service does not start."""


class Catalogue:
    """Named data from a YAML or JSON file, and named forms from a folder.

    Raises:
        CatalogueError: the file is missing, no mapping, or maps a name to what is no data.
    """

    def __init__(self, data_file: Path | None, forms_dir: Path | None) -> None:
        self._data = {} if data_file is None else _read(data_file)
        self._forms = forms_dir
        if forms_dir is not None and not forms_dir.is_dir():
            raise CatalogueError(f"{forms_dir} must be a folder of templates and cards")

    @property
    def names(self) -> list[str]:
        """Of data, sorted: the built-ins, then the operator's."""
        return ["digits:test", "digits:train", "scenes:test", "scenes:train", *sorted(self._data)]

    def data(self, name: str) -> str:
        """The data of a name, as the command line takes it. Raises UnknownName."""
        if BUILT_IN.fullmatch(name):
            return name
        if name not in self._data:
            raise UnknownName(f"no data is called {name!r} here; GET /v1/data lists what is")
        return self._data[name]

    def form(self, name: str, suffix: str) -> Path:
        """The file of a template (`.yaml`) or card (`.json`). Raises UnknownName."""
        path = (
            None if self._forms is None or not re.fullmatch(NAME, name) else self._forms / f"{name}{suffix}"
        )
        if path is None or not path.is_file():
            raise UnknownName(f"no file is called {name + suffix!r} in ASSAY_EVAL_FORMS_DIR")
        return path


def _read(path: Path) -> Mapping[str, str]:
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"the data sets in {path} cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise CatalogueError(f"{path} must map names to data, got {type(told).__name__}")
    for name, data in told.items():
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise CatalogueError(f"{path}: a name must match {NAME}, got {name!r}")
        if not isinstance(data, str) or data.partition(":")[0] not in READERS:
            raise CatalogueError(f"{path}: {name} must be KIND:ARGUMENT as for --data, got {data!r}")
    return told

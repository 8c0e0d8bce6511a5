"""Models on disk: `<root>/<name>/<version>/{model.onnx, card.json, golden.npz}`.

A version is believed only after its digests match and its golden pair reproduces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from models.card import ModelCard
from models.results import Result
from models.runtime import OnnxRunner, UnusableGraph
from models.tasks import FAMILIES, TASKS, Predictor, Runner

__all__ = ["RepositoryError", "Version", "digest", "newest", "open_version", "prove", "versions"]


class RepositoryError(Exception):
    """A version is missing, changed or does not do what its card says. One line, for a person."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version folder and its card."""

    folder: Path
    card: ModelCard

    @property
    def model_path(self) -> Path:
        return self.folder / "model.onnx"


def digest(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(root: Path) -> list[Version]:
    """Every version below `root`, by name, then version number.

    Raises:
        RepositoryError: `root` is no folder, or a card is missing, broken or misplaced.
    """
    if not root.is_dir():
        raise RepositoryError(f"the model repository must be a folder, got {root}")
    folders = (f for name in root.iterdir() if name.is_dir() for f in name.iterdir() if f.name.isdecimal())
    return sorted(map(_version, folders), key=lambda v: (v.card.name, v.card.version))


def _version(folder: Path) -> Version:
    path = folder / "card.json"
    try:
        card = ModelCard.read(path)
    except OSError as error:
        raise RepositoryError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RepositoryError(f"{path}: {where}: {first['msg']}") from error
    if (card.name, str(card.version)) != (folder.parent.name, folder.name):
        own = f"{card.name}/{card.version}"
        raise RepositoryError(f"{path} must lie in {own}, got {folder.parent.name}/{folder.name}")
    if card.family not in FAMILIES[card.task]:
        raise RepositoryError(f"{path}: family must be one of {FAMILIES[card.task]}, got {card.family!r}")
    return Version(folder, card)


def open_version(version: Version, *, threads: int = 1) -> Predictor[Result]:
    """Check the digest, load the graph, prove the golden pair; a predictor that may go live.

    Raises:
        RepositoryError: any of the three fails; the message says which.
    """
    card = version.card
    if not version.model_path.is_file():
        raise RepositoryError(f"{version.model_path} is missing")
    if (found := digest(version.model_path)) != card.sha256:
        raise RepositoryError(f"{version.model_path} has sha256 {found}, its card says {card.sha256}")
    try:
        runner = OnnxRunner(
            version.model_path, input_name=card.input.name, outputs=card.outputs, threads=threads
        )
    except UnusableGraph as error:
        raise RepositoryError(f"{card.name}/{card.version}: {error}") from error
    prove(version, runner)
    return Predictor(TASKS[card.task](card), runner, card.max_batch)


def prove(version: Version, runner: Runner) -> None:
    """Run the golden image; every raw output must come back within the card's tolerance.

    Versions without a golden pair pass: the card, not this function, says how much is proven.

    Raises:
        RepositoryError: the pair is missing or changed, or an output differs.
    """
    golden, where = version.card.golden, f"{version.card.name}/{version.card.version}"
    if golden is None:
        return
    path = version.folder / golden.file
    if not path.is_file() or digest(path) != golden.sha256:
        raise RepositoryError(f"{path} is missing or changed: its sha256 must be {golden.sha256}")
    with np.load(path, allow_pickle=False) as pair:
        image = pair["image"]
        expected = [pair[f"output_{i}"] for i in range(len(version.card.outputs))]
    outputs = runner.run(TASKS[version.card.task](version.card).prepare(image)[None])
    for name, got, want in zip(version.card.outputs, outputs, expected, strict=True):
        _close(where, name, got[0], want, golden.tolerance)


def _close(where: str, name: str, got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    if got.shape != want.shape:
        raise RepositoryError(f"{where}: golden output {name} must be {want.shape}, got {got.shape}")
    worst = float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max(initial=0.0))
    if not worst <= tolerance:  # also refuses NaN
        raise RepositoryError(f"{where}: golden output {name} must be within {tolerance:g}, got {worst:.3g}")


def newest(found: Sequence[Version], name: str) -> Version:
    """The highest version of a model.

    Raises:
        RepositoryError: no such model.
    """
    own = [version for version in found if version.card.name == name]
    if not own:
        names = ", ".join(sorted({version.card.name for version in found}))
        raise RepositoryError(f"no model {name!r}; there are: {names}")
    return own[-1]

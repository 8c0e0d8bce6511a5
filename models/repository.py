"""Models on disk: `<root>/<name>/<version>/{model.onnx, card.json, golden.npz}`.

A version is believed only after its digests match and its golden pair reproduces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from models.card import ModelCard
from models.families.family import Family
from models.families.tables import FAMILIES
from models.ports import Port
from models.results import Result
from models.runtime import OnnxRunner, UnusableGraph
from models.tasks import TASKS, Predictor, Runner

__all__ = [
    "Opened",
    "RepositoryError",
    "Seen",
    "Version",
    "digest",
    "loaded",
    "look",
    "newest",
    "open_version",
    "opened",
    "prove",
    "read_version",
    "versions",
]


class RepositoryError(Exception):
    """A version is missing, changed or does not do what its card says. One line, for a person.

    Args:
        reason: it in a word: `card`, `files` (missing or changed), `graph`, `golden` (not reproduced).
    """

    def __init__(self, message: str, *, reason: str = "card") -> None:
        super().__init__(message)
        self.reason = reason


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


@dataclass(frozen=True, slots=True)
class Seen:
    """A version folder and what its files look like, without reading them.

    Attributes:
        files: (name, size, nanoseconds of the last change, inode) of each file that counts.
    """

    name: str
    number: int
    folder: Path
    files: tuple[tuple[str, int, int, int], ...]

    def forgotten(self) -> Seen:
        """The same, unlike anything on disk: it will be looked at again."""
        return replace(self, files=())


def look(root: Path) -> list[Seen]:
    """Every version folder below `root`, by name, then number; nothing is opened.

    Raises:
        RepositoryError: `root` is no folder or cannot be read.
    """
    if not root.is_dir():
        raise RepositoryError(f"the model repository must be a folder, got {root}")
    try:
        folders = [
            folder
            for name in root.iterdir()
            if name.is_dir() and not name.name.startswith(".")
            for folder in name.iterdir()
            if folder.name.isascii() and folder.name.isdecimal() and folder.is_dir()
        ]
        seen = [Seen(f.parent.name, int(f.name), f, _files(f)) for f in folders]
    except OSError as error:
        raise RepositoryError(f"{error.filename} cannot be read: {error.strerror}") from error
    return sorted(seen, key=lambda s: (s.name, s.number))


def _files(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix in (".onnx", ".json", ".npz"):
            stat = path.stat()
            found.append((path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(found)


def versions(root: Path) -> list[Version]:
    """Every version below `root`, by name, then version number.

    Raises:
        RepositoryError: `root` is no folder, or a card is missing, broken or misplaced.
    """
    return [read_version(seen.folder) for seen in look(root)]


def read_version(folder: Path) -> Version:
    """One version folder's card, checked against where it lies.

    Raises:
        RepositoryError: the card is missing, broken or misplaced.
    """
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
    _family(card, str(path))
    return Version(folder, card)


def _family(card: ModelCard, where: str) -> Family[Any]:
    families = FAMILIES[card.task]
    if card.family not in families:
        raise RepositoryError(f"{where}: family must be one of {tuple(families)}, got {card.family!r}")
    return families[card.family]


@dataclass(frozen=True, slots=True)
class Opened:
    """A version that may go live, and its graph's inputs and outputs in the card's order."""

    predictor: Predictor[Result]
    inputs: list[Port]
    outputs: list[Port]


def open_version(version: Version, *, threads: int = 1) -> Predictor[Result]:
    """A predictor that may go live; see `opened`."""
    return opened(version, threads=threads).predictor


def opened(version: Version, *, threads: int = 1) -> Opened:
    """Check the digest, load the graph, prove the golden pair.

    Raises:
        RepositoryError: any of the three fails; the message says which.
    """
    card = version.card
    try:
        model = version.model_path.read_bytes()
    except OSError as error:
        raise RepositoryError(
            f"{version.model_path} is missing or cannot be read: {error.strerror}", reason="files"
        ) from error
    if (found := hashlib.sha256(model).hexdigest()) != card.sha256:
        told = f"{version.model_path} has sha256 {found}, its card says {card.sha256}"
        raise RepositoryError(told, reason="files")
    runner = loaded(card, model, threads=threads)
    prove(version, runner)
    predictor = Predictor(TASKS[card.task](card), runner, card.max_batch)
    return Opened(predictor, runner.inputs, runner.outputs)


def loaded(card: ModelCard, model: bytes, *, threads: int = 1) -> OnnxRunner:
    """The graph, if it runs and has the outputs of the card's family.

    Raises:
        RepositoryError: it cannot be loaded, or is of another family; the message says why.
    """
    where = f"{card.name}/{card.version}"
    family = _family(card, where)
    try:
        runner = OnnxRunner(
            model, input_name=card.input.name, outputs=card.outputs, threads=threads, batched=family.batched
        )
    except UnusableGraph as error:
        raise RepositoryError(f"{where}: {error}", reason="graph") from error
    read = runner.outputs[: family.most_outputs]
    outputs = [replace(o, shape=o.shape if family.batched else o.shape[1:]) for o in read]
    if wrong := family.mismatch(outputs, card.input, len(card.labels)):
        raise RepositoryError(f"{where} is not of the family {family.name!r}: {wrong}", reason="graph")
    if not family.batched and card.max_batch != 1:
        raise RepositoryError(f"{where}: max_batch must be 1 without a batch axis, got {card.max_batch}")
    return runner


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
        told = f"{path} is missing or changed: its sha256 must be {golden.sha256}"
        raise RepositoryError(told, reason="files")
    with np.load(path, allow_pickle=False) as pair:
        image = pair["image"]
        expected = [pair[f"output_{i}"] for i in range(len(version.card.outputs))]
    outputs = runner.run(TASKS[version.card.task](version.card).prepare(image)[None])
    for name, got, want in zip(version.card.outputs, outputs, expected, strict=True):
        _close(where, name, got[0], want, golden.tolerance)


def _close(where: str, name: str, got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    told = f"{where}: golden output {name} must be"
    if got.shape != want.shape:
        raise RepositoryError(f"{told} {want.shape}, got {got.shape}", reason="golden")
    worst = float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max(initial=0.0))
    if not worst <= tolerance:  # also refuses NaN
        raise RepositoryError(f"{told} within {tolerance:g}, got {worst:.3g}", reason="golden")


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

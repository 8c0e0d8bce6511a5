"""A folder per class inside a tar file, read where it lies."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.data.files import PICTURES
from eval.errors import DatasetError

__all__ = ["tar_data"]

PACKED: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
BROKEN = (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError)


class _Plain:
    """The bytes of a tar file without compression, at any place; closed when nobody holds it."""

    def __init__(self, path: Path) -> None:
        self._file = _unpacked(path)
        weakref.finalize(self, os.close, self._file)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file, size, offset)

    def pictures(self) -> list[tarfile.TarInfo]:
        """Plain files with a picture's name, in a folder; not those that an archiver hid beside them."""
        with (
            os.fdopen(os.dup(self._file), "rb") as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):
            return [
                member
                for member in archive
                if member.isreg() and not member.issparse() and _is_picture(PurePosixPath(member.name))
            ]


def tar_data(argument: str) -> Dataset:
    """`tar:FILE`: pictures in a .tar, .tar.gz, .tar.bz2 or .tar.xz; their folder names their class.

    Nothing is extracted under a name the archive chose. A picture is read at its place when it is asked
    for; a compressed archive, which has no places, is unpacked once into a nameless temporary file.

    Raises:
        DatasetError: the file is missing, no tar file, cut short, or holds no pictures in folders.
    """
    path = Path(argument)
    try:
        plain = _Plain(path)
        members = sorted((_class(m), m.name, m.offset_data, m.size) for m in plain.pictures())
    except BROKEN as error:
        raise DatasetError(f"tar must name a whole tar file, {path} is none: {error}") from error
    if not members:
        raise DatasetError(f"{path} holds no images in class folders")
    labels = tuple(dict.fromkeys(label for label, *_ in members))
    number_of = {label: number for number, label in enumerate(labels)}
    classes = np.array([number_of[label] for label, *_ in members], np.int32)
    places = np.array([place for *_, offset, size in members for place in (offset, size)], np.int64).reshape(
        -1, 2
    )
    ids = [name for _, name, *_ in members]

    def load(index: int) -> Sample:
        offset, size = places[index].tolist()
        name = ids[index]
        tags = {"parent": name.rpartition("/")[0]}
        return Sample(name, plain.read(offset, size), int(classes[index]), tags)

    return Dataset(f"tar:{path.name}", "classification", labels, ids, load, classes=classes)


def _unpacked(path: Path) -> int:
    """A descriptor of the archive without its compression."""
    with path.open("rb") as file:
        start = file.read(6)
    opens = next((opens for magic, opens in PACKED.items() if start.startswith(magic)), None)
    if opens is None:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with opens(path) as packed, tempfile.TemporaryFile() as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
        plain.flush()
        plain.seek(0)
        return os.dup(plain.fileno())


def _is_picture(name: PurePosixPath) -> bool:
    return name.suffix.lower() in PICTURES and not name.name.startswith(".") and bool(name.parent.name)


def _class(member: tarfile.TarInfo) -> str:
    return PurePosixPath(member.name).parent.name

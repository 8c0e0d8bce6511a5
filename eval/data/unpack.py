"""Takes plain files out of an archive somebody else made: no path leads out, no links, no bombs."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

from eval.errors import DatasetError

__all__ = ["Limits", "free_bytes", "unpack"]

CHUNK = 1 << 20
BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, NotImplementedError)
Opened: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most an archive may become."""

    bytes: int
    files: int


def unpack(
    archive: Path,
    folder: Path,
    wanted: Callable[[str], bool],
    limits: Limits,
    came: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the wanted files of a .zip or a .tar, compressed or not, below `folder`; gives how many.

    Names are looked at before anything is written under them, sizes are counted as bytes come. Modes,
    owners and times of the archive are not taken over.

    Args:
        wanted: told the name of each file, as it is in the archive.
        came: told how many bytes are written.

    Raises:
        DatasetError: the archive is broken or beyond its limits, or a wanted file leads elsewhere or is a
            link.
    """
    files = written = 0
    try:
        for name, plain, opens in _members(archive):
            if not wanted(name):
                continue
            files += 1
            path = folder / _inside(archive, name, plain)
            if files > limits.files:
                raise DatasetError(f"{archive} must hold at most {limits.files} files, got more")
            path.parent.mkdir(parents=True, exist_ok=True)
            with opens() as source, path.open("xb") as target:
                while chunk := source.read(CHUNK):
                    written += len(chunk)
                    if written > limits.bytes:
                        raise DatasetError(f"{archive} must become at most {limits.bytes} bytes, got more")
                    target.write(chunk)
            came(written)
    except FileExistsError as error:
        raise DatasetError(f"{archive} has the file {error.filename} twice") from error
    except BROKEN as error:
        raise DatasetError(f"{archive} cannot be unpacked into {folder}: {error}") from error
    if not files:
        raise DatasetError(f"{archive} holds none of the files that were looked for")
    return files


def _inside(archive: Path, name: str, plain: bool) -> PurePosixPath:
    """The path of a member, which stays below where it is put."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise DatasetError(f"{archive} has a file that leads out of it: {name!r}; nothing of it is kept")
    if not plain:
        raise DatasetError(f"{archive} has a link or a device where a file should be: {name!r}")
    return path


def _members(archive: Path) -> Iterator[tuple[str, bool, Opened]]:
    """(name, whether it is a plain file, how to open it) of all but folders."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    yield info.filename, kind in (0, stat.S_IFREG), lambda info=info: packed.open(info)  # type: ignore[misc]
        return
    with tarfile.open(archive, "r:*") as tape:
        for member in tape:
            if not member.isdir():
                plain = member.isreg() and not member.issparse()
                yield member.name, plain, lambda member=member: _file(tape, member)  # type: ignore[misc]


def _file(tape: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = tape.extractfile(member)
    if opened is None:
        raise tarfile.TarError(f"{member.name} is no file")
    return opened


def free_bytes(folder: Path) -> int:
    """Room on the disk that holds a folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free

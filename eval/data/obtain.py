"""An official data set on this disk: fetched once, believed by its checksum, made whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from eval.data.sets import OfficialSet
from eval.data.unpack import free_bytes
from eval.errors import DatasetError

if TYPE_CHECKING:
    from models.recipes.fetch import Patience
    from models.recipes.remote import Remote

__all__ = ["CACHE_VARIABLE", "cache_folder", "obtain"]

CACHE_VARIABLE = "ASSAY_CACHE_DIR"


def cache_folder() -> Path:
    """Where fetched archives stay: `ASSAY_CACHE_DIR`, else `~/.cache/assay`."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "assay")


def obtain(
    name: str,
    wanted: OfficialSet,
    into: Path,
    *,
    cache: Path | None = None,
    given: Path | None = None,
    patience: Patience | None = None,
) -> Path:
    """The folder `<into>/<name>`, made from the published archives; nobody is asked when it is there.

    Archives stay in the cache. A download that was cut goes on where it stopped.

    Args:
        given: an archive that is there already, or the folder that holds all of them; nothing is fetched.

    Raises:
        DatasetError: an archive cannot be had or is another, it cannot be unpacked, or there is no room.
    """
    from models.recipes.bar import Bar

    folder = into / name
    if folder.exists():
        return folder
    archives = _archives(wanted, cache or cache_folder(), given, patience)
    if (free := free_bytes(into)) < wanted.room:
        raise DatasetError(
            f"{into} must have room for {wanted.room / 1e9:.1f} GB, got {free / 1e9:.1f} GB free"
        )
    bar = Bar(f"unpacking {name}", sys.stderr)
    try:
        into.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=into))
    except OSError as error:
        raise DatasetError(f"{into} cannot be written: {error.strerror}") from error
    try:
        wanted.make(archives, making, lambda written: bar.came(written, wanted.room))
        making.chmod(0o755)
        making.rename(folder)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be made: {error}") from error
    finally:
        bar.close()
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _archives(
    wanted: OfficialSet, cache: Path, given: Path | None, patience: Patience | None
) -> dict[str, Path]:
    """The published archives on this disk, by name; checked."""
    from models.recipes.fetch import fetch
    from models.recipes.remote import NotFetched, Remote

    found = {}
    for file in wanted.files:
        remote = Remote(file.url, file.sha256, file.size)
        try:
            found[remote.name] = _given(given, remote) if given else fetch(remote, cache, patience=patience)
        except NotFetched as error:
            raise DatasetError(str(error)) from error
        except KeyboardInterrupt:
            raise DatasetError(
                "stopped; what came is kept, and the same command goes on from there"
            ) from None
    return found


def _given(given: Path, remote: Remote) -> Path:
    from models.recipes.remote import difference

    path = given / remote.name if given.is_dir() else given
    try:
        wrong = difference(path, remote)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    if wrong:
        raise DatasetError(f"{path} {wrong}: it is not {remote.url}")
    return path

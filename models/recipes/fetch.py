"""Brings a published file into the cache folder: over https, resumed, believed only by its checksum.

Standard library only: a serving install has no HTTP client.
"""

from __future__ import annotations

import fcntl
import http.client
import io
import os
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.recipes.bar import Bar
from models.recipes.remote import NotFetched, Remote, difference
from models.recipes.transfer import Transfer
from models.recipes.transport import allowed, may_pass, retry_after_s

__all__ = ["Patience", "fetch"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait and how often to try.

    Attributes:
        timeout_s: silence after which a connection is given up.
        attempts: tries in a row that get no further.
        pause_s, longest_s: pauses double from the first to the longest; a server's `Retry-After` is kept,
            up to the longest.
        sleep: waits; tests do not.
    """

    timeout_s: float = 30.0
    attempts: int = 4
    pause_s: float = 1.0
    longest_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep


def fetch(
    remote: Remote,
    folder: Path,
    *,
    bar: Bar | None = None,
    patience: Patience | None = None,
) -> Path:
    """The verified file `<folder>/<name>`; nobody is asked when it is there already.

    What arrives is kept in `<name>.part` until it is whole and right, so that the same call goes
    on where a cut connection, a full disk or Ctrl-C ended it.

    Args:
        bar: shows what comes, and tells of tries that failed; by default on stderr.

    Raises:
        NotFetched: refused, unreachable, too large, no room, or the checksum is another.
    """
    if not allowed(remote.url):
        raise NotFetched(f"the address must be https without a user name, got {remote.url}")
    final, part = folder / remote.name, folder / f"{remote.name}.part"
    if _is(final, remote):
        return final
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _own(part) as file:
            transfer = Transfer(remote, part, file, bar or Bar(remote.name, sys.stderr))
            try:
                if not _is(part, remote):
                    _complete(transfer, patience or Patience())
                    _believe(transfer)
            finally:
                transfer.bar.close()
            transfer.tag.unlink(missing_ok=True)
            part.replace(final)
    except NotFetched:
        raise
    except OSError as error:
        raise NotFetched(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return final


def _is(path: Path, remote: Remote) -> bool:
    return path.is_file() and not difference(path, remote)


@contextmanager
def _own(part: Path) -> Iterator[io.FileIO]:
    """The part file, open to append, and nobody else's meanwhile."""
    with part.open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), part.stat()):
                raise FileNotFoundError  # it was finished and renamed between opening and locking
        except (BlockingIOError, FileNotFoundError) as error:
            raise NotFetched(f"{part} is written by another process: run this again when it ended") from error
        try:
            yield file
        finally:
            if not file.tell():
                part.unlink(missing_ok=True)


def _complete(transfer: Transfer, patience: Patience) -> None:
    """Try until the whole file is there."""
    furthest, failures = transfer.have, 0
    while True:
        try:
            return transfer.once(patience.timeout_s)
        except NotFetched:
            raise
        except (OSError, http.client.HTTPException) as error:
            failures = 1 if transfer.have > furthest else failures + 1
            furthest = max(furthest, transfer.have)
            if failures >= patience.attempts or not may_pass(error):
                raise NotFetched(_gone(transfer, error)) from error
            pause = max(patience.pause_s * 2 ** (failures - 1), retry_after_s(error))
            pause = min(pause, patience.longest_s)
            transfer.bar.tell(f"{_reason(error)}; trying again in {pause:g} s")
        patience.sleep(pause)


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server said {error.code} {' '.join(error.msg.split())}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection was cut"
    return str(getattr(reason, "strerror", None) or reason) or type(reason).__name__


def _gone(transfer: Transfer, error: BaseException) -> str:
    there, size = transfer.have if transfer.tag.is_file() else 0, transfer.remote.size
    kept = f" {there} of {size} bytes are kept: the same command goes on from there." if there else ""
    return (
        f"{transfer.remote.url} cannot be fetched: {_reason(error)}.{kept} Without a network, give the file "
        "with --from FILE"
    )


def _believe(transfer: Transfer) -> None:
    """Keep nothing of a file that is not the published one."""
    if wrong := difference(transfer.part, transfer.remote):
        transfer.start_over()
        raise NotFetched(
            f"{transfer.remote.url} {wrong}: it was replaced, or altered on its way, and nothing of it is "
            "kept. Try again from another network; if it stays so, do not use it"
        )

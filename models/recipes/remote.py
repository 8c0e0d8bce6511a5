"""A published file, and whether bytes on this disk are that file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["NotFetched", "Remote", "difference"]


class NotFetched(OSError):
    """The file could not be had, or is not the one that was published. One line, for a person."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A published file.

    Attributes:
        url: https, pinned to a commit or a release.
        sha256: 64 hex digits, or as many of the first as its publisher tells.
        size: bytes; where only a part of the checksum is known, the most it may have.
    """

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.rsplit("/", 1)[-1]

    @property
    def exact(self) -> bool:
        """The whole checksum, and so the size, is known."""
        return len(self.sha256) == 64


def difference(path: Path, remote: Remote) -> str:
    """How a file differs from the published one, in words; empty if it does not.

    Raises:
        OSError: the file cannot be read.
    """
    size, most = path.stat().st_size, "" if remote.exact else "at most "
    if size > remote.size or (remote.exact and size != remote.size):
        return f"must have {most}{remote.size} bytes, got {size}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(remote.sha256):
        return f"must have a sha256 of {remote.sha256}{'' if remote.exact else '...'}, got {found}"
    return ""

"""Who may ask: optional keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from eval.jobs.errors import NoKey

__all__ = ["Keys", "KeysError"]

SHORTEST = 16  # characters: a shorter key is a password, and would be guessed


class KeysError(ValueError):
    """The file of keys cannot be used; the service does not start."""


class Keys:
    """Keys from a file, one a line; `#` begins a comment. Only digests are kept. No file: all may ask.

    Raises:
        KeysError: the file is named but missing, empty, or holds a short key.
    """

    def __init__(self, path: Path | None) -> None:
        self._digests = None if path is None else _digests(path)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Let a request pass.

        Raises:
            NoKey: a key is needed, and there is none that is known.
        """
        if self._digests is None:
            return
        key, bearer = headers.get(b"x-api-key"), headers.get(b"authorization", b"")
        if not key and bearer[:7].lower() == b"bearer ":
            key = bearer[7:].strip()
        if not key:
            raise NoKey("a key is needed: `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        offered, found = hashlib.sha256(key).digest(), False
        for digest in self._digests:  # every one, always, so that time does not tell which was close
            found |= hmac.compare_digest(offered, digest)
        if not found:
            raise NoKey("the key is not known")


def _digests(path: Path) -> list[bytes]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"the keys in {path} cannot be read: {error}") from error
    keys = [key for line in lines if (key := line.split("#")[0].strip())]
    if not keys or min(map(len, keys)) < SHORTEST:
        raise KeysError(f"{path} must hold at least one key, each of {SHORTEST} characters or more")
    return [hashlib.sha256(key.encode()).digest() for key in keys]

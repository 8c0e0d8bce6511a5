"""Who may ask: optional keys, compared in constant time, administration apart."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from service.calls import Call
from service.errors import NoKey, NotAllowed

__all__ = ["Access", "KeysError"]

# Probes and scrapes carry no keys; what they tell is no secret.
OPEN = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"})
ADMIN = "/v2/repository/models/"  # load and unload
SHORTEST = 16  # characters: a shorter key is a password, and would be guessed


class KeysError(ValueError):
    """The file of keys cannot be used; the service does not start."""


class Access:
    """Keys from files, one a line; `#` begins a comment. Only digests are kept.

    Without an API key file everybody may ask; without an admin key file nobody may administer.

    Raises:
        KeysError: a file that is named but missing, empty, or holds a short key.
    """

    def __init__(self, api_file: Path | None, admin_file: Path | None) -> None:
        self._api, self._admin = _digests(api_file), _digests(admin_file)

    def check(self, call: Call) -> None:
        """Let a call pass. An admin key may ask, too.

        Raises:
            NoKey, NotAllowed: a key is needed and missing, or not enough.
        """
        admin = call.path.startswith(ADMIN)
        if admin and self._admin is None:
            raise NotAllowed(
                "models are not loaded or unloaded over HTTP here: ASSAY_ADMIN_KEYS_FILE is not set"
            )
        if not admin and (self._api is None or call.path in OPEN):
            return
        offered = _offered(call)
        if offered is None:
            raise NoKey("a key is needed: `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        if _among(offered, self._admin or []):
            return
        known = _among(offered, self._api or [])
        if admin:
            raise NotAllowed("this needs an admin key") if known else NoKey("the key is not known")
        if not known:
            raise NoKey("the key is not known")


def _digests(path: Path | None) -> list[bytes] | None:
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"the keys in {path} cannot be read: {error}") from error
    keys = [key for line in lines if (key := line.split("#")[0].strip())]
    if not keys or min(map(len, keys)) < SHORTEST:
        raise KeysError(f"{path} must hold at least one key, each of {SHORTEST} characters or more")
    return [hashlib.sha256(key.encode()).digest() for key in keys]


def _offered(call: Call) -> bytes | None:
    """The digest of the key a call brings. Digests have one length, so comparing them tells nothing."""
    key = call.headers.get(b"x-api-key")
    bearer = call.headers.get(b"authorization", b"")
    if not key and bearer[:7].lower() == b"bearer ":
        key = bearer[7:].strip()
    return hashlib.sha256(key).digest() if key else None


def _among(offered: bytes, known: list[bytes]) -> bool:
    """Compares with every key, always, so that time does not tell which was close."""
    found = False
    for digest in known:
        found |= hmac.compare_digest(offered, digest)
    return found

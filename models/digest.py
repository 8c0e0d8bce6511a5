"""RFC 9530 `Content-Digest`: by which whoever gets a body knows that it is the one that was sent.

The checksum of TCP is 16 bits, and of one hop: proxies and broken hardware change what no packet shows, and
raw pixels or a digit of a score look as good after that as before. Headers are no part of a content, so a
digest says nothing of them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["ALGORITHMS", "DIGEST", "WANT", "digest_of", "is_intact", "wanted_of"]

DIGEST, WANT = "content-digest", "want-content-digest"
ALGORITHMS: Mapping[str, Any] = MappingProxyType({"sha-256": hashlib.sha256, "sha-512": hashlib.sha512})
LARGE_BYTES = 1 << 20  # worth a thread: half a millisecond where the processor knows SHA, three where not


async def digest_of(content: bytes, algorithm: str = "sha-256") -> str:
    """The header that belongs to a content."""
    if len(content) > LARGE_BYTES:
        return await asyncio.to_thread(_digest, content, algorithm)
    return _digest(content, algorithm)


def _digest(content: bytes, algorithm: str) -> str:
    return f"{algorithm}=:{base64.b64encode(ALGORITHMS[algorithm](content).digest()).decode()}:"


async def is_intact(told: str, content: bytes) -> bool:
    """Whether a content is what its header says; true where that names no algorithm of RFC 9530's.

    A digest that cannot be read is a wrong one: whatever changed it may have changed the content. Of a name
    that is told several times the last counts (RFC 9651), so a content is read once for each algorithm.
    """
    values = dict(_members(told))
    for name in ALGORITHMS.keys() & values:
        right = await digest_of(content, name)
        if f"{name}={values[name].rstrip(':').rstrip('=')}" != right.rstrip(":").rstrip("="):
            return False
    return True


def wanted_of(told: str) -> str | None:
    """The algorithm that `Want-Content-Digest` likes best of those we know; None where it wants none."""
    likes = {name: int(value) for name, value in _members(told) if value.isascii() and value.isdecimal()}
    known = [name for name in ALGORITHMS if 0 < likes.get(name, 0) <= 10]
    return max(known, key=lambda name: likes[name], default=None)


def _members(told: str) -> list[tuple[str, str]]:
    """Keys and values of a dictionary of structured fields (RFC 9651), without their parameters."""
    pairs = (member.partition(";")[0].partition("=") for member in told.split(",") if member.strip())
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]

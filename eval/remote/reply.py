"""What a server answers, and what its failures say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
from yarl import URL

from eval.remote.words import printable

__all__ = ["AGAIN", "BUSY", "Reply", "is_passing", "retry_after", "words_of"]

BUSY = {429, 503}  # the server has too much to do
AGAIN = {*BUSY, 408, 502, 504}  # any other error would only come back, but for this one
CHANGED = "digest_mismatch"  # what a service of ours says of a request that is not as it was sent


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    url: URL
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed; None where it is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


def is_passing(reply: Reply) -> bool:
    """Whether a failure is worth another try: the server is busy, or the request came to it changed."""
    told = reply.json() if reply.status == 400 else None
    return reply.status in AGAIN or (isinstance(told, dict) and told.get("code") == CHANGED)


def words_of(reply: Reply) -> str:
    """What a failure says, in any of the usual places."""
    told = reply.json()
    for _ in range(2):  # some put an object of their own there
        if isinstance(told, dict):
            told = next((told[key] for key in ("error", "detail", "message") if key in told), None)
    return printable(told) if isinstance(told, str) and told else "without a readable error"


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait; from a date, by the server's own clock where it tells. 0 where none is asked for."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0

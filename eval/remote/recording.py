"""What an endpoint sends and hears, kept: the very requests can then be sent again by somebody else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yarl import URL

from eval.remote.endpoint import LiveEndpoint
from eval.remote.http import Http
from eval.remote.reply import Reply

__all__ = ["Heard", "Recorder", "Sent", "recording"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, with all its headers: they may hold secrets, so keep it private."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """One request about pictures that was answered.

    Attributes:
        headers: of the answer, names in lower case.
        seconds: until it was there, retries included.
    """

    sent: Sent
    headers: Mapping[str, str]
    seconds: float


class Recorder(Http):
    """A session that keeps what goes through another one's; `heard` may be cleared at any time."""

    def __init__(self, http: Http) -> None:
        vars(self).update(vars(http))
        self.heard: list[Heard] = []

    async def ask(
        self,
        url: URL,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        images: int = 1,
    ) -> Reply:
        """As the other would; kept where it is about pictures."""
        began = time.perf_counter()
        reply = await super().ask(url, body, headers, method=method, images=images)
        seconds = time.perf_counter() - began
        if images:
            whole = url.update_query(self._query.filled()) if self._query.secrets else url
            every = {**self._headers.plain, **(headers or {}), **self._headers.filled()}
            sent = Sent(method, str(whole), every, body or b"")
            told = {name.lower(): value for name, value in reply.headers.items()}
            self.heard.append(Heard(sent, told, seconds))
        return reply


def recording(endpoint: LiveEndpoint[Any]) -> Recorder:
    """Make an endpoint that is not entered yet keep what it sends and hears."""
    recorder = Recorder(endpoint.http)
    endpoint.http = recorder
    return recorder

"""One request and its reply, as small as they can be; what every handler gets and gives."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from service.errors import ServiceError, error_body

__all__ = [
    "App",
    "Call",
    "Headers",
    "Message",
    "Receive",
    "Reply",
    "Scope",
    "Send",
    "error_reply",
    "json_reply",
]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


@dataclass(slots=True, eq=False)
class Call:
    """A request whose headers are there.

    Attributes:
        headers: the last value of each, names in lower case.
        deadline: when its time is over, in `time.monotonic()`.
        held: bytes of it that are counted as memory in use.
    """

    scope: Scope
    receive: Receive
    request_id: str
    deadline: float
    headers: dict[bytes, bytes] = field(default_factory=dict)
    held: int = 0
    model: str = ""
    images: int = 0

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    def text(self, name: bytes) -> str:
        """A header as text; empty where it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def gone(self) -> bool:
        """True once the client has closed the connection; told by our HTTP protocol."""
        cycle = self.scope["state"].get("cycle")
        return cycle is not None and bool(cycle.disconnected)

    @property
    def is_whole(self) -> bool:
        """Whether the whole body is here already; told by our HTTP protocol."""
        cycle = self.scope["state"].get("cycle")
        return cycle is not None and not cycle.more_body

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - time.monotonic())


@dataclass(slots=True)
class Reply:
    """A whole answer.

    Attributes:
        close: end the connection after it, because the rest of the request is not wanted.
        code: of the error, where it is one.
    """

    body: bytes = b""
    status: int = 200
    headers: Headers = field(default_factory=lambda: [JSON])
    close: bool = False
    code: str | None = None


def json_reply(body: Any) -> Reply:
    """An object as JSON; NumPy arrays are written as lists."""
    return Reply(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


# The rest of a request that was refused for these is not waited for.
_ENDING = {400, 401, 403, 408, 413, 431}


def error_reply(error: ServiceError, request_id: str) -> Reply:
    """An error of ours, with `Retry-After` where trying again helps."""
    headers = [JSON]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    body = orjson.dumps(error_body(error, request_id))
    return Reply(body, error.status, headers, error.status in _ENDING, error.code)

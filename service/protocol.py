"""uvicorn's HTTP protocol, with the limits it lacks: headers, patience, connections.

BentoML starts uvicorn itself and passes no such options, but uvicorn looks its protocol up in a table
by name; `install` puts this class there. The class also puts our `Edge` around BentoML's whole
application, so that what Assay answers itself does not pass through BentoML's layers first.

Slow senders and slow readers are found by one sweep a second over all connections: no timer a request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import uvicorn.config
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.calls import App, error_reply
from service.errors import BadRequest, HeadersTooLarge, ServiceError
from service.middleware import Edge
from service.running import Running
from service.settings import ServiceSettings

__all__ = ["GuardedProtocol", "install"]

SWEEP_S = 1.0
MAX_HEADERS = 128


class _Guard:
    """What the connections of one process share."""

    def __init__(self) -> None:
        self.current: Callable[[], Running | None] = lambda: None
        self._edge: Edge | None = None
        self._sweeping = False

    def around(self, app: App) -> Edge:
        """The one `Edge` around BentoML's application."""
        if self._edge is None or self._edge.app is not app:
            self._edge = Edge(app, current=lambda: self.current(), outermost=True)
        return self._edge

    @property
    def settings(self) -> ServiceSettings:
        running = self.current()
        return running.settings if running is not None else ServiceSettings()

    def watch(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Sweep once a second for as long as there are connections."""
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_S, self._sweep, connections, loop)

    def _sweep(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = False
        now, told = time.monotonic(), self.settings
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol) and connection.is_slow(now, told):
                connection.transport.abort()
        if connections:
            self.watch(connections, loop)


_guard = _Guard()


def install(current: Callable[[], Running | None]) -> None:
    """Make uvicorn use this protocol; `current` gives the running service once there is one."""
    _guard.current = current
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{GuardedProtocol.__name__}"


class _Corked:
    """A transport that sends the head of an answer together with the first part of its body.

    uvicorn writes them apart, and each write is a system call and often a packet.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = b""

    def write(self, data: bytes) -> None:
        if self._head == b"":
            self._head = data
        elif self._head is None:
            self._transport.write(data)
        else:
            self._transport.write(self._head + data)
            self._head = None

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Times are those of `time.monotonic()`; None where nothing is waited for."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self.app = cast("Any", _guard.around(cast("App", self.config.loaded_app)))
        self.access_log = False  # ours has a line for each request
        self._most_bytes = _guard.settings.max_header_bytes
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._stuck_since: float | None = None
        self._head_bytes = self._told_bytes = 0
        self._refusal: ServiceError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._head_since = time.monotonic()
        if len(self.connections) > _guard.settings.max_connections:
            transport.abort()
            return
        _guard.watch(self.connections, self.loop)

    def is_slow(self, now: float, told: ServiceSettings) -> bool:
        """Whether the other side has had all the time it gets: for headers, to read, to end a body."""
        limits = (
            (self._head_since, told.header_timeout_s),
            (self._stuck_since, told.header_timeout_s),
            (self._body_since, told.timeout_s + told.header_timeout_s),
        )
        return any(since is not None and now - since > most for since, most in limits)

    def data_received(self, data: bytes) -> None:
        if self._head_since is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        # The parser keeps a header to itself until it is whole; this is what it has eaten.
        if self._head_since is not None and self._head_bytes > self._most_bytes:
            self._refuse_head()
            self.send_400_response("")

    def _refuse_head(self) -> None:
        if self._refusal is None:
            self._refusal = HeadersTooLarge(
                f"the headers must have at most {self._most_bytes} bytes and {MAX_HEADERS} lines"
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self._head_since or time.monotonic()
        self._head_bytes = self._told_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def _count(self, size: int) -> None:
        self._told_bytes += size
        if self._told_bytes > self._most_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse_head()
            raise HttpParserError("headers too large")

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head_since = None
        self._body_since = time.monotonic()
        self.scope["state"]["cycle"] = self.cycle
        if self.scope["method"] != "HEAD":
            self.cycle.transport = cast("asyncio.Transport", _Corked(self.transport))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._body_since = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck_since = time.monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stuck_since = None

    def send_400_response(self, msg: str) -> None:
        """What the parser or a limit refused, in our one shape; the connection ends."""
        if self.transport.is_closing():
            return
        reply = error_reply(self._refusal or BadRequest(msg or "the request is not HTTP"), "")
        head = [STATUS_LINE[reply.status], b"connection: close\r\n"]
        head += [
            name + b": " + value + b"\r\n"
            for name, value in (*reply.headers, (b"content-length", b"%d" % len(reply.body)))
        ]
        self.transport.write(b"".join([*head, b"\r\n", reply.body]))
        self.transport.close()

    def _should_upgrade_to_ws(self) -> bool:
        return False  # nothing here speaks it

    def _unsupported_upgrade_warning(self) -> None:
        """Anybody could fill the log with it."""

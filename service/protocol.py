"""uvicorn's HTTP protocol, with the limits it lacks: headers, patience, connections.

BentoML starts uvicorn itself and passes no such options, but uvicorn looks its protocol up in a table
by name; `install` puts this class there. The class also puts our `Edge` around BentoML's whole
application, so that what Assay answers itself does not pass through BentoML's layers first.

Slow senders and slow readers are found by one sweep a second over all connections: no timer a request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, cast

import uvicorn.config
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.calls import App, Reply, error_reply
from service.errors import BadRequest, HeadersTooLarge, ServiceError
from service.logs import get_log
from service.middleware import Edge, new_request_id
from service.running import Running
from service.settings import ServiceSettings

__all__ = ["GuardedProtocol", "install"]

SWEEP_S = 1.0
MAX_HEADERS = 128
BODY = {b"content-length", b"transfer-encoding"}
MAX_PIPELINED = 64  # requests read ahead of their turn; one of 40 bytes takes four kilobytes


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

    def note_refused(self, request_id: str, reply: Reply) -> None:
        """Count and log what never became a request."""
        if self._edge is not None:
            self._edge.note_refused(request_id, reply)

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
    get_log("http").setLevel(logging.ERROR)  # uvicorn's warnings of each refused request: ours has a line
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
        if data.startswith(b"HTTP/1.1 100 "):  # who sent "Expect" waits for it, and we for the body
            self._transport.write(data)
        elif self._head == b"":
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
        self.logger = get_log("http")
        self.access_log = False  # ours has a line for each request
        self._most_bytes = _guard.settings.max_header_bytes
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._stuck_since: float | None = None
        self._unsent = self._head_bytes = self._told_bytes = 0
        self._cycles: list[RequestResponseCycle] = []
        self._refusal: ServiceError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._head_since = time.monotonic()
        if len(self.connections) > _guard.settings.max_connections:
            transport.abort()
            return
        _guard.watch(self.connections, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)  # tells the latest request only, which may still wait for its turn
        for cycle in self._cycles:
            cycle.disconnected = cycle.disconnected or not cycle.response_complete
            cycle.message_event.set()

    def is_slow(self, now: float, told: ServiceSettings) -> bool:
        """Whether the other side has had all the time it gets: for headers, to read on, to end a body."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._stuck_since = None
        elif self._stuck_since is None or unsent < self._unsent:
            self._stuck_since = now
        self._unsent = unsent
        limits = (
            (self._head_since, told.header_timeout_s),
            (self._stuck_since, told.header_timeout_s),
            (self._body_since, told.timeout_s + told.header_timeout_s),
        )
        return any(since is not None and now - since > most for since, most in limits)

    def data_received(self, data: bytes) -> None:
        if self._head_since is None and self._body_since is None:
            # Perhaps no request begins, but uvicorn's timer of an idle connection has ended.
            self._head_since = time.monotonic() if self.cycle.response_complete else None
        latest = self.cycle
        super().data_received(data)
        if self._head_since is not None and self.cycle is latest:
            # The parser keeps a header to itself until it is whole; this is what it has eaten.
            self._head_bytes += len(data)
            if self._head_bytes > self._most_bytes:
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
        if self._head_since is not None:  # else a trailer, which must not say what a header did not
            super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def _count(self, size: int) -> None:
        self._told_bytes += size
        if self._told_bytes > self._most_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse_head()
            raise HttpParserError("headers too large")

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(f"at most {MAX_PIPELINED} requests may be sent ahead of their answers")
        if self.parser.should_upgrade() and any(
            name in BODY and value != b"0" for name, value in self.headers
        ):
            # The parser leaves such a body to the other protocol, and would read it as a request.
            self._refuse("a request with a body must not ask for another protocol")
        super().on_headers_complete()
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete] + [self.cycle]
        self._head_since = None
        self._body_since = time.monotonic()
        self.scope["state"]["cycle"] = self.cycle
        if self.scope["method"] != "HEAD":
            self.cycle.transport = cast("asyncio.Transport", _Corked(self.transport))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._body_since = None

    def _refuse(self, words: str) -> None:
        self._refusal = BadRequest(words)
        raise HttpParserError(words)

    def send_400_response(self, msg: str) -> None:
        """What the parser or a limit refused, in our one shape; the connection ends."""
        if self.transport.is_closing():
            return
        refusal = self._refusal or BadRequest(msg or "the request is not HTTP")
        request_id = new_request_id()
        reply = error_reply(refusal, request_id)
        _guard.note_refused(request_id, reply)
        head = [STATUS_LINE[reply.status], b"connection: close\r\n"]
        head += [
            name + b": " + value + b"\r\n"
            for name, value in (
                *reply.headers,
                (b"content-length", b"%d" % len(reply.body)),
                (b"x-request-id", request_id.encode()),
            )
        ]
        self.transport.write(b"".join([*head, b"\r\n", reply.body]))
        self.transport.close()

    def _should_upgrade_to_ws(self) -> bool:
        return False  # nothing here speaks it

    def _unsupported_upgrade_warning(self) -> None:
        """Anybody could fill the log with it."""

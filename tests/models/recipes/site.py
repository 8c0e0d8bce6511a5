"""A web site of one file on this machine, which can be told to misbehave."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Behaviour", "Site", "answer", "cut", "hang", "plain", "running", "unsized"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as its site says."""

    site: Site

    def do_GET(self) -> None:
        self.site.asked.append(dict(self.headers.items()))
        (self.site.behaviours.pop(0) if self.site.behaviours else plain)(self)

    def do_CONNECT(self) -> None:
        self.site.asked.append({"CONNECT": self.path})
        self.send_response(403)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


Behaviour: TypeAlias = Callable[[Handler], None]


@dataclass
class Site:
    """What is served, and what happened.

    Attributes:
        behaviours: one for each request to come; then all is well.
        asked: the headers of each request.
        sent: bytes of bodies.
    """

    content: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    ranges: bool = True
    behaviours: list[Behaviour] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


def plain(handler: Handler, most: int | None = None) -> None:
    """The file, or the asked part of it while it is the same file (RFC 9110, 13.1.5 and 14.2)."""
    site = handler.site
    wanted, known = handler.headers.get("Range"), handler.headers.get("If-Range")
    names = (site.headers.get("ETag"), site.headers.get("Last-Modified"))
    body, start = site.content, 0
    if site.ranges and wanted and known in names:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = body[start:]
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
    else:
        handler.send_response(200)
    for name, value in site.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    _send(handler, body if most is None else body[:most])


def cut(after: int) -> Behaviour:
    """As `plain`, but the connection ends after so many bytes."""
    return lambda handler: plain(handler, after)


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """A status, headers (`_` for `-`) and a body."""

    def run(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        _send(handler, body)

    return run


def unsized(handler: Handler) -> None:
    """The file without its length: its end is the connection's."""
    handler.send_response(200)
    handler.end_headers()
    _send(handler, handler.site.content)


def hang(handler: Handler) -> None:
    """Nothing, until the site is closed."""
    handler.site.over.wait()


def _send(handler: Handler, body: bytes) -> None:
    handler.site.sent += len(body)  # before the client can see it
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(body)
        handler.wfile.flush()


@contextlib.contextmanager
def running(content: bytes, *, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A site with this file at `url`, as a thread."""
    site = Site(content)
    kind = type("OwnHandler", (Handler,), {"site": site})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        site.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/file.bin"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.over.set()
            server.shutdown()
            thread.join()

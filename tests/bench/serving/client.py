"""A small HTTP/1.1 client on asyncio streams: kept-alive connections, and nothing retried.

A benchmark must see every failure; clients that try again by themselves hide them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAILURES", "Connection", "Reply", "get"]

# What a request can end with instead of an answer.
FAILURES = (OSError, EOFError, ValueError, TimeoutError)


@dataclass(frozen=True)
class Reply:
    """An answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One connection to a loopback port, opened when first used and after the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, wire: bytes, *, timeout_s: float = 30.0) -> Reply:
        """Send a whole request and read its answer.

        Raises:
            OSError, EOFError, ValueError, TimeoutError: there was none; see FAILURES.
        """
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._ask(wire)
        except BaseException:  # also when cancelled: what is left on the wire answers nothing
            self.close()
            raise
        if reply.headers.get("connection") == "close":
            self.close()
        return reply

    async def _ask(self, wire: bytes) -> Reply:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(wire)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if "content-length" not in headers:
            raise ValueError(f"the answer must tell its length, got {headers}")
        body = await reader.readexactly(int(headers["content-length"]))
        return Reply(int(first.split()[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._streams[1].close()
            self._streams = None


def get(path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

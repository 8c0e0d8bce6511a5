"""What can be done to a connection: each deed is told a piece of what passes, and gives what goes on."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

__all__ = ["DEEDS", "GARBAGE", "READ", "Fault", "Link", "Over"]

READ = 1 << 16
GARBAGE = 64  # bytes at once
QUIET_S = 0.002  # after which an answer is taken to be whole
PIECE = 7  # bytes, of what is sent in pieces
DIGITS = "0123456789"
LENGTH = re.compile(rb"(?<=\n)content-length: (\d+)", re.IGNORECASE)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing says RST


@dataclass(frozen=True, slots=True)
class Fault:
    """What a network does.

    Attributes:
        deed: one of `DEEDS`.
        upward: done to what the client sends, else to what it is answered.
        at: least and most bytes that pass on a connection before.
        seconds: of a wait.
        share: of the connections that are struck.
        first: connections that pass unharmed before.
        most: connections that are struck in all.
    """

    deed: str
    upward: bool = False
    at: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    share: float = 1.0
    first: int = 0
    most: float = math.inf


class Over(Exception):
    """This connection has ended."""


@dataclass(slots=True, eq=False)
class Link:
    """One connection of a client, and the one or two to the service that belong to it."""

    fault: Fault
    random: Random
    client: asyncio.StreamWriter
    service: asyncio.StreamWriter
    twin: asyncio.StreamWriter | None = None
    left: int = 0  # bytes that pass until it is struck
    struck: bool = False
    said: bytearray = field(default_factory=bytearray)
    quiet: asyncio.TimerHandle | None = None
    waiting: list[tuple[asyncio.Future[bytes], bytes]] = field(default_factory=list)  # of all connections


Deed = Callable[[Link, bytes], Awaitable[bytes]]


async def _late(link: Link, data: bytes) -> bytes:
    """Every piece is late, each by another time."""
    await asyncio.sleep(link.fault.seconds * (0.5 + link.random.random()))
    return data


async def _stall(link: Link, data: bytes) -> bytes:
    """Nothing passes for a while, once."""
    if not link.struck:
        await asyncio.sleep(link.fault.seconds)
    return data


async def _pieces(link: Link, data: bytes) -> bytes:
    """A few bytes at a time."""
    out = link.service if link.fault.upward else link.client
    for start in range(0, len(data), PIECE):
        out.write(data[start : start + PIECE])
        await out.drain()
        await asyncio.sleep(link.fault.seconds)
    return b""


async def _hole(link: Link, data: bytes) -> bytes:
    """Nothing passes any more, and nobody is told."""
    return b""


async def _reset(link: Link, data: bytes) -> bytes:
    _abort(link)
    raise Over


def _abort(link: Link) -> None:
    """Close the client's connection with RST instead of FIN, if it is open."""
    if link.client.is_closing():
        return
    connection = link.client.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    link.client.transport.abort()


async def _cut(link: Link, data: bytes) -> bytes:
    """Both sides are closed as if all had been said."""
    raise Over


async def _half(link: Link, data: bytes) -> bytes:
    """This way is closed, the other stays open."""
    if not link.struck:
        with contextlib.suppress(OSError):  # whoever is gone already hears no end
            (link.service if link.fault.upward else link.client).write_eof()
    return b""


async def _slow(link: Link, data: bytes) -> bytes:
    """A narrow way: every byte takes its time."""
    await asyncio.sleep(link.fault.seconds * len(data))
    return data


async def _idle(link: Link, data: bytes) -> bytes:
    """Reset between two requests, a moment after an answer came."""
    if link.quiet is not None:
        link.quiet.cancel()
    link.quiet = asyncio.get_running_loop().call_later(QUIET_S, _abort, link)
    return data


async def _flipped(link: Link, data: bytes) -> bytes:
    """One bit of a piece is another, once."""
    if link.struck:
        return data
    at = link.random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << link.random.randrange(8)]) + data[at + 1 :]


async def _digit(link: Link, data: bytes) -> bytes:
    """One digit of a piece is another, once: a number that looks as good as before."""
    digits = [at for at, byte in enumerate(data) if chr(byte) in DIGITS]
    if link.struck or not digits:
        return data
    at = link.random.choice(digits)
    other = link.random.choice(DIGITS.replace(chr(data[at]), ""))
    return data[:at] + other.encode() + data[at + 1 :]


async def _short(link: Link, data: bytes) -> bytes:
    """The rest of an answer is left out, and its head says that it was never there."""
    link.said += data
    head, end, body = bytes(link.said).partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    if not end or length is None or len(body) < int(length[1]):
        return b""
    link.said.clear()
    kept = body if link.struck else body[: link.random.randrange(len(body) or 1)]
    return LENGTH.sub(b"content-length: %d" % len(kept), head) + end + kept


async def _swapped(link: Link, data: bytes) -> bytes:
    """Two answers that come at once on two connections change places."""
    if link.waiting:
        theirs, said = link.waiting.pop()
        theirs.set_result(data)
        return said
    mine = asyncio.get_running_loop().create_future(), data
    link.waiting.append(mine)
    try:
        await asyncio.wait([mine[0]], timeout=link.fault.seconds)
    finally:
        if mine in link.waiting:
            link.waiting.remove(mine)
    return mine[0].result() if mine[0].done() else data


async def _overwritten(link: Link, data: bytes) -> bytes:
    """Bytes of chance in the place of the last ones of a piece, once."""
    return data if link.struck else data[:-GARBAGE] + link.random.randbytes(GARBAGE)[-len(data) :]


async def _inserted(link: Link, data: bytes) -> bytes:
    """Bytes of chance before the others, once."""
    return data if link.struck else link.random.randbytes(GARBAGE) + data


async def _page(link: Link, data: bytes) -> bytes:
    """A gateway answers in the place of the service, and says that all is well."""
    body = b"<html><body>Please sign in</body></html>"
    link.client.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    raise Over


async def _twice(link: Link, data: bytes) -> bytes:
    """Everything that is sent arrives on two connections; the answers of one come back."""
    if link.twin is not None:
        link.twin.write(data)
    return data


async def _again(link: Link, data: bytes) -> bytes:
    """Every answer comes once more, a moment after it came: whoever asks next is given the last answer."""
    loop = asyncio.get_running_loop()

    def write(said: bytes) -> None:
        if not link.client.is_closing():
            link.client.write(said)

    def whole() -> None:
        said = bytes(link.said)
        link.said.clear()
        write(said)
        loop.call_later(QUIET_S, write, said)

    if link.quiet is not None:
        link.quiet.cancel()
    link.said += data
    link.quiet = loop.call_later(QUIET_S, whole)
    return b""


DEEDS: Mapping[str, Deed] = MappingProxyType(
    {
        "late": _late,
        "slow": _slow,
        "stall": _stall,
        "pieces": _pieces,
        "hole": _hole,
        "refused": _reset,
        "reset": _reset,
        "idle": _idle,
        "cut": _cut,
        "half": _half,
        "short": _short,
        "flipped": _flipped,
        "digit": _digit,
        "overwritten": _overwritten,
        "inserted": _inserted,
        "page": _page,
        "twice": _twice,
        "again": _again,
        "swapped": _swapped,
    }
)

"""Reads a body: bounded in bytes, time and memory, before and after decompression; intact if it says so."""

from __future__ import annotations

import asyncio
import zlib

from models.digest import DIGEST, is_intact
from service.calls import Call
from service.errors import BadRequest, DigestMismatch, OutOfMemory, SlowBody, TooLarge, UnsupportedBody
from service.settings import ServiceSettings

__all__ = ["Memory", "read_body"]

# Smaller bodies are decompressed on the spot: handing over costs more than they do.
SMALL_BYTES = 1 << 16


class Memory:
    """Bytes of all requests together; each call counts what it holds and gives it back at its end."""

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0

    def take(self, call: Call, count: int) -> None:
        """Count more bytes for a call. Raises OutOfMemory."""
        if self.used + count > self.most:
            raise OutOfMemory(f"requests may hold {self.most} bytes together; try again soon")
        self.used += count
        call.held += count

    def release(self, call: Call) -> None:
        """The call is over."""
        self.used -= call.held
        call.held = 0


async def read_body(call: Call, settings: ServiceSettings, memory: Memory) -> bytes:
    """The whole body, as its digest says and decompressed; refused as soon as it is known to be too large.

    Raises:
        ServiceError: 400, 408, 413, 415 or 503.
    """
    limit = settings.max_body_bytes
    declared = call.headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"a request must have at most {limit} bytes, got {declared.decode()[:20]}")
    try:
        if call.is_whole:  # most are: no timer is needed
            body = await _received(call, limit, memory)
        else:
            async with asyncio.timeout(call.left_s):
                body = await _received(call, limit, memory)
    except TimeoutError as late:
        raise SlowBody(f"the body must arrive within {settings.timeout_s:g} s") from late
    if not await is_intact(call.text(DIGEST.encode()), body):
        raise DigestMismatch(
            "the body is not the one its Content-Digest is of; send it again, and if this is said each time, "
            "have whatever rewrites it on the way leave that header out"
        )
    encoding = call.text(b"content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise UnsupportedBody(f"the content encoding must be gzip or deflate, got {encoding[:40]!r}")
    if len(body) > SMALL_BYTES:
        plain = await asyncio.to_thread(_decompressed, body, encoding, limit)
    else:
        plain = _decompressed(body, encoding, limit)
    memory.take(call, len(plain))
    return plain


async def _received(call: Call, limit: int, memory: Memory) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client left before its request was whole")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"a request must have at most {limit} bytes, got more")
        memory.take(call, len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """Never makes more than `limit` bytes, whatever the ratio.

    "deflate" is a zlib stream by RFC 9110, but some senders leave zlib's header out.
    """
    for wbits in (31,) if encoding == "gzip" else (15, -15):
        stream = zlib.decompressobj(wbits)
        try:
            plain = stream.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise TooLarge(f"a request must have at most {limit} bytes after decompression, got more")
        if not stream.eof or stream.unused_data:
            raise BadRequest(f"the {encoding} body must be one whole stream")
        return plain
    raise BadRequest(f"the body is not {encoding}")

"""A body is read within its bytes, its time and the memory of all, before and after decompression."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import body
from service.body import SMALL_BYTES, Memory, read_body
from service.calls import Call, Message
from service.errors import BadRequest, OutOfMemory, ServiceError, SlowBody, TooLarge, UnsupportedBody
from service.settings import ServiceSettings

LIMIT = 1000
GONE: Message = {"type": "http.disconnect"}


def chunks(*parts: bytes) -> list[Message]:
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": i < last} for i, part in enumerate(parts)]


def call(messages: Sequence[Message], *, left_s: float = 30.0, whole: bool = False, **headers: str) -> Call:
    """A request whose messages come at once; after the last, nothing ever comes."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    state = {"cycle": SimpleNamespace(more_body=not whole, disconnected=False)}
    scope = {"path": "/", "method": "POST", "state": state}
    return Call(scope, receive, "id", time.monotonic() + left_s, told)


def read(asked: Call, memory: Memory | None = None, limit: int = LIMIT) -> bytes:
    settings = ServiceSettings(max_body_bytes=limit)
    return asyncio.run(read_body(asked, settings, memory or Memory(10 * limit)))


def refused(kind: type[ServiceError], asked: Call, memory: Memory | None = None, match: str = ".") -> None:
    with pytest.raises(kind, match=match) as told:
        read(asked, memory)
    assert type(told.value) is kind


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.booleans())
def test_parts_are_put_together(parts: list[bytes], whole: bool) -> None:
    memory = Memory(10_000)
    asked = call(chunks(*parts), whole=whole)
    assert read(asked, memory) == b"".join(parts)
    assert memory.used == asked.held == sum(map(len, parts))
    memory.release(asked)
    assert memory.used == asked.held == 0


def test_a_body_may_be_as_large_as_the_limit_and_no_larger() -> None:
    assert read(call(chunks(bytes(LIMIT)))) == bytes(LIMIT)
    refused(TooLarge, call(chunks(bytes(LIMIT + 1))), match="at most 1000 bytes, got more")
    refused(TooLarge, call(chunks(bytes(600), bytes(401), b"never read")))


def test_what_is_declared_too_large_is_not_read() -> None:
    for declared in ("1001", "9" * 100):
        refused(TooLarge, call([], content_length=declared), match="got 1001|got 99999")
    assert read(call(chunks(b"abc"), content_length="1000")) == b"abc"
    assert read(call(chunks(b"abc"), content_length="many")) == b"abc"  # the HTTP parser's matter


def test_no_more_is_read_than_is_needed_to_refuse() -> None:
    memory = Memory(100_000)
    asked = call(chunks(bytes(600), bytes(600), bytes(600)))
    refused(TooLarge, asked, memory)
    assert memory.used == 600
    assert asyncio.run(left(asked)) == 1


async def left(asked: Call) -> int:
    """How many messages nobody has fetched."""
    count = 0
    try:
        async with asyncio.timeout(0.01):
            while True:
                await asked.receive()
                count += 1
    except TimeoutError:
        return count


def test_a_body_that_does_not_come_is_given_up() -> None:
    for messages in ([], chunks(b"half", b"")[:1]):
        began = time.monotonic()
        refused(SlowBody, call(messages, left_s=0.02), match="within 30 s")
        assert time.monotonic() - began < 10
    refused(SlowBody, call([], left_s=-5))


def test_a_body_that_is_there_is_read_however_late_it_is() -> None:
    """The engine tells that it is too late; there is nothing to wait for here."""
    assert read(call(chunks(b"abc"), left_s=-5, whole=True)) == b"abc"


def test_a_client_that_leaves_has_no_body() -> None:
    refused(BadRequest, call([GONE]), match="left")
    refused(BadRequest, call([*chunks(b"half", b"")[:1], GONE]), match="left")


def plain_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


WAYS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", plain_deflate),
    (" GZip ", gzip.compress),
    ("identity", bytes),
    ("", bytes),
]


@given(st.sampled_from(WAYS), st.binary(max_size=900))
def test_what_was_compressed_is_as_before(way: tuple[str, Callable[[bytes], bytes]], data: bytes) -> None:
    name, pack = way
    memory = Memory(10_000)
    asked = call(chunks(pack(data)), content_encoding=name)
    assert read(asked, memory) == data
    packed = len(pack(data)) if pack is not bytes else 0
    assert memory.used == packed + len(data)  # both are held at once


@pytest.mark.parametrize(("name", "pack"), WAYS[:3])
def test_the_limit_is_one_for_what_comes_out_too(name: str, pack: Callable[[bytes], bytes]) -> None:
    assert read(call(chunks(pack(bytes(LIMIT))), content_encoding=name)) == bytes(LIMIT)
    for size in (LIMIT + 1, LIMIT * 500):
        asked = call(chunks(pack(bytes(size))), content_encoding=name)
        refused(TooLarge, asked, match="after decompression")


def test_a_bomb_is_never_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one byte more than is needed to know that it is too large."""
    asked_for: list[int] = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self.stream = real(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            asked_for.append(most)
            return self.stream.decompress(data, most)

    monkeypatch.setattr("service.body.zlib.decompressobj", Counting)
    refused(TooLarge, call(chunks(gzip.compress(bytes(200_000))), content_encoding="gzip"))
    assert asked_for == [LIMIT + 1]


@pytest.mark.parametrize(("name", "pack"), WAYS[:3])
def test_broken_streams_are_refused(name: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"hello hello hello")
    for broken in (packed[:-3], packed + b"more", packed + packed, b"", b"no stream", packed[3:]):
        refused(BadRequest, call(chunks(broken), content_encoding=name), match="stream|is not")


@pytest.mark.parametrize("name", ["br", "zstd", "compress", "gzip, gzip", "x-gzip", "*", "x" * 500])
def test_other_encodings_are_told_which_there_are(name: str) -> None:
    refused(UnsupportedBody, call(chunks(b"abc"), content_encoding=name), match="must be gzip or deflate")


@pytest.mark.parametrize(("size", "where"), [(SMALL_BYTES // 2, "MainThread"), (SMALL_BYTES * 2, "asyncio")])
def test_much_is_decompressed_on_a_thread(monkeypatch: pytest.MonkeyPatch, size: int, where: str) -> None:
    """The loop has others to answer meanwhile."""
    names: list[str] = []
    real = body._decompressed

    def noting(*words: Any) -> bytes:
        names.append(threading.current_thread().name)
        return real(*words)

    monkeypatch.setattr(body, "_decompressed", noting)
    data = bytes(range(256)) * (size // 256)
    packed = gzip.compress(data, compresslevel=0)
    assert read(call(chunks(packed), content_encoding="gzip"), limit=1_000_000) == data
    assert names[0].startswith(where)


def test_memory_is_shared_by_all_requests() -> None:
    memory = Memory(1000)
    first, second = call(chunks(bytes(600))), call(chunks(bytes(300), bytes(101)))
    read(first, memory)
    refused(OutOfMemory, second, memory, match="1000 bytes together")
    assert memory.used == 900  # until it is over
    memory.release(second)
    assert memory.used == 600
    read(call(chunks(bytes(400))), memory)
    memory.release(first)
    memory.release(first)
    assert memory.used == 400


def test_what_is_unfolded_counts_as_memory() -> None:
    memory = Memory(900)
    asked = call(chunks(gzip.compress(bytes(890))), content_encoding="gzip")
    refused(OutOfMemory, asked, memory)
    memory.release(asked)
    assert memory.used == 0

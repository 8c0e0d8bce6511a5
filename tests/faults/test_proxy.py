"""The proxy does what it says, or all that is proven with it is worth nothing."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.faults.cases import CASES
from tests.faults.deeds import DEEDS, GARBAGE, Fault
from tests.faults.proxy import Proxy

SAID = bytes(range(200)) * 5


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives back what comes, and a full stop when no more will."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.write(b".")
    writer.close()


async def _sent(proxy: Proxy, said: bytes) -> bytes:
    """What comes back of what is sent on a new connection, until silence or its end."""
    got = b""
    async with proxy.over() as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(said)
        try:
            async with asyncio.timeout(0.1):
                while data := await reader.read(1 << 16):
                    got += data
                got += b" end"
        except TimeoutError:
            got += b" silence"
        except ConnectionResetError:
            got += b" reset"
        writer.close()
    return got


def sent(fault: Fault | None, seed: int = 0, said: bytes = SAID) -> tuple[bytes, Proxy]:
    async def run() -> tuple[bytes, Proxy]:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        async with server:
            proxy = Proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", fault, seed)
            got = await _sent(proxy, said)
            ending = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*ending)
            return got, proxy

    return asyncio.run(run())


WHOLE = SAID + b" silence"  # nobody closes
AT = (300, 300)
COMES: dict[str, tuple[Fault, bytes]] = {
    "late": (Fault("late", seconds=0.01), WHOLE),
    "slow": (Fault("slow", seconds=1e-5), WHOLE),
    "stall": (Fault("stall", at=AT, seconds=0.01), WHOLE),
    "too long a stall": (Fault("stall", at=AT, seconds=5), SAID[:300] + b" silence"),
    "pieces": (Fault("pieces"), WHOLE),
    "hole": (Fault("hole", at=AT), SAID[:300] + b" silence"),
    "hole, upward": (Fault("hole", upward=True, at=AT), SAID[:300] + b" silence"),
    "cut": (Fault("cut", at=AT), SAID[:300] + b" end"),
    "half": (Fault("half", at=AT), SAID[:300] + b" end"),
    "half, upward": (Fault("half", upward=True, at=AT), SAID[:300] + b". end"),
    "twice": (Fault("twice", upward=True), WHOLE),
    "again": (Fault("again"), SAID + WHOLE),
    "not this connection": (Fault("hole", first=1), WHOLE),
    "swapped with nobody": (Fault("swapped", at=AT, seconds=0.01), WHOLE),
    "no more": (Fault("hole", most=0), WHOLE),
    "not by chance": (Fault("hole", share=0), WHOLE),
}


@pytest.mark.parametrize("name", COMES)
def test_what_comes(name: str) -> None:
    fault, wanted = COMES[name]
    got, proxy = sent(fault)
    assert got == wanted
    assert proxy.connections == 1
    passes = fault.first or not fault.most or not fault.share
    assert proxy.struck == (0 if passes else 1)


def test_no_fault_changes_nothing() -> None:
    got, proxy = sent(None)
    assert (got, proxy.struck) == (WHOLE, 0)


def test_a_reset_is_one() -> None:
    assert sent(Fault("reset", at=AT))[0].endswith(b" reset")
    assert sent(Fault("refused"))[0] == b" reset"
    assert sent(Fault("refused", most=0))[0] == WHOLE


def test_a_reset_between_requests() -> None:
    assert sent(Fault("idle"))[0] == SAID + b" reset"


def test_a_bit_or_a_digit_is_another() -> None:
    bit, _ = sent(Fault("flipped", at=AT))
    changed = [a ^ b for a, b in zip(WHOLE, bit, strict=True) if a != b]
    assert [value.bit_count() for value in changed] == [1]
    digit, _ = sent(Fault("digit", at=AT))
    ((before, after),) = [(a, b) for a, b in zip(WHOLE, digit, strict=True) if a != b]
    assert all(chr(value).isdecimal() for value in (before, after))


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Content-Length: 4\r\n\r\n0.91"


def test_an_answer_is_shortened_once_and_says_so() -> None:
    got, _ = sent(Fault("short"), said=ANSWER)
    head, _, body = got.removesuffix(b" silence").partition(b"\r\n\r\n")
    assert len(body) < 4
    assert b"0.91".startswith(body)
    assert f"\r\ncontent-length: {len(body)}\r\n".encode() in head
    assert b"X-Content-Length: 4" in head


def test_two_answers_change_places() -> None:
    """Each of two clients is given what the other one said."""

    async def run() -> list[bytes]:
        async with await asyncio.start_server(_echo, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with Proxy(url, Fault("swapped", seconds=5)).over() as address:
                port = int(address.rpartition(":")[2])
                ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
                for (_, writer), word in zip(ends, (b"a", b"b"), strict=True):
                    writer.write(word)
                got = [await reader.read(1) for reader, _ in ends]
                for _, writer in ends:
                    writer.close()
                return got

    assert asyncio.run(run()) == [b"b", b"a"]


def test_garbage_comes_over_bytes_or_between_them() -> None:
    over, _ = sent(Fault("overwritten", at=AT))
    assert len(over) == len(WHOLE)
    assert over != WHOLE
    assert over[:300] == SAID[:300]
    between, _ = sent(Fault("inserted", at=AT))
    assert between[:300] + between[300 + GARBAGE :] == WHOLE


def test_a_page_is_an_answer_that_looks_well() -> None:
    got, _ = sent(Fault("page", at=AT))
    assert got[300:].startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b" end")


def test_the_seed_says_where() -> None:
    fault = Fault("cut", at=(1, 900))
    first, again, other = sent(fault)[0], sent(fault)[0], sent(fault, seed=1)[0]
    assert first == again != other


def test_every_deed_is_in_a_case() -> None:
    assert {case.fault.deed for case in CASES} == set(DEEDS)
    assert len({case.name for case in CASES}) == len(CASES)

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


async def _sent(proxy: Proxy) -> bytes:
    """What comes back of what is sent on a new connection, until silence or its end."""
    got = b""
    async with proxy.over() as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(SAID)
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


def sent(fault: Fault | None, seed: int = 0) -> tuple[bytes, Proxy]:
    async def run() -> tuple[bytes, Proxy]:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        async with server:
            proxy = Proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", fault, seed)
            got = await _sent(proxy)
            ending = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*ending)
            return got, proxy

    return asyncio.run(run())


WHOLE = SAID + b" silence"  # nobody closes
AT = (300, 300)
COMES: dict[str, tuple[Fault, bytes]] = {
    "late": (Fault("late", seconds=0.01), WHOLE),
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

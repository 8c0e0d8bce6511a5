"""Bytes over connections to a live service: each is answered or closed in time, and never with 500."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.bench.serving.answers import as_form
from tests.bench.serving.client import FAILURES, Connection
from tests.bench.serving.processes import Process
from tests.fuzz.findings import Finding, Kind, Tally, keep
from tests.fuzz.pictures import plain_png
from tests.fuzz.wire import Sent, sent

__all__ = ["SETTINGS", "Loaded", "exchange", "judged", "load"]

CONNECTIONS, EVERY = 12, 400  # at once; inputs between two looks at whether it still answers
TIMEOUT_S, HEADER_TIMEOUT_S = 1, 1
# The service may wait for a body, then for its answer to be read; a sweep comes once a second.
PATIENCE_S = 2 * TIMEOUT_S + HEADER_TIMEOUT_S + 5.0
SETTINGS: dict[str, int] = {
    "timeout_s": TIMEOUT_S,
    "header_timeout_s": HEADER_TIMEOUT_S,
    "max_body_bytes": 150_000,
    "max_pixels": 600_000,
    "max_images": 8,
    "max_header_bytes": 16_384,
    "poll_s": 0,
}
SHAPE = {"error", "code", "status", "request_id"}


@dataclass
class Loaded:
    """What one run over HTTP saw.

    Attributes:
        statuses: how often each was answered; 0: closed without an answer.
        alive: that it answered right at every look, and the process is the one that was started.
    """

    tally: Tally = field(default_factory=Tally)
    statuses: dict[int, int] = field(default_factory=dict)
    alive: bool = True


def load(
    process: Process, seed: int, inputs: int, failures: Path, said: Callable[[int], None] = lambda count: None
) -> Loaded:
    """Send inputs 0 to `inputs`; `said` is told now and then how many are done."""
    loaded = Loaded()
    asyncio.run(_all(process, seed, inputs, failures, loaded, said))
    return loaded


async def _all(
    process: Process, seed: int, inputs: int, failures: Path, loaded: Loaded, said: Callable[[int], None]
) -> None:
    waiting = iter(range(inputs))
    looking = asyncio.Lock()

    async def sender() -> None:
        for index in waiting:
            made = sent(Random(f"{seed}/wire/{index}"))
            began = time.perf_counter()
            how, told = await exchange(process.port, made, loaded)
            loaded.tally.note("wire", how, time.perf_counter() - began, index)
            if how not in ("answered", "closed"):
                keep(failures, Finding(_kind(how), "wire", index, told), seed, b"".join(made.pieces))
            if index % EVERY == EVERY - 1 and loaded.alive:
                async with looking:
                    said(index + 1)
                    await _look(process, loaded, index, seed, failures)
            if not loaded.alive:
                return

    async with asyncio.TaskGroup() as senders:
        for _ in range(CONNECTIONS):
            senders.create_task(sender())
    await _look(process, loaded, inputs, seed, failures)


def _kind(how: str) -> Kind:
    kinds: dict[str, Kind] = {"hang": "hang", "status_500": "status_500", "unanswered": "unanswered"}
    return kinds.get(how, "wrong_shape")


async def exchange(
    port: int, made: Sent, loaded: Loaded, *, patience_s: float = PATIENCE_S
) -> tuple[str, str]:
    """How the connection ended, and what was wrong about it.

    One of answered, closed, unanswered, status_500, wrong_shape, hang.
    """
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                with contextlib.suppress(OSError):  # it may answer and close before it has read everything
                    for piece in made.pieces:
                        writer.write(piece)
                        await writer.drain()
                        if len(made.pieces) > 1:
                            await asyncio.sleep(0.002)
                return ("closed", "") if made.leaves else await _read(reader, made, loaded)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "hang", f"neither answered nor closed in {patience_s:g} s"
    except OSError as error:
        loaded.statuses[0] = loaded.statuses.get(0, 0) + 1
        return "closed", str(error)


async def _read(reader: asyncio.StreamReader, made: Sent, loaded: Loaded) -> tuple[str, str]:
    """The first answer that is not interim."""
    status, head, body = 100, b"", b""
    try:
        while 100 <= status < 200:
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
        body = await _body(reader, head, made)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        partial = getattr(error, "partial", b"")
        loaded.statuses[0] = loaded.statuses.get(0, 0) + 1
        if partial or made.right:
            return "unanswered", f"closed behind {partial[:500]!r}"
        return "closed", ""
    except (ValueError, IndexError, asyncio.LimitOverrunError) as error:
        return "wrong_shape", f"no HTTP: {error}: {head[:500]!r}"
    loaded.statuses[status] = loaded.statuses.get(status, 0) + 1
    return judged(status, head, body, bare=made.head)


async def _body(reader: asyncio.StreamReader, head: bytes, made: Sent) -> bytes:
    names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if made.head:
        return b""
    if b"chunked" in names.get(b"transfer-encoding", b""):
        parts = []
        while size := int((await reader.readline()).strip() or b"0", 16):
            parts.append(await reader.readexactly(size + 2))
        return b"".join(part[:-2] for part in parts)
    return await reader.readexactly(int(names.get(b"content-length", b"0")))


def judged(status: int, head: bytes, body: bytes, *, bare: bool = False) -> tuple[str, str]:
    """Whether an answer is one that may be given: no 500, and every error in the one shape."""
    if status == 500:
        return "status_500", f"{head!r} {body[:2000]!r}"
    if status >= 400 and not bare:
        try:
            told = json.loads(body)
            right = set(told) == SHAPE and told["status"] == status and isinstance(told["error"], str)
        except (ValueError, TypeError):
            right = False
        if not right:
            return "wrong_shape", f"{head!r} {body[:2000]!r}"
    return "answered", ""


async def _look(process: Process, loaded: Loaded, index: int, seed: int, failures: Path) -> None:
    """The next caller is answered, and rightly, by the process that was started."""
    connection = Connection(process.port)
    told = "the process has ended"
    try:
        for _ in range(20 if process.popen.poll() is None else 0):
            wire = as_form("/classify?model=lamp", plain_png()).on_wire("127.0.0.1")
            try:
                reply = await connection.ask(wire, timeout_s=PATIENCE_S)
            except FAILURES as error:
                told = repr(error)
                continue
            told = f"{reply.status} {reply.body[:500]!r}"
            if reply.status == 200 and json.loads(reply.body)["predictions"][0]["name"] == "light":
                return
            await asyncio.sleep(0.2)  # refused because much waits: that passes
    finally:
        connection.close()
    loaded.alive = False
    loaded.tally.note("wire", "dead", 0.0, index)
    keep(failures, Finding("dead", "wire", index, told), seed, b"")

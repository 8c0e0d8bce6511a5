"""A27: a service that attacks whoever evaluates it: an error in words, in bounded time and memory."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import orjson
import pytest

from eval.errors import EndpointError
from eval.remote import http
from eval.remote.assay import AssayEndpoint, describe
from models.card import TaskName
from models.results import Result
from tests.security.attack import MB, grows_at_most

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
IMAGE = np.zeros((4, 5, 3), np.uint8)
TIMEOUT_S = 0.3
ATTEMPTS = 2
MOST_S = ATTEMPTS * TIMEOUT_S + 1.5  # pauses between attempts are left out
LIMIT = 2_000_000  # of an answer, instead of 256 MB


@pytest.fixture(autouse=True)
def small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep

    async def noted(seconds: float, result: Any = None) -> Any:
        return await real(0, result)

    monkeypatch.setattr("eval.remote.http.asyncio.sleep", noted)
    monkeypatch.setattr(http, "ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(http, "MOST_ANSWER_BYTES", LIMIT)


@contextlib.asynccontextmanager
async def hostile(serve: Serve) -> AsyncIterator[str]:
    """A server that reads the head of a request and then does as it likes."""

    serving: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        writer.close()
        serving.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)


def ask(serve: Serve, task: TaskName = "classification") -> Any:
    async def run() -> Any:
        async with (
            hostile(serve) as url,
            AssayEndpoint[Result](url, task=task, timeout_s=TIMEOUT_S) as endpoint,
        ):
            return await endpoint.predict([IMAGE])

    return asyncio.run(run())


def look(serve: Serve) -> Any:
    async def run() -> Any:
        async with hostile(serve) as url:
            return await describe(url, timeout_s=TIMEOUT_S)

    return asyncio.run(run())


def says(data: bytes, *, then: bytes = b"", every_s: float = 0.0) -> Serve:
    """Writes `data`, and `then` again and again until nobody listens."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        while then and not writer.is_closing():
            writer.write(then)
            await writer.drain()
            await asyncio.wait([asyncio.ensure_future(_moment(every_s))])

    return serve


async def _moment(seconds: float) -> None:
    """Real time, while `asyncio.sleep` is noted."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


def reply(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", *lines]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DEFLATED = zlib.compress(bytes(400 * MB), 9)
DEEP = b'{"task":' + b"[" * 200_000
SERVERS: dict[str, Serve] = {
    "silence": says(b"", then=b"", every_s=0.05),
    "hangs up": says(b""),
    "a word at a time": says(HEAD + b"Content-Length: 1000000\r\n\r\n", then=b" ", every_s=0.01),
    "a header at a time": says(HEAD, then=b"X: y\r\n", every_s=0.01),
    "headers without end": says(HEAD, then=b"X-Header: " + b"y" * 1000 + b"\r\n"),
    "a header without end": says(HEAD + b"X: ", then=b"y" * 10_000),
    "a line without end": says(b"HTTP/1.1 200 ", then=b"y" * 10_000),
    "go on without end": says(b"", then=b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a body without end": says(HEAD + b"\r\n", then=bytes(65536)),
    "chunks without end": says(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", then=b"10000\r\n" + bytes(65536) + b"\r\n"
    ),
    "a chunk's name without end": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", then=b"y" * 10_000),
    "a body of more than all memory": says(
        HEAD + b"Content-Length: 99999999999999\r\n\r\n", then=bytes(65536)
    ),
    "a body that unpacks": says(reply(DEFLATED, "Content-Encoding: deflate")),
    "a body that unpacks twice": says(
        reply(gzip.compress(gzip.compress(bytes(100 * MB))), "Content-Encoding: gzip, gzip")
    ),
    "an error that is large": says(reply(b"x" * 3 * LIMIT, status="500 Oh")),
    "less than it said": says(HEAD + b"Content-Length: 100\r\n\r\n{}"),
    "no HTTP": says(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "a negative length": says(HEAD + b"Content-Length: -5\r\n\r\n{}"),
    "two lengths": says(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a wrong chunk": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "raw bytes": says(HEAD + b"X\xff\xfe: \x00\x01\r\n\r\n"),
    "deep JSON": says(reply(DEEP)),
    "no text": says(reply(b'{"task": "\xff\xfe"}')),
    "an odd charset": says(reply(b"{}", "Content-Type: application/json; charset=nothing")),
    "a redirect elsewhere": says(reply(b"", "Location: http://127.0.0.1:9/", status="307 There")),
    "a redirect to a file": says(reply(b"", "Location: file:///etc/passwd", status="301 There")),
    "a redirect without end": says(reply(b"", "Location: /classify", status="302 Here")),
    "a switch": says(reply(b"", "Upgrade: websocket", "Connection: Upgrade", status="101 Switch")),
    "a password wanted": says(reply(b"", "WWW-Authenticate: Negotiate", status="401 Who")),
    "cookies": says(reply(b"{}", *["Set-Cookie: a=b; Domain=.; Max-Age=99999999999999"] * 100)),
    "words with colours": says(
        reply(b'{"error": "\\u001b[31m\\r\\n' + b"x" * 10_000 + b'"}', status="422 No")
    ),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_hostile_answer_is_an_error_in_words(name: str) -> None:
    """A27: in time, in little memory, on both calls."""
    for call in (ask, look):
        began = time.monotonic()
        with grows_at_most(60 * MB), pytest.raises(EndpointError):
            call(SERVERS[name])
        assert time.monotonic() - began < MOST_S


def test_silence_ends_after_the_last_attempt() -> None:
    """A27: nobody waits for ever."""

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(EndpointError, match="nothing whole came"):
        ask(serve)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 There", "308 There"])
def test_a_redirect_is_not_followed(status: str) -> None:
    """A27: pictures and keys go to the address that was named, whatever it answers."""
    asked: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        writer.write(reply(b'{"models": []}'))

    async def run(call: Callable[[str], Awaitable[Any]]) -> None:
        async with hostile(elsewhere) as other:
            there = says(reply(b"", f"Location: {other}/models", status=status))
            async with hostile(there) as url:
                with pytest.raises(EndpointError):
                    await call(url)

    async def predicted(url: str) -> None:
        async with AssayEndpoint[Result](url, task="classification", timeout_s=TIMEOUT_S) as endpoint:
            await endpoint.predict([IMAGE])

    for call in (predicted, describe):
        asyncio.run(run(call))
    assert asked == []


def body(task: str, prediction: Any) -> Serve:
    return says(reply(orjson.dumps({"task": task, "predictions": [prediction]})))


def runs(height: int, width: int) -> dict[str, Any]:
    return {"size": [height, width], "values": [0], "counts": [height * width]}


MASK = {"size": [10_000, 5_000], "counts": [50_000_000]}
SEGMENTS: dict[str, Any] = {
    "as large as a city": runs(10_000, 5_000),
    "larger than all memory": runs(10**7, 10**7),
    "of no size": {"size": [], "values": [0], "counts": [1]},
    "of negative size": {"size": [-4, -5], "values": [0], "counts": [20]},
    "of negative runs": {"size": [4, 5], "values": [0, 1], "counts": [40, -20]},
    "of overflowing runs": {"size": [4, 5], "values": [0, 1], "counts": [2**63, 20]},
    "of overflowing sums": {"size": [4, 5], "values": [0, 1, 2], "counts": [2**62, 2**62, 2**62]},
    "of words": {"size": [4, 5], "values": ["a"], "counts": ["b"]},
    "of nothing": {"size": [4, 5], "values": [], "counts": []},
    "of another size": runs(5, 5),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_hostile_label_map_is_an_error_in_words(name: str) -> None:
    """A27: a few bytes say how much memory is taken; the picture that was sent says how much there may be."""
    with grows_at_most(60 * MB), pytest.raises(EndpointError):
        ask(body("segmentation", SEGMENTS[name]), "segmentation")


BOXES: dict[str, Any] = {
    "a mask as large as a city": {"boxes": [[0, 0, 1, 1]], "scores": [1], "labels": [0], "masks": [MASK]},
    "many masks": {"boxes": [[0, 0, 1, 1]], "scores": [1], "labels": [0], "masks": [MASK] * 4},
    "boxes of three numbers": {"boxes": [[0, 0, 1]], "scores": [1], "labels": [0]},
    "fewer scores than boxes": {"boxes": [[0, 0, 1, 1]] * 2, "scores": [1], "labels": [0]},
    "labels of words": {"boxes": [[0, 0, 1, 1]], "scores": [1], "labels": ["a"]},
    "labels beyond all numbers": {"boxes": [[0, 0, 1, 1]], "scores": [1], "labels": [2**63]},
    "uneven boxes": {"boxes": [[0, 0, 1, 1], [0]], "scores": [1, 1], "labels": [0, 0]},
    "no boxes": {"scores": [1], "labels": [0]},
}


@pytest.mark.parametrize("name", BOXES)
def test_a_hostile_box_is_an_error_in_words(name: str) -> None:
    """A27."""
    with grows_at_most(60 * MB), pytest.raises(EndpointError):
        ask(body("detection", BOXES[name]), "detection")


SCORES: dict[str, Any] = {
    "words": {"scores": ["a", "b"]},
    "nothing": {"scores": None},
    "a table": {"scores": [[0.5, 0.5]]},
    "no classes": {"scores": []},
    "objects": {"scores": [{}]},
    "uneven": {"scores": [[1], [1, 2]]},
    "another task's": runs(4, 5),
    "text": "scores",
}


@pytest.mark.parametrize("name", SCORES)
def test_hostile_scores_are_an_error_in_words(name: str) -> None:
    """A27."""
    with pytest.raises(EndpointError):
        ask(body("classification", SCORES[name]))


def test_another_task_is_an_error_in_words() -> None:
    """A27: labels where scores were asked for would be counted as scores."""
    with pytest.raises(EndpointError):
        ask(body("segmentation", runs(4, 5)), "classification")

"""The client against well-behaved, busy, broken and hostile services, all in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import orjson
import pytest
from aiohttp import web

from eval.errors import EndpointError
from eval.remote import http, template_body
from eval.remote.assay import AssayEndpoint, describe, is_ready
from models.decoding import decode, encode_png
from models.results import Array, Classification

Reply = tuple[int, dict[str, str], bytes]


class Stub:
    """A service on loopback that replies as told and remembers what it was sent."""

    def __init__(self, *replies: Reply | Callable[[bytes], Reply]) -> None:
        self.replies = list(replies)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if request.path.startswith("/v2"):  # an old service; see test_assay_raw
            return web.Response(status=404)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path_qs, headers, body))
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        status, told, data = reply(body) if callable(reply) else reply
        return web.Response(status=status, headers=told, body=data)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        runner = web.ServerRunner(web.Server(self.handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def files_in(body: bytes) -> list[bytes]:
    boundary = body[: body.index(b"\r\n")]
    return [part.split(b"\r\n\r\n", 1)[1][:-2] for part in body.split(boundary)[1:-1]]


def brightness(body: bytes) -> Reply:
    """Two classes, from each picture's mean level."""
    levels = [float(decode(file).mean() / 255) for file in files_in(body)]
    predictions = [{"scores": [1 - v, v]} for v in levels]
    return 200, {}, orjson.dumps({"task": "classification", "predictions": predictions})


def error(status: int, **headers: str) -> Reply:
    told = {"error": "words", "code": "c", "status": status, "request_id": "r"}
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps(told).encode()


def ask(stub: Stub, images: list[Array]) -> Any:
    async def run() -> Any:
        async with stub.served() as url:
            endpoint = AssayEndpoint[Classification](url, task="classification", model="m", version=3)
            async with endpoint:
                return await endpoint.predict(images)

    return asyncio.run(run())


IMAGES = [np.random.default_rng(i).integers(0, 256, (5, 7, 3), dtype=np.uint8) for i in range(3)]


def test_pictures_arrive_unchanged_and_in_order() -> None:
    stub = Stub(brightness)
    answers = ask(stub, IMAGES)
    ((path, headers, body),) = stub.requests
    for file, image in zip(files_in(body), IMAGES, strict=True):
        np.testing.assert_array_equal(decode(file), image)
    assert [float(a.scores[1]) for a in answers] == [pytest.approx(i.mean() / 255) for i in IMAGES]
    assert path.startswith("/classify?")
    assert {"model=m", "version=3", "scores=true"} <= set(path.split("?")[1].split("&"))
    assert headers["content-type"].startswith("multipart/form-data; boundary=")


def test_nothing_asked_nothing_sent() -> None:
    stub = Stub(brightness)
    assert ask(stub, []) == []
    assert stub.requests == []


def test_a_file_that_holds_the_boundary_is_safe() -> None:
    tricky = encode_png(IMAGES[0]) + template_body.BOUNDARY + b"0"
    body, _ = template_body.form_of([tricky], "image")
    assert files_in(body) == [tricky]


def test_busy_services_are_asked_again(no_waiting: list[float]) -> None:
    stub = Stub(error(503), error(429, retry_after="3"), brightness)
    assert len(ask(stub, IMAGES)) == 3
    assert len(stub.requests) == 3
    assert no_waiting == [0.1, 3.0]


def test_a_service_cannot_make_us_wait_for_ever(no_waiting: list[float]) -> None:
    ask(Stub(error(429, retry_after="86400"), brightness), IMAGES)
    assert no_waiting == [http.LONGEST_WAIT_S]


def test_patience_ends(no_waiting: list[float]) -> None:
    stub = Stub(error(503))
    with pytest.raises(EndpointError, match="503 words"):
        ask(stub, IMAGES)
    assert len(stub.requests) == http.ATTEMPTS
    assert len(no_waiting) == http.ATTEMPTS - 1


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500])
def test_what_would_only_come_back_is_not_repeated(status: int) -> None:
    stub = Stub(error(status))
    with pytest.raises(EndpointError, match=f"{status} words"):
        ask(stub, IMAGES)
    assert len(stub.requests) == 1


HOSTILE: dict[str, Reply] = {
    "no json": (200, {}, b"<html>"),
    "a list": (200, {}, b"[]"),
    "nothing": (200, {}, b""),
    "another answer": (200, {}, b'{"answer": 42}'),
    "too few": (200, {}, b'{"task": "classification", "predictions": [{"scores": [1.0]}]}'),
    "a redirect": (302, {"location": "file:///etc/passwd"}, b""),
    "nan": (200, {}, b'{"task": "classification", "predictions": [{"scores": [null]}]}'),
    "error without words": (500, {}, b"\xff"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nonsense_is_an_error_that_can_be_read(name: str) -> None:
    stub = Stub(HOSTILE[name])
    with pytest.raises(EndpointError, match="classify"):
        ask(stub, IMAGES)
    assert len(stub.requests) == 1


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_ANSWER_BYTES", 1000)
    with pytest.raises(EndpointError, match="at most 1000 bytes"):
        ask(Stub((200, {}, bytes(5000))), IMAGES)


def test_nobody_there_says_so() -> None:
    with pytest.raises(EndpointError, match="is the service running"):
        asyncio.run(describe("http://127.0.0.1:9"))


def described(stub: Stub) -> Any:
    async def run() -> Any:
        async with stub.served() as url:
            return await describe(f"{url}/")

    return asyncio.run(run())


def test_models_are_read() -> None:
    assert described(Stub((200, {}, b'{"models": [{"name": "m"}]}'))) == [{"name": "m"}]
    with pytest.raises(EndpointError, match="is it an Assay service"):
        described(Stub((200, {}, b"[]")))


def test_entering_comes_first() -> None:
    endpoint = AssayEndpoint[Classification]("http://service", task="classification")
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(endpoint.predict(IMAGES))


async def _readiness(*statuses: int) -> list[bool]:
    stub = Stub(*((status, {}, b"") for status in statuses))
    async with stub.served() as url:
        told = [await is_ready(url) for _ in statuses]
    assert {path for path, _, _ in stub.requests} == {"/readyz"}
    return [*told, await is_ready(url)]  # nobody is there any more


def test_ready_is_what_the_service_says_it_is() -> None:
    assert asyncio.run(_readiness(503, 200, 404)) == [False, True, False, False]

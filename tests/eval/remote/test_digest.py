"""What was changed on the way is asked for again, and nobody is asked twice on a connection that lied."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from eval.errors import EndpointError, Refused
from eval.remote import http
from eval.remote.http import Http
from tests.eval.remote.services import Reply, Request, Service, error, said


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def spoken(content: bytes, told: bytes | None = None, packed: bool = False) -> Reply:
    """An answer, and the digest of what was told."""
    headers = {"content-encoding": "gzip"} if packed else {}
    return Reply(200, content, {"content-digest": digest(content if told is None else told), **headers})


def asked(service: Service, do: Callable[[Http, URL], Awaitable[Any]] | None = None) -> Any:
    async def main() -> Any:
        async with service.served() as url, Http() as session:
            return await (do or one)(session, URL(url))

    return asyncio.run(main())


async def one(session: Http, url: URL) -> bytes:
    return (await session.ask(url, b"picture")).body


def good(_: Request) -> Reply:
    return spoken(b"0.91")


CHANGED = spoken(b"0.11", b"0.91")


def test_every_request_tells_its_digest_and_wants_one() -> None:
    async def all_three(session: Http, url: URL) -> None:
        await session.ask(url, b"picture")
        await session.look(url)
        await session.get(url)

    service = Service(good)
    asked(service, all_three)
    (request,) = service.asked
    assert request.headers["content-digest"] == digest(b"picture")
    assert len(service.looked) == 2
    assert all(r.headers["want-content-digest"] == "sha-256=1" for r in (request, *service.looked))
    assert not any("content-digest" in looked.headers for looked in service.looked)


@pytest.mark.parametrize("times", [1, 4])
def test_a_changed_answer_is_asked_for_again(times: int) -> None:
    service = Service(good, *[CHANGED] * times)
    assert asked(service) == b"0.91"
    assert len(service.asked) == times + 1


def test_it_is_told_where_none_comes_unchanged() -> None:
    service = Service(good, CHANGED, always=True)
    with pytest.raises(EndpointError, match=r"changed on the way: .*a proxy that rewrites answers must"):
        asked(service)
    assert len(service.asked) == http.ATTEMPTS


def test_a_look_is_believed_no_more() -> None:
    looks = iter([CHANGED, spoken(b"0.91")])
    assert asked(Service(lambda _: next(looks)), lambda session, url: session.get(url)).body == b"0.91"
    with pytest.raises(EndpointError, match="changed on the way"):
        asked(Service(lambda _: CHANGED), lambda session, url: session.look(url))


@pytest.mark.parametrize("told", [None, "md5=:AAAA:", ""])
def test_a_server_that_knows_of_none_goes_on(told: str | None) -> None:
    headers = {} if told is None else {"content-digest": told}
    assert asked(Service(lambda _: Reply(200, b"0.91", headers))) == b"0.91"


def test_what_comes_packed_has_a_checksum_of_its_own() -> None:
    packed = gzip.compress(b"0.91", mtime=0)
    assert asked(Service(lambda _: spoken(packed, packed=True))) == b"0.91"
    flipped = packed[:12] + bytes([packed[12] ^ 1]) + packed[13:]
    with pytest.raises(EndpointError):
        asked(Service(lambda _: spoken(flipped, packed, packed=True)))


REFUSED = said({"error": "words", "code": "digest_mismatch", "status": 400, "request_id": "r"}, 400)


def test_a_request_that_came_changed_is_sent_again() -> None:
    service = Service(good, *[REFUSED] * 3)
    assert asked(service) == b"0.91"
    assert {request.body for request in service.asked} == {b"picture"}
    assert len(service.asked) == 4


def test_a_server_that_will_not_have_it_refuses_no_picture() -> None:
    with pytest.raises(EndpointError, match="400 words") as caught:
        asked(Service(good, REFUSED, always=True))
    assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize("trouble", [error(400), Reply(400, b"[]"), Reply(400, b"digest_mismatch")])
def test_another_refusal_is_one(trouble: Reply) -> None:
    service = Service(good, trouble)
    with pytest.raises(Refused):
        asked(service)
    assert len(service.asked) == 1


def peers(service: Service) -> list[Any]:
    """The other end of each request's connection, in order; filled while it is asked."""
    told: list[Any] = []
    handle = service.handle

    async def noting(request: web.BaseRequest) -> web.StreamResponse:
        told.append(request.transport and request.transport.get_extra_info("peername"))
        return await handle(request)

    service.handle = noting  # type: ignore[method-assign]
    return told


def lying(request: Request) -> Reply:
    """The answer to another request."""
    own, _, number = request.headers["x-request-id"].partition("-")
    return Reply(200, b"other", {"x-request-id": f"{own}-{int(number) + 1000}"})


@pytest.mark.parametrize("trouble", [CHANGED, None], ids=["changed", "another's"])
def test_no_connection_is_used_again_that_lied(trouble: Reply | None) -> None:
    async def several(session: Http, url: URL) -> None:
        for _ in range(3):
            await one(session, url)

    spoke: list[Request] = []

    def speak(request: Request) -> Reply:
        spoke.append(request)
        return (trouble or lying(request)) if len(spoke) == 2 else spoken(b"0.91")

    service = Service(speak)
    told = peers(service)
    asked(service, several)
    assert len(told) == 4
    assert told[0] == told[1] != told[2] == told[3]


def test_who_is_being_answered_goes_on() -> None:
    """A connection is left by those who come, not by those who use it."""

    async def main() -> tuple[bytes, int]:
        service = Service(good)
        asked, answer = asyncio.Event(), asyncio.Event()
        send = service.send

        async def patient(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
            if reply.body == b"slow":
                asked.set()
                await answer.wait()
            return await send(request, reply)

        service.send = patient  # type: ignore[method-assign]
        service.troubles = [spoken(b"slow"), CHANGED]
        async with service.served() as url, Http() as session:
            slow = asyncio.create_task(one(session, URL(url)))
            await asked.wait()
            assert await one(session, URL(url)) == b"0.91"
            answer.set()
            return await slow, len(service.asked)

    assert asyncio.run(main()) == (b"slow", 3)

"""The one way over HTTP: what is asked again and after how long, and what an error tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from yarl import URL

from eval.errors import EndpointError, Gone, Refused
from eval.remote import http, reply
from eval.remote.http import Http
from eval.remote.reply import words_of
from tests.eval.remote.services import Reply, Request, Service, error, said


def fine(_: Request) -> Reply:
    return said({"fine": True})


def run(service: Service, do: Callable[[Http, URL], Awaitable[Any]], **told: Any) -> Any:
    async def main() -> Any:
        async with service.served() as url, Http(**told) as session:
            return await do(session, URL(url) / "path"), session

    return asyncio.run(main())


async def ask(session: Http, url: URL) -> Any:
    return (await session.ask(url, b"body")).json()


NOW = "Wed, 21 Oct 2015 07:28:00 GMT"
WAITS = {
    "seconds": ({"retry-after": "3"}, 3.0),
    "a date": ({"retry-after": "Wed, 21 Oct 2015 07:28:04 GMT", "date": NOW}, 4.0),
    "an old date": ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT", "date": NOW}, 0.1),
    "a date far away": ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT", "date": NOW}, http.LONGEST_WAIT_S),
    "a day": ({"retry-after": "86400"}, http.LONGEST_WAIT_S),
    "a number without end": ({"retry-after": "9" * 400}, http.LONGEST_WAIT_S),
    "nothing": ({}, 0.1),
    "words": ({"retry-after": "soon"}, 0.1),
    "less than none": ({"retry-after": "-5"}, 0.1),
    "other digits": ({"retry-after": "\u00b2"}, 0.1),
}


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_the_service_says_when(name: str, status: int, no_waiting: list[float]) -> None:
    headers, wait = WAITS[name]
    busy = error(status)
    assert run(Service(fine, Reply(status, busy.body, headers)), ask)[0] == {"fine": True}
    assert no_waiting == [wait]


def test_pauses_double(no_waiting: list[float]) -> None:
    with pytest.raises(EndpointError):
        run(Service(fine, error(502), always=True), ask)
    assert no_waiting == [0.1, 0.2, 0.4, 0.8]


@pytest.mark.parametrize("status", [300, 301, 400, 401, 403, 404, 405, 409, 413, 418, 422, 500, 501, 505])
def test_what_would_only_come_back_is_not_repeated(status: int) -> None:
    service = Service(fine, error(status))
    with pytest.raises(EndpointError, match=f"{status} words") as caught:
        run(service, ask)
    assert isinstance(caught.value, Refused) == (400 <= status < 500)
    assert len(service.asked) == 1


def test_a_redirect_is_not_followed() -> None:
    service = Service(fine, Reply(307, headers={"location": "/elsewhere"}))
    with pytest.raises(EndpointError, match="307"):
        run(service, ask)
    assert len(service.asked) == 1


def test_one_connection_is_kept() -> None:
    ports: set[Any] = set()

    async def main() -> None:
        service = Service(fine)
        handle = service.handle

        async def noting(request: Any) -> Any:
            ports.add(request.transport.get_extra_info("peername"))
            return await handle(request)

        service.handle = noting  # type: ignore[method-assign]
        async with service.served() as url, Http() as session:
            for _ in range(5):
                await session.ask(URL(url), b"")

    asyncio.run(main())
    assert len(ports) == 1


def test_a_silent_service_is_given_up(no_waiting: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 2)
    service = Service(fine, Reply(silent=True), always=True)
    with pytest.raises(EndpointError, match=r"nothing whole came within 0\.05 s") as caught:
        run(service, ask, timeout_s=0.05)
    assert not isinstance(caught.value, Gone)
    assert len(service.asked) == 2


def test_seconds_of_requests_and_of_attempts() -> None:
    """A request that was asked again is one, from its first attempt on; a look is none."""

    async def both(session: Http, url: URL) -> None:
        await session.ask(url, b"", images=2)
        await session.ask(url, b"", images=0)
        await session.look(url)

    _, session = run(Service(fine, error(503), error(503)), both)
    assert len(session.attempt_seconds) == 3
    (seconds,) = session.seconds
    assert seconds >= sum(session.attempt_seconds) > 0


def test_a_look_is_one_request_whatever_comes() -> None:
    async def look(session: Http, url: URL) -> int:
        return (await session.look(url, b"", method="POST")).status

    service = Service(fine, error(503), always=True)
    assert run(service, look)[0] == 503
    assert len(service.asked) == 1


WORDS = {
    "ours": (b'{"error": "words", "code": "c"}', "words"),
    "FastAPI": (b'{"detail": "words"}', "words"),
    "an object": (b'{"error": {"message": "words", "code": 3}}', "words"),
    "FastAPI's list": (b'{"detail": [{"loc": ["body"], "msg": "words"}]}', "without a readable error"),
    "text": (b"words", "without a readable error"),
    "nothing": (b"", "without a readable error"),
    "a number": (b'{"error": 3}', "without a readable error"),
    "an empty one": (b'{"error": ""}', "without a readable error"),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_are_found_in_the_usual_places(name: str) -> None:
    body, words = WORDS[name]
    assert words_of(reply.Reply(URL("http://h"), 400, {}, body)) == words


def test_a_message_is_short_and_one_line() -> None:
    with pytest.raises(EndpointError) as caught:
        run(Service(fine, error(400, "\x1b[31mred\r\n" + "x" * 10_000)), ask)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_secret_parameters_are_sent_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "p&ss =word")
    service = Service(fine, error(400, "no p&ss =word"))
    with pytest.raises(EndpointError) as caught:
        run(service, ask, query={"key": "$A_KEY"})
    assert URL(service.asked[0].path, encoded=True).query == {"key": "p&ss =word"}
    assert "ss =word" not in str(caught.value)
    assert "?" not in str(caught.value)


def test_a_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    service = Service(fine)
    with pytest.raises(EndpointError, match="environment variable A_KEY, which is not set"):
        run(service, ask, headers={"authorization": "Bearer ${A_KEY}"})
    assert service.asked == []


def test_a_secret_of_two_lines_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "s3cr3t\r\nx: y")
    with pytest.raises(EndpointError, match="one line") as caught:
        run(Service(fine), ask, headers={"authorization": "$A_KEY"})
    assert "s3cr3t" not in str(caught.value)


def test_a_variable_is_read_when_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def twice(session: Http, url: URL) -> None:
        for value in ("first", "second"):
            monkeypatch.setenv("A_KEY", value)
            await session.ask(url, b"")

    service = Service(fine)
    run(service, twice, headers={"x-key": "$A_KEY, $$5", "x-plain": "p"})
    assert [request.headers["x-key"] for request in service.asked] == ["first, $5", "second, $5"]
    assert {request.headers["x-plain"] for request in service.asked} == {"p"}


def test_a_busy_service_is_spared() -> None:
    """It takes two at once; whoever asks twenty at once gets every answer, and learns."""

    async def main() -> Any:
        service: Service

        def speak(_: Request) -> Reply:
            return error(429) if service.at_once > 2 else said({})

        service = Service(speak)
        answer = service.send

        async def slow(request: Any, reply: Reply) -> Any:
            if reply.status == 200:
                for _ in range(20):
                    await asyncio.sleep(0)
            return await answer(request, reply)

        service.send = slow  # type: ignore[method-assign]
        async with service.served() as url, Http() as session:
            await asyncio.gather(*(session.ask(URL(url), b"") for _ in range(20)))
            return service, session

    service, session = asyncio.run(main())
    assert len(session.seconds) == 20
    refused = len(service.asked) - 20
    assert 0 < refused < 40  # without sparing it, eighteen of twenty are refused again and again

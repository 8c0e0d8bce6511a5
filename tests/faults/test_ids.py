"""An answer belongs to the request whose id it repeats, whatever arrives on the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from yarl import URL

from eval.errors import EndpointError
from eval.remote import http
from eval.remote.http import Http
from tests.eval.remote.services import Reply, Request, Service


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.001)


def asked(
    given: Callable[[list[str]], str], *, times: int = 2, headers: Mapping[str, str] | None = None
) -> tuple[list[bytes], list[str]]:
    """Answers of a service that gives an id for those it was sent so far; and these."""
    ids: list[str] = []

    def speak(request: Request) -> Reply:
        ids.append(request.headers.get("x-request-id", ""))
        return Reply(200, b"%d" % len(ids), {"x-request-id": given(ids)})

    async def run() -> list[bytes]:
        async with Service(speak).served() as url, Http(headers=headers) as session:
            return [(await session.ask(URL(url), b"picture")).body for _ in range(times)]

    return asyncio.run(run()), ids


def test_every_request_has_its_own() -> None:
    answers, ids = asked(lambda ids: ids[-1], times=3)
    assert answers == [b"1", b"2", b"3"]
    assert len(set(ids)) == 3
    assert all(0 < len(one) <= 64 for one in ids)  # longer ones a service of ours would not repeat


def test_the_answer_to_another_request_is_not_believed() -> None:
    answers, ids = asked(lambda ids: ids[0] if len(ids) == 2 else ids[-1])
    assert answers == [b"1", b"3"]
    assert len(ids) == 3


def test_it_is_told_when_no_other_comes() -> None:
    with pytest.raises(EndpointError, match="the answer to another request came"):
        asked(lambda ids: ids[0])


@pytest.mark.parametrize("given", ["", "a-gateway-s-own", "42"])
def test_an_id_of_somebody_else_says_nothing(given: str) -> None:
    assert asked(lambda _: given)[0] == [b"1", b"2"]


def test_the_caller_may_name_them() -> None:
    answers, ids = asked(lambda ids: ids[0], headers={"X-Request-ID": "mine"})
    assert (answers, ids) == ([b"1", b"2"], ["mine", "mine"])

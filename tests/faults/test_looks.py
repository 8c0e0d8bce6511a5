"""The first look at a service through a bad network: what happened is told, and told in time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from eval.errors import EndpointError, Gone
from eval.remote import http
from eval.remote.access import kind_of, target_of
from eval.remote.assay import NotAssay, describe
from eval.target import Access, Target
from tests.eval.remote.services import Reply, Request, Service, error
from tests.eval.remote.speakers import assay
from tests.faults.deeds import Fault
from tests.faults.proxy import Proxy


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.001)


def found(
    fault: Fault | None, speak: Callable[[Request], Reply] = assay, timeout_s: float = 10.0
) -> tuple[Target | EndpointError, list[str]]:
    """The target behind a fault, or why there is none; and what the service was asked for."""

    async def main() -> tuple[Target | EndpointError, list[str]]:
        service = Service(speak)
        async with service.served() as url, Proxy(url, fault).over() as address:
            try:
                told: Target | EndpointError = await target_of(
                    Access(address, timeout_s=timeout_s), None, None
                )
            except EndpointError as failure:
                told = failure
            return told, [request.path for request in service.looked]

    return asyncio.run(main())


PASSING = {
    "refused": Fault("refused", most=4),
    "reset": Fault("reset", most=4),
    "reset at once": Fault("reset", upward=True, most=4),
    "cut off": Fault("cut", at=(10, 300), most=4),
    "closed": Fault("half", at=(10, 300), most=4),
    "garbage": Fault("inserted", most=4),
    "garbage over it": Fault("overwritten", at=(20, 300), most=4),
    "shortened": Fault("short", most=4),
}
STAYING = {
    "refused": (Fault("refused"), "the connection (broke|was closed)"),
    "reset": (Fault("reset"), "the connection broke: Connection reset by peer"),
    "cut off": (Fault("cut", at=(10, 10)), "the connection was closed before an answer came"),
    "cut off later": (Fault("cut", at=(300, 300)), "the answer did not come whole"),
    "garbage": (Fault("inserted"), "what came is no HTTP"),
    "shortened": (Fault("short"), "the answer was changed on the way"),
    "a hole": (Fault("hole"), r"nothing whole came within 0\.\d+ s"),
}


def whole(request: Request) -> Reply:
    """As `assay`, with the digests of a service of ours."""
    from tests.eval.remote.test_digest import digest

    reply = assay(request)
    return Reply(reply.status, reply.body, {**reply.headers, "content-digest": digest(reply.body)})


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_waited_for(name: str) -> None:
    told, paths = found(PASSING[name], whole)
    assert isinstance(told, Target), told
    assert told.model == "m"
    assert set(paths) == {"/models"}


@pytest.mark.parametrize("name", STAYING)
def test_what_stays_is_told_as_it_is(name: str) -> None:
    """And another protocol is not spoken to who does not answer in this one."""
    fault, words = STAYING[name]
    told, paths = found(fault, whole, 0.3 if name == "a hole" else 10.0)
    assert isinstance(told, EndpointError)
    assert not isinstance(told, NotAssay)
    assert told.args[0].partition("did not answer: ")[0].endswith("/models ")
    with pytest.raises(EndpointError, match=words):
        raise told
    assert set(paths) <= {"/models"}
    assert "--card" not in str(told)


def test_a_hole_is_told_in_the_time_of_an_attempt() -> None:
    told, _ = found(Fault("hole"), timeout_s=0.2)
    assert re.search(r"within 0\.(1\d*|2) s", str(told)), told  # not the ten seconds of a look


def test_a_slow_service_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LOOK_S", 0.01)
    assert isinstance(found(Fault("stall", seconds=0.05), timeout_s=10)[0], Target)
    assert isinstance(found(Fault("stall", seconds=0.05), timeout_s=0.02)[0], EndpointError)


def test_a_busy_service_is_asked_again() -> None:
    replies = iter([error(503, "the service is starting"), error(502)])
    told, paths = found(None, lambda request: next(replies, None) or assay(request))
    assert isinstance(told, Target)
    assert len(paths) == 4  # the protocol is found out first


def test_who_answers_otherwise_is_tried_in_another_protocol() -> None:
    told, paths = found(None, lambda _: error(404))
    assert isinstance(told, EndpointError)
    assert "does not speak the Open Inference Protocol" in str(told)
    assert paths == ["/models", "/v2"]


def test_nobody_there() -> None:
    async def both() -> None:
        for look in (kind_of(Access("http://127.0.0.1:9")), describe("http://127.0.0.1:9")):
            with pytest.raises(Gone, match=r"127\.0\.0\.1:9.*is the service running"):
                await look

    asyncio.run(both())

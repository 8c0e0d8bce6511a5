"""A short part of `python -m tests.fuzz`, and proof that it would notice what it looks for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from service.errors import BadRequest, ServiceError
from tests.fuzz import live
from tests.fuzz.edge import Served
from tests.fuzz.findings import Tally
from tests.fuzz.inprocess import feed, made
from tests.fuzz.live import Loaded, exchange, judged
from tests.fuzz.served import repository
from tests.fuzz.targets import Target, targets
from tests.fuzz.wire import Sent, sent
from tests.fuzz.workers import spread

SEED = 7
ERROR = b'{"error": "e", "code": "c", "status": 404, "request_id": "r"}'


@pytest.fixture(scope="module")
def entrances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Target]]:
    folder = tmp_path_factory.mktemp("fuzz")
    served = Served(repository(folder / "repository"), folder)
    yield targets(served, folder)
    served.close()


def test_a_few_thousand_inputs_do_no_harm(entrances: list[Target], tmp_path: Path) -> None:
    tally = feed(entrances, SEED, range(4000), tmp_path)
    assert [path.read_text() for path in tmp_path.glob("*.json")] == []
    assert tally.inputs == 4000
    for target in entrances:  # inputs that are all refused at the door test the door
        assert tally.ended[f"{target.name}.accepted"] > 0
        assert tally.ended[f"{target.name}.refused"] > 0


def ending(given: bytes) -> None:
    if given[0] < 64:
        os._exit(3)


@contextlib.contextmanager
def deadly(_folder: Path) -> Iterator[list[Target]]:
    """An entrance that takes the whole process down, as a reader written in C could."""
    yield [Target("deadly", 1, lambda chance: chance.randbytes(4), ending)]


def test_a_process_that_dies_is_noticed_and_the_rest_is_fed(tmp_path: Path) -> None:
    said: list[int] = []
    with deadly(tmp_path) as entrances:
        dies = [index for index in range(12) if made(entrances, SEED, index)[1][0] < 64]
    tally = spread(SEED, 12, tmp_path, 2, said.append, deadly)
    found = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert sorted(one["index"] for one in found) == dies
    assert 1 <= len(dies) <= 4
    assert tally.count("crash") == len(dies)
    assert (tally.inputs, said[-1]) == (12, 12)


def plain(given: Any) -> Any:
    """Comparable: views and calls are compared by what is in them."""
    if isinstance(given, tuple | list):
        return [plain(value) for value in given]
    if isinstance(given, memoryview):
        return bytes(given)
    return given.headers if hasattr(given, "headers") else given


def test_the_same_seed_makes_the_same_inputs(entrances: list[Target]) -> None:
    def all_of(seed: int) -> list[Any]:
        every = [made(entrances, seed, index) for index in range(300)]
        return [(target.name, plain(given)) for target, given in every]

    assert all_of(SEED) == all_of(SEED)
    assert all_of(SEED) != all_of(SEED + 1)
    assert [sent(Random(f"{i}")) for i in range(300)] == [sent(Random(f"{i}")) for i in range(300)]


def nothing(_given: Any) -> None:
    """Accepts everything."""


def slow(_given: Any) -> None:
    time.sleep(5)


def raising(error: Exception) -> Callable[[Any], None]:
    def run(_given: Any) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "how"),
    [
        (nothing, "accepted"),
        (raising(BadRequest("no")), "refused"),
        (raising(KeyError("planted")), "exception"),
        (raising(ServiceError("a bug of ours")), "exception"),
        (raising(RecursionError()), "exception"),
        (slow, "hang"),
    ],
)
def test_a_planted_bug_is_noticed(run: Callable[[Any], None], how: str, tmp_path: Path) -> None:
    target = Target("planted", 1, lambda chance: chance.randbytes(4), run)
    tally = feed([target], SEED, [3], tmp_path, limit_s=0.05)
    assert tally.ended == {f"planted.{how}": 1}
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    if how in ("accepted", "refused"):
        assert kept == []
    else:
        assert [(found["kind"], found["index"], found["seed"]) for found in kept] == [(how, 3, SEED)]
        (given,) = tmp_path.glob("*.bin")
        assert len(given.read_bytes()) == 4


@pytest.mark.parametrize(
    ("status", "body", "how"),
    [
        (200, b"anything", "answered"),
        (404, ERROR, "answered"),
        (500, ERROR, "status_500"),
        (404, b"Not Found", "wrong_shape"),
        (404, b"[]", "wrong_shape"),
        (405, ERROR, "wrong_shape"),  # it says 404
    ],
)
def test_answers_are_judged(status: int, body: bytes, how: str) -> None:
    assert judged(status, b"", body)[0] == how


def ended(answer: bytes, *, closes: bool, right: bool = True) -> str:
    """How a connection ends to a service that only ever says this."""

    async def ask() -> str:
        over = asyncio.Event()

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError), contextlib.closing(writer):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
                if not closes:
                    await reader.read()
            over.set()

        server = await asyncio.start_server(say, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            request = Sent((b"GET / HTTP/1.1\r\n\r\n",), right=right)
            how, _ = await exchange(port, request, Loaded(), patience_s=0.3)
            await over.wait()
        return how

    return asyncio.run(ask())


def test_connections_are_judged() -> None:
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    assert ended(good, closes=False) == "answered"
    assert ended(b"HTTP/1.1 100 Continue\r\n\r\n" + good, closes=False) == "answered"
    assert ended(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", closes=False) == "status_500"
    assert ended(b"", closes=False) == "hang"
    assert ended(good[:-1], closes=False) == "hang"
    assert ended(b"", closes=True) == "unanswered"
    assert ended(b"", closes=True, right=False) == "closed"
    assert ended(good[:-1], closes=True, right=False) == "unanswered"
    assert ended(b"hello\r\n\r\n", closes=True) == "wrong_shape"


def test_inputs_over_http_are_of_every_kind() -> None:
    every = [sent(Random(f"{i}")) for i in range(2000)]
    whole = b"\n".join(piece for one in every for piece in one.pieces)
    for words in (b"GET /metrics", b"POST /segment", b"/infer", b"chunked", b"Expect:", b"/load", b"gzip"):
        assert words in whole
    assert 0.5 < sum(one.right for one in every) / len(every) < 0.9
    assert any(one.leaves for one in every)
    assert any(len(one.pieces) > 1 for one in every)


def test_what_two_processes_saw_is_added_up() -> None:
    one, other = Tally(), Tally()
    one.note("a", "hang", 2.0, 5)
    one.note("a", "accepted", 1.0, 6)
    other.note("a", "accepted", 3.0, 7)
    one.add(other)
    assert (one.inputs, one.count("accepted"), one.count("hang")) == (3, 2, 1)
    assert one.slowest == {"a": (3.0, 7)}


def test_the_service_gets_less_time_than_the_client_has() -> None:
    assert live.SETTINGS["timeout_s"] + live.SETTINGS["header_timeout_s"] + 1 < live.PATIENCE_S

"""A10: who is slow holds a connection for a while and nobody up."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator

import psutil

from tests.security.attack import (
    HEAD,
    LIGHT,
    MB,
    Wire,
    assert_refused,
    get,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    until,
    worker,
)

HEADER_S, BODY_S = 1.0, 2.0  # as the service is told
SPARE_S = 2.5  # connections are looked at once a second


@contextlib.contextmanager
def wires(url: str, count: int, first: bytes) -> Iterator[list[Wire]]:
    """Many connections that all begin with the same bytes."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Wire(url)).say(first) for _ in range(count)]


@contextlib.contextmanager
def dripping(some: list[Wire], data: bytes) -> Iterator[None]:
    """A little more is said on every connection all the time."""
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.2):
            for wire in some:
                wire.say(data)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


HEADS = {
    "silence": (b"", b""),
    "empty lines": (b"", b"\r\n"),
    "one byte": (b"G", b""),
    "half a head": (b"GET /livez HTTP/1.1\r\nHost: x\r\n", b""),
    "a line at a time": (b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"),
    "a byte at a time": (b"GET /livez HTTP/1.1\r\nX: ", b"y"),
    "empty lines behind a request": (get("/livez"), b"\r\n"),
    "a second request, a line at a time": (get("/livez") + b"GET /livez HTTP/1.1\r\n", b"X: y\r\n"),
}


def test_a_slow_head_is_ended(url: str) -> None:
    """A10: seventy connections in nine manners, and nobody else notices."""
    with healthy_neighbour(url), contextlib.ExitStack() as stack:
        held = {}
        for name, (first, drop) in HEADS.items():
            held[name] = stack.enter_context(wires(url, 8, first))
            stack.enter_context(dripping(held[name], drop))
        # An empty line ends the server's own patience with idle connections, and begins no request.
        held["one empty line"] = stack.enter_context(wires(url, 5, get("/livez")))
        for wire in held["one empty line"]:
            assert wire.hear().status == 200
            wire.say(b"\r\n")
        for name, some in held.items():
            assert all(wire.is_closed(HEADER_S + SPARE_S) for wire in some), name


def test_a_slow_body_is_ended(url: str) -> None:
    """A10: a drop now and then does not help, and where no body is wanted nobody waits for it."""
    paths = ["/classify?model=lamp", "/v2/models/lamp/infer", "/v2/repository/index", "/nothing", "/livez"]
    manners = [("Content-Length: 5000", b"x"), ("Transfer-Encoding: chunked", b"1\r\nx\r\n")]
    with healthy_neighbour(url), contextlib.ExitStack() as stack:
        held = []
        for path in paths:
            for length, drop in manners:
                head = get(path, "Content-Type: image/png", length, method="POST")
                held.append(stack.enter_context(wires(url, 6, head)))
                stack.enter_context(dripping(held[-1], drop))
        for some in held:
            answer = some[0].hear()
            assert_refused(answer, answer.status, answer.code or "")
            assert answer.status in (404, 405, 408), answer
            assert all(wire.is_closed(BODY_S + HEADER_S + SPARE_S) for wire in some)


def test_a_slow_body_gives_its_memory_back(url: str) -> None:
    """A10: uploads of almost a megabyte that never end; the second forty take the place of the first."""
    head = get("/classify?model=lamp", "Content-Type: image/png", "Content-Length: 1000000", method="POST")
    for most in (100 * MB, 40 * MB):
        with grows_at_most(most, url), wires(url, 40, head + bytes(900_000)) as some:
            assert all(wire.is_closed(BODY_S + HEADER_S + SPARE_S) for wire in some)


def large(columns: int) -> bytes:
    """A request whose answer has 4,096 bytes for each column."""
    data = bytes(96 * columns)
    told = {"name": "images", "datatype": "FP32", "shape": [1, 3, 8, columns]}
    sized = {**told, "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [sized], "parameters": {"binary_data_output": True}}).encode()
    return infer("wide", head + data, f"{HEAD}: {len(head)}")


def test_who_does_not_read_is_ended(url: str) -> None:
    """A10: answers of 1.6 to 4.9 MB. What the kernel does not take may be much or little, and none is kept.

    A rest of less than 64 kB is the trap: a transport says only that it is full, so the steps are smaller.
    """
    process = worker(url)
    assert len(send(url, large(400)).body) > 400 * 4096
    with healthy_neighbour(url), contextlib.ExitStack() as stack:
        for columns in range(400, 1200, 14):
            stack.enter_context(Wire(url, receive_bytes=4096)).say(large(columns))
        until(lambda: open_connections(process) > 50, 5)
        until(lambda: open_connections(process) <= 1, 15)  # the neighbour's


def open_connections(process: psutil.Process) -> int:
    """Those the service still holds."""
    return sum(one.status != "LISTEN" for one in process.net_connections("tcp"))


def test_a_slow_reader_who_reads_on_gets_everything(url: str) -> None:
    """A10: slow is not hostile; who reads a little all the time gets the whole answer."""
    with Wire(url, receive_bytes=4096) as wire:
        wire.say(get("/docs.json") * 60)
        for _ in range(60):
            answer = wire.hear()
            assert answer.status == 200
            assert answer.json["openapi"]
        assert wire.say(post("/classify?model=lamp", LIGHT)).hear().status == 200

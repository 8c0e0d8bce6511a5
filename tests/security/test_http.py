"""A11, A12: requests that two readers understand differently, and heads without measure."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.security.attack import (
    LIGHT,
    MB,
    Wire,
    assert_refused,
    get,
    grows_at_most,
    healthy_neighbour,
    post,
    send,
    series,
    until,
)

CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
HOST = b"Host: test\r\n"


def head(*lines: str, version: str = "1.1", end: str = "\r\n") -> bytes:
    """A request that has a body, by hand: line ends and all."""
    first = f"POST /classify?model=lamp HTTP/{version}"
    return end.join([first, "Host: test", "Content-Type: image/png", *lines, "", ""]).encode("latin-1")


AMBIGUOUS = {
    "length, then chunks": head("Content-Length: 5", "Transfer-Encoding: chunked") + CHUNKED,
    "chunks, then length": head("Transfer-Encoding: chunked", "Content-Length: 5") + CHUNKED,
    "two lengths": head("Content-Length: 5", "Content-Length: 6") + b"hello!",
    "a length twice": head("Content-Length: 5", "Content-Length: 5") + b"hello",
    "a list of lengths": head("Content-Length: 5, 5") + b"hello",
    "a length with a sign": head("Content-Length: +5") + b"hello",
    "a negative length": head("Content-Length: -5") + b"hello",
    "a length in hexadecimal": head("Content-Length: 0x5") + b"hello",
    "a length with a gap": head("Content-Length: 5 5") + b"hello",
    "an empty length": head("Content-Length:") + b"hello",
    "a length of forty digits": head("Content-Length: " + "9" * 40) + b"hello",
    "chunks spelt otherwise": head("Transfer-Encoding: xchunked") + CHUNKED,
    "chunks behind a vertical tab": head("Transfer-Encoding: \x0bchunked") + CHUNKED,
    "chunks, then as it is": head("Transfer-Encoding: chunked, identity") + CHUNKED,
    "as it is": head("Transfer-Encoding: identity") + CHUNKED,
    "chunks twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + CHUNKED,
    "chunks, then nothing": head("Transfer-Encoding: chunked", "Transfer-Encoding: ") + CHUNKED,
    "a gap before the colon": head("Transfer-Encoding : chunked") + CHUNKED,
    "a folded header": head("Transfer-Encoding:", " chunked") + CHUNKED,
    "a header that begins with a gap": head(" Transfer-Encoding: chunked") + CHUNKED,
    "a bare line feed in a header": head("X: a\nTransfer-Encoding: chunked") + CHUNKED,
    "a bare return in a header": head("X: a\rTransfer-Encoding: chunked") + CHUNKED,
    "only line feeds": head("Content-Length: 5", end="\n") + b"hello",
    "a zero in a header": head("X: a\0b", "Content-Length: 5") + b"hello",
    "a header without a colon": head("nothing", "Content-Length: 5") + b"hello",
    "a header without a name": head(": x", "Content-Length: 5") + b"hello",
    "a gap in a name": head("a b: x", "Content-Length: 5") + b"hello",
    "a chunk in hexadecimal": head("Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a negative chunk": head("Transfer-Encoding: chunked") + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk beyond all numbers": head("Transfer-Encoding: chunked") + b"f" * 17 + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk without its end": head("Transfer-Encoding: chunked") + b"5\r\nhelloXX0\r\n\r\n",
    "a chunk with line feeds": head("Transfer-Encoding: chunked") + b"5\nhello\n0\n\n",
    "a line feed behind a chunk's size": head("Transfer-Encoding: chunked") + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "an empty chunk size": head("Transfer-Encoding: chunked") + b"\r\nhello\r\n0\r\n\r\n",
    "a body that would be upgraded": head("Connection: Upgrade", "Upgrade: h2c", "Content-Length: 33")
    + get("/metrics"),
    "chunks that would be upgraded": head(
        "Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"
    )
    + CHUNKED,
    "a body of a tunnel": get("/livez", "Content-Length: 33", method="CONNECT") + get("/metrics"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_the_connection_ended(url: str, name: str) -> None:
    """A12: what comes behind it is never taken for a request of its own."""
    with Wire(url) as wire:
        wire.say(AMBIGUOUS[name] + get("/metrics"))
        assert_refused(wire.hear(), 400, "bad_request")
        with pytest.raises(ConnectionError):
            wire.hear()


NO_HTTP = {
    "another protocol": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "the next HTTP": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown version": b"GET /livez HTTP/9.9\r\n" + HOST + b"\r\n",
    "an unknown method": b"FOO /livez HTTP/1.1\r\n" + HOST + b"\r\n",
    "a small method": b"get /livez HTTP/1.1\r\n" + HOST + b"\r\n",
    "a gap in the path": b"GET /li vez HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the query": b"GET /livez?\xe9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "every byte": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_not_http_is_refused_and_ended(url: str, name: str) -> None:
    """A12: in our one shape, even where there is no request yet."""
    with Wire(url) as wire:
        assert_refused(wire.say(NO_HTTP[name]).hear(), 400, "bad_request")
        assert wire.is_closed(3)


def test_an_older_version_of_http_is_answered_and_ended(url: str) -> None:
    """A12: chunks are not of HTTP/1.0; who believes otherwise must not be heard twice."""
    with Wire(url) as wire:
        wire.say(head("Transfer-Encoding: chunked", version="1.0") + CHUNKED + get("/metrics"))
        assert wire.hear().status in (400, 422)
        with pytest.raises(ConnectionError):
            wire.hear()


def test_a_body_where_none_belongs_is_not_a_request(url: str) -> None:
    """A12: the body of a GET is thrown away with it."""
    with Wire(url) as wire:
        hidden = get("/metrics")
        wire.say(get("/livez", f"Content-Length: {len(hidden)}") + hidden + get("/v2"))
        assert wire.hear().body == b"\n"
        assert wire.hear().json["name"] == "assay"


def test_pipelined_requests_are_answered_in_order(url: str) -> None:
    """A12: a slow one is not overtaken by a fast one."""
    with Wire(url) as wire:
        wire.say(post("/classify?model=slow", LIGHT) + get("/v2") + post("/classify?model=lamp", LIGHT))
        assert wire.hear().json["model"] == "slow"
        assert wire.hear().json["name"] == "assay"
        assert wire.hear().json["model"] == "lamp"


def test_what_follows_a_body_is_no_header(url: str) -> None:
    """A12: a trailer must not say what a header said, or did not say: proxies do not look at it."""
    trailers = b"X-Request-ID: from-the-trailer\r\nContent-Type: application/json\r\n"
    body = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(LIGHT), LIGHT, trailers)
    answer = send(url, head("Transfer-Encoding: chunked") + body)
    assert answer.status == 200
    assert answer.headers["x-request-id"] != "from-the-trailer"


def test_an_offer_to_upgrade_is_not_taken(url: str) -> None:
    """A12: without a body it is an ordinary request."""
    offers = ["Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQ"]
    for protocol in ("h2c", "websocket", "TLS/1.0"):
        answer = send(url, get("/livez", *offers, f"Upgrade: {protocol}"))
        assert (answer.status, answer.body) == (200, b"\n")


def test_who_waits_to_be_told_to_go_on_is_told(url: str) -> None:
    """A12: `Expect: 100-continue`; a client may wait for it for ever, and the body with it."""
    with Wire(url, timeout_s=2) as wire:
        wire.say(head("Expect: 100-continue", f"Content-Length: {len(LIGHT)}"))
        assert wire.hear().status == 100
        assert wire.say(LIGHT).hear().status == 200


def test_who_would_send_too_much_is_told_so_instead(url: str) -> None:
    """A12: `Expect` does not make a refused body wanted."""
    with Wire(url) as wire:
        wire.say(head("Expect: 100-continue", "Content-Length: 2000000"))
        assert_refused(wire.hear(), 413, "too_large")


LARGE = {
    "one large header": get("/livez", "X: " + "y" * 9000),
    "a large name": get("/livez", "X" * 9000 + ": y"),
    "a large path": get("/" + "x" * 9000),
    "a large query": get("/models?" + "x" * 9000),
    "many headers": get("/livez", *["X: y"] * 129),
    "very many headers": get("/livez", *["X: y"] * 2000),
    "no end of one header": get("/livez", "X: " + "y" * 9000)[:-4],
    "no end of a path": b"GET /" + b"x" * 9000,
    "no end of headers": b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 2000,
    "large trailers": head("Transfer-Encoding: chunked") + b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_head_without_measure_is_refused_and_ended(url: str, name: str) -> None:
    """A11."""
    with grows_at_most(10 * MB, url), Wire(url) as wire:
        assert_refused(wire.say(LARGE[name]).hear(), 431, "headers_too_large")
        assert wire.is_closed(3)


def test_a_header_of_a_hundred_megabytes_is_not_kept(url: str) -> None:
    """A11: nor waited for."""
    with grows_at_most(10 * MB, url), healthy_neighbour(url), Wire(url) as wire:
        wire.say(b"GET /livez HTTP/1.1\r\nX: ")
        for _ in range(100):
            wire.say(b"y" * MB)
        assert wire.is_closed(3)


def test_a_flood_of_pipelined_requests_is_bounded(url: str) -> None:
    """A12: ten thousand at once. What is read ahead of its turn takes a hundred times its bytes."""
    with grows_at_most(8 * MB, url), healthy_neighbour(url), Wire(url) as wire:
        wire.say(get("/livez") * 10_000)
        assert wire.is_closed(5)
    with Wire(url) as wire:
        wire.say(get("/livez") * 60)
        assert {wire.hear().status for _ in range(60)} == {200}


def test_what_never_became_a_request_is_counted_and_logged(url: str, home: Path) -> None:
    """A12: whoever looks for an attack sees it, with the id that the attacker was told."""
    name = 'assay_requests_total{route="other",status="400"}'
    before = series(url).get(name, 0)
    with Wire(url) as wire:
        told = wire.say(NO_HTTP["every byte"]).hear()
    assert len(told.headers["x-request-id"]) == 32
    assert series(url)[name] == before + 1
    until(lambda: told.headers["x-request-id"] in (home / "log").read_text())
    line = next(n for n in (home / "log").read_text().splitlines() if told.headers["x-request-id"] in n)
    assert orjson.loads(line)["code"] == "bad_request"

"""A5, A6, A8, A9: bodies of another kind, too large, or put together wrongly."""

from __future__ import annotations

import contextlib
import gzip
import pickle
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.security.attack import (
    LIGHT,
    MB,
    ROUTES,
    Wire,
    assert_answers,
    assert_refused,
    get,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    send_all,
)

PATHS = [*(f"{route}?model={model}" for route, model in ROUTES.items()), "/v2/models/lamp/infer"]
KINDS = [
    "",
    "text/plain",
    "application/json",
    "application/json; charset=utf-7",
    "application/x-www-form-urlencoded",
    "application/vnd.bentoml+pickle",
    "multipart/mixed; boundary=B",
    "multipart/form-data-x; boundary=B",
    "image",
    "image /png",
    "xmultipart/form-data; boundary=B",
    "application/octet-stream, multipart/form-data",
    "\tapplication/json",
    ";image/png",
    "text/plain; charset=image/png",
    "text/html\xa0image/png",
]


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_body_is_refused(url: str, kind: str) -> None:
    """A5: whatever the body holds; text that looks like the right kind is not."""
    for path in PATHS[:3]:
        assert_refused(send(url, post(path, LIGHT, kind=kind)), 415, "unsupported_body")


@pytest.mark.parametrize(
    "kinds",
    [
        ("image/png", "application/json"),
        ("application/json", "image/png"),
        ("multipart/form-data; boundary=B", "image/png"),
    ],
)
def test_two_kinds_are_never_a_failure(url: str, kinds: tuple[str, str]) -> None:
    """A5: who reads the first and who reads the last must both find a picture or nothing."""
    for path in PATHS[:3]:
        answer = send(url, post(path, LIGHT, f"Content-Type: {kinds[1]}", kind=kinds[0]))
        assert answer.status in (200, 400, 415), answer


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "idna", "rot13", "unknown-8bit", "\xff", '"'])
def test_a_charset_changes_nothing(url: str, charset: str) -> None:
    """A5: a picture has none, and a form's fields are UTF-8."""
    assert send(url, post("/classify?model=lamp", LIGHT, kind=f"image/png; charset={charset}")).status == 200
    assert send(url, post("/classify", form(LIGHT), kind=f"{FORM}; charset={charset}")).status in (200, 422)


class Planted:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


PICKLES = [
    "application/vnd.bentoml+pickle",
    "APPLICATION/VND.BENTOML+PICKLE",
    " application/vnd.bentoml+pickle ; charset=utf-8",
    "application/x-pickle",
    "application/python-pickle",
    "application/vnd.apache.arrow.stream",
]


@pytest.mark.parametrize("kind", PICKLES)
def test_nothing_is_unpickled(url: str, kind: str, tmp_path: Path) -> None:
    """A6: on every route, BentoML's own and those of the protocol included."""
    planted = tmp_path / "planted"
    body = pickle.dumps({"image": Planted(planted)})
    for route in ROUTES:
        for headers in ([], ["Payload-Container: DefaultContainer", "Batch-Size: 1", "Args-Number: 1"]):
            assert_refused(send(url, post(route, body, *headers, kind=kind)), 415, "unsupported_body")
    assert_refused(send(url, infer("lamp", body, kind=kind)), 400, "bad_request")
    for path in ("/", "/v2/repository/index", "/v2/models/lamp/load", "/schema.json", "/nothing"):
        assert 400 <= send(url, post(path, body, kind=kind)).status < 500
    for wrapped in (form(body), form(body, name="image")):
        assert send(url, post("/classify?model=lamp", wrapped, kind=FORM)).status == 422
    assert not planted.exists()
    pickle.loads(body)  # noqa: S301  # it is a live one
    assert planted.exists()


FORM = "multipart/form-data; boundary=B"
PART = b'--B\r\ncontent-disposition: form-data; name="image"; filename="i"\r\n\r\n'


def form(picture: bytes, *, name: str = "image") -> bytes:
    return PART.replace(b"image", name.encode(), 1) + picture + b"\r\n--B--\r\n"


def chunked(path: str, chunks: Iterable[bytes], *lines: str) -> bytes:
    head = get(path, "Content-Type: image/png", "Transfer-Encoding: chunked", *lines, method="POST")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize("path", PATHS)
def test_a_length_beyond_the_limit_is_refused_unread(url: str, path: str) -> None:
    """A8: told by its length alone; what comes after is not waited for."""
    for told in ("1000001", "32000001", "9999999999", str(2**63 - 1)):
        head = get(path, "Content-Type: image/png", f"Content-Length: {told}", method="POST")
        with Wire(url) as wire:
            assert_refused(wire.say(head).hear(), 413, "too_large")
            assert wire.is_closed(3)


@pytest.mark.parametrize("path", PATHS)
def test_chunks_without_end_are_refused_at_the_limit(url: str, path: str) -> None:
    """A8: no length is told, and 200 MB would follow."""
    with grows_at_most(20 * MB, url), healthy_neighbour(url), Wire(url) as wire:
        wire.say(get(path, "Content-Type: image/png", "Transfer-Encoding: chunked", method="POST"))
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        for _ in range(3000):  # ends early: nobody reads
            wire.say(chunk)
        assert wire.is_closed(5)
    assert_refused(send(url, chunked(path, [bytes(100_000)] * 11)), 413, "too_large")


def test_a_length_that_lies_is_given_up_or_ended(url: str) -> None:
    """A8: longer than what is sent, the time is over some day; shorter, the rest is no request."""
    with contextlib.ExitStack() as stack:
        wires = [(stack.enter_context(Wire(url)), stack.enter_context(Wire(url))) for _ in PATHS]
        for path, (long, short) in zip(PATHS, wires, strict=True):
            head = get(path, "Content-Type: image/png", "Content-Length: 500", method="POST")
            long.say(head + b"x" * 499)
            short.say(head + b"x" * 500 + b"GARBAGE")
        for long, short in wires:
            assert short.hear().status in (400, 422)
            assert short.is_closed(5)
            assert_refused(long.hear(), 408, "slow_body")
            assert long.is_closed(3)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_unpacks_beyond_the_limit_is_refused(url: str, encoding: str) -> None:
    """A8: a thousand to one."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = pack(bytes(200 * MB))
    with grows_at_most(20 * MB, url), healthy_neighbour(url):
        for path in PATHS:
            answer = send(url, post(path, bomb, f"Content-Encoding: {encoding}"))
            assert_refused(answer, 413, "too_large")


BADLY_PACKED = {
    "not packed": (LIGHT, "gzip"),
    "cut short": (gzip.compress(LIGHT)[:-9], "gzip"),
    "two streams": (gzip.compress(LIGHT) * 2, "gzip"),
    "something behind": (gzip.compress(LIGHT) + b"x", "gzip"),
    "nothing": (b"", "gzip"),
    "wrong sum": (gzip.compress(LIGHT)[:-8] + bytes(8), "gzip"),
}


@pytest.mark.parametrize("name", BADLY_PACKED)
def test_a_badly_packed_body_is_refused(url: str, name: str) -> None:
    """A8."""
    body, encoding = BADLY_PACKED[name]
    for path in PATHS:
        answer = send(url, post(path, body, f"Content-Encoding: {encoding}"))
        assert_refused(answer, 400, "bad_request")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x-gzip", "aws-chunked", "\xff"])
def test_another_packing_is_refused(url: str, encoding: str) -> None:
    """A8: nested ones, too: each layer could be a thousand times the last."""
    for path in PATHS:
        answer = send(url, post(path, gzip.compress(LIGHT), f"Content-Encoding: {encoding}"))
        assert_refused(answer, 415, "unsupported_body")


FIELD = b"--B\r\ncontent-disposition: form-data; name="
MULTIPART: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", form(LIGHT)),
    "empty boundary": ("multipart/form-data; boundary=", form(LIGHT)),
    "empty quoted boundary": ('multipart/form-data; boundary=""', form(LIGHT)),
    "long boundary": ("multipart/form-data; boundary=" + "B" * 71, form(LIGHT)),
    "huge boundary": ("multipart/form-data; boundary=" + "B" * 4000, form(LIGHT)),
    "open quote": ('multipart/form-data; boundary="B', form(LIGHT)),
    "another boundary": ("multipart/form-data; boundary=C", form(LIGHT)),
    "ten thousand parts": (FORM, (PART + b"x\r\n") * 10_000 + b"--B--\r\n"),
    "many texts": (FORM, FIELD + b"model\r\n\r\nlamp\r\n" + (FIELD + b"a\r\n\r\nx\r\n") * 40 + b"--B--\r\n"),
    "ten thousand texts": (FORM, (FIELD + b"a\r\n\r\nx\r\n") * 10_000 + b"--B--\r\n"),
    "ten thousand empty parts": (FORM, b"--B\r\n\r\n\r\n" * 10_000 + b"--B--\r\n"),
    "nested": (FORM, PART + b"--C\r\n\r\n" * 10_000 + b"--C--\r\n" * 10_000 + b"\r\n--B--\r\n"),
    "missing line ends": (FORM, PART.replace(b"\r\n", b"\n") + LIGHT + b"\n--B--\n"),
    "missing blank line": (FORM, PART[:-2] + LIGHT + b"\r\n--B--\r\n"),
    "missing end": (FORM, PART + LIGHT),
    "half an end": (FORM, PART + LIGHT + b"\r\n--B-"),
    "only an end": (FORM, b"--B--\r\n"),
    "nothing": (FORM, b""),
    "a header without end": (FORM, b"--B\r\n" + b"a" * 100_000),
    "headers without end": (FORM, b"--B\r\n" + b"a: b\r\n" * 100_000),
    "a header with nothing in it": (FORM, b"--B\r\n: \r\n\r\nx\r\n--B--\r\n"),
    "a zero in a name": (FORM, form(LIGHT, name="ima\0ge")),
    "a file in another field": (FORM, form(LIGHT, name="photo")),
    "a name twice": (FORM, PART[:-4] + b'; name="model"\r\n\r\nx\r\n--B--\r\n'),
    "a long text": (FORM, FIELD + b"model\r\n\r\n" + b"x" * 5000 + b"\r\n--B--\r\n"),
    "no disposition": (FORM, b"--B\r\n\r\n" + LIGHT + b"\r\n--B--\r\n"),
    "broken disposition": (FORM, b'--B\r\ncontent-disposition: ;;;=="\r\n\r\nx\r\n--B--\r\n'),
}


@pytest.mark.parametrize("name", MULTIPART)
def test_a_form_put_together_wrongly_is_refused(url: str, name: str) -> None:
    """A9: at once, and never as a failure of the service."""
    kind, body = MULTIPART[name]
    with grows_at_most(20 * MB, url), healthy_neighbour(url):
        for answer in send_all(url, [post(path, body, kind=kind) for path in PATHS[:3]]):
            if name.startswith(("ten thousand", "many")):  # at the limit, not after all of them
                assert_refused(answer, 413, "too_many_images")
            assert answer.status in (400, 413, 422), answer
            assert_refused(answer, answer.status, answer.code or "")


@pytest.mark.parametrize("filler", [b"\r", b"\n", b"\r\n", b"\r\n--", b"\r\n--C", b"--B", b"-"])
def test_what_looks_like_a_boundary_costs_no_more(url: str, filler: bytes) -> None:
    """A9: a megabyte of almost-boundaries before, in and behind the part."""
    junk = filler * (900_000 // len(filler))
    bodies = [junk + b"\r\n" + form(b"x"), form(junk), form(b"x") + junk]
    with healthy_neighbour(url, slowest_s=0.7):
        for answer in send_all(url, [post("/classify?model=lamp", body, kind=FORM) for body in bodies]):
            assert answer.status in (400, 422), answer


def test_the_path_of_a_file_is_not_used(url: str) -> None:
    """A9: names of files are never read, wherever they point."""
    for name in ("../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b", "%2e%2e", "\u202egnp", "x" * 3000):
        body = form(LIGHT).replace(b'filename="i"', f'filename="{name}"'.encode())
        answer = send(url, post("/classify?model=lamp", body, kind=FORM))
        assert answer.status == 200, answer
    assert_answers(url)

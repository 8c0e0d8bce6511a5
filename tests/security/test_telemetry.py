"""A17 to A19: nobody fills the metrics or the log, nobody writes into them."""

from __future__ import annotations

import json
import random
import re
import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.telemetry import ROUTES as KNOWN
from tests.security.attack import (
    LIGHT,
    MB,
    Answer,
    assert_refused,
    get,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    send_all,
    series,
    until,
)

UNKNOWN = 5000


def words(dice: random.Random, longest: int = 40) -> str:
    letters = string.ascii_letters + string.digits + "-._~/%25"
    return "".join(dice.choices(letters, k=dice.randint(1, longest)))


def strangers(dice: random.Random) -> list[bytes]:
    """One request for every way to bring a name of one's own."""
    word = words(dice).replace("%", "")
    method = dice.choice(["GET", "PUT", "DELETE", "PROPFIND", "HEAD"])
    one = word.replace("/", "") or "x"
    return [
        get(f"/{word}"),
        get(f"/{word}", method="POST"),
        get(f"/v2/{word}"),
        get(f"/v2/models/{one}"),
        get(f"/v2/models/{one}/{dice.choice(['infer', 'ready', 'config', 'stats', one])}", method="POST"),
        get(f"/v2/models/lamp/versions/{one}"),
        get(f"/v2/repository/models/{one}/{dice.choice(['load', 'unload', one])}", method="POST"),
        post(f"/classify?model={one}", LIGHT),
        post(f"/detect?{one}=1", LIGHT, kind=f"image/{one}"),
        get("/models", f"X-Request-ID: {one}", f"User-Agent: {word}", f"{one.strip('.~')}: {word}"),
        get("/livez", method=method) if method != "HEAD" else get("/livez"),
    ]


def test_names_that_nobody_knows_make_no_series(url: str) -> None:
    """A17: five thousand paths, models, versions, methods and headers; the metrics have known labels only."""
    dice = random.Random(0)
    requests = [request for _ in range(UNKNOWN // 11 + 1) for request in strangers(dice)]
    assert len(requests) >= UNKNOWN
    for once in (requests[:1100], requests):  # the first time each known label may come up
        before = set(series(url))
        with grows_at_most(20 * MB, url), ThreadPoolExecutor(8) as pool:
            shares = [once[i::8] for i in range(8)]
            answers = [one for some in pool.map(lambda share: send_all(url, share), shares) for one in some]
    assert {answer.status for answer in answers} <= {200, 400, 403, 404, 405, 409, 413, 415, 422, 429, 431}
    after = series(url)
    assert set(after) - before == set()
    assert len(after) < 1500
    labels = {label for name in after for label in re.findall(r'route="([^"]*)"', name)}
    assert labels <= {*KNOWN, "other"}
    models = {label for name in after for label in re.findall(r'model="([^"]*)"', name)}
    assert models <= {"lamp", "frame", "shade", "slow", "middle", "wide"}


FORGED = [
    'x"}\n{"level":"error","message":"forged"}',
    "x\r\n\r\nforged",
    "\x1b[31mforged\x1b[0m",
    "\x07forged",
    "x\0forged",
    "x\u2028forged\u0085forged",
    "\u202eforged",
    "%s%n%(forged)s{forged}",
    "${jndi:ldap://127.0.0.1/forged}",
    "\xff\xfeforged",
]
HEADERS = ["X-Request-ID", "traceparent", "User-Agent", "Referer", "X-Forwarded-For", "Cookie", "Host"]


def lines_after(log: Path, start: int) -> list[str]:
    return log.read_bytes()[start:].decode("utf-8", "surrogateescape").split("\n")


def forging(text: str) -> list[bytes]:
    """Requests that bring a text in every place where one can be."""
    coded = "".join(f"%{byte:02x}" for byte in text.encode())
    part = f'--B\r\ncontent-disposition: form-data; name="image"; filename="{text}"\r\n\r\n'.encode()
    named = f'--B\r\ncontent-disposition: form-data; name="{text}"\r\n\r\nx\r\n--B--\r\n'.encode()
    safe = "".join(letter for letter in text if letter not in "\r\n\0")
    latin = safe.encode("utf-8").decode("latin-1")
    return [
        get(f"/{coded}"),
        get(f"/v2/models/{coded}"),
        post(f"/classify?model={coded}&{coded}={coded}", LIGHT),
        post("/classify?model=lamp", part + LIGHT + b"\r\n--B--\r\n", kind="multipart/form-data; boundary=B"),
        post("/classify?model=lamp", named, kind="multipart/form-data; boundary=B"),
        infer("lamp", json.dumps({"id": text, "inputs": [{"name": text}]}).encode()),
        *(get("/models", f"{name}: !{latin}") for name in HEADERS),
        post("/classify", LIGHT, kind=f"image/{latin}"),
        f"GET /{text} HTTP/1.1\r\nHost: {text}\r\n\r\n".encode(),
        f"GET {text} HTTP/1.1\r\n{text}: {text}\r\n\r\n".encode(),
    ]


def test_nobody_writes_into_the_log(url: str, home: Path) -> None:
    """A18: by path, query, file name, content type, model, id or header."""
    log, start = home / "log", (home / "log").stat().st_size
    for text in FORGED:
        for request in forging(text):
            assert send(url, request).status < 500
    marker = "the-last-of-these"
    send(url, get("/models", f"X-Request-ID: {marker}"))
    until(lambda: any(marker in line for line in lines_after(log, start)))
    written = "\n".join(lines_after(log, start))
    assert written.count("\n") > 100
    assert "forged" not in written  # no text of a request is in the log, so none has to be escaped
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written)


def test_every_request_is_one_line_of_json(url: str, home: Path) -> None:
    """A18: refused ones too; with the id that was answered."""
    log, start = home / "log", (home / "log").stat().st_size
    answers = [send(url, request) for request in (post("/classify?model=lamp", LIGHT), get("/nothing"))]
    ids = [answer.headers["x-request-id"] for answer in answers]
    until(lambda: all(any(one in line for line in lines_after(log, start)) for one in ids))
    told = [json.loads(line) for line in lines_after(log, start) if line.startswith("{")]
    assert [line["request_id"] for line in told if line["request_id"] in ids] == ids
    assert {"time", "level", "message", "method", "route", "status", "seconds"} <= set(told[0])


IDS = [
    "",
    " ",
    "x" * 65,
    "x" * 7000,
    "a b",
    "a\tb",
    'a"b',
    "a\\b",
    "a\x1bb",
    "a;b",
    "<x>",
    "\xe9",
    "a/b",
    "a\x7fb",
]


@pytest.mark.parametrize("offered", IDS, ids=ascii)
def test_an_id_that_is_not_safe_is_replaced(url: str, offered: str) -> None:
    """A19: in the answer, in its header and in the log."""
    answer = send(url, get("/nothing", f"X-Request-ID: {offered}"))
    if answer.status == 400:  # control characters are not HTTP at all
        assert_refused(answer, 400, "bad_request")
        return
    given = answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", given)
    assert answer.json["request_id"] == given


def test_an_id_that_is_safe_is_kept(url: str) -> None:
    """A19: a caller finds his request again."""
    for offered in ("a", "A-1_2.3", "x" * 64):
        assert send(url, get("/models", f"X-Request-ID: {offered}")).headers["x-request-id"] == offered


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACES = ["", "00", TRACE.upper(), TRACE + "-x", TRACE[:-1], "x" * 7000, "00-" + "0" * 5000, "\xff" * 55]


def test_a_trace_that_is_none_is_left_out(url: str, home: Path) -> None:
    """A19: with its baggage; a good one is in the log."""
    log, start = home / "log", (home / "log").stat().st_size
    state = "x=" + "y" * 500
    lines = [f"tracestate: {state}", f"baggage: {state}"]
    bad = [send(url, get("/models", f"traceparent: {offered}", *lines)) for offered in TRACES]
    good = send(url, get("/models", f"traceparent: {TRACE}", *lines))
    assert {answer.status for answer in (*bad, good)} == {200}
    assert _line(log, start, good)["trace_id"] == TRACE.split("-")[1]
    for answer in bad:
        assert "trace_id" not in _line(log, start, answer)
    assert "y" * 500 not in "".join(lines_after(log, start))


def _line(log: Path, start: int, answer: Answer) -> dict[str, object]:
    """The line that tells of an answer."""
    given = answer.headers["x-request-id"]
    until(lambda: any(given in line for line in lines_after(log, start)))
    return dict(json.loads(next(line for line in lines_after(log, start) if given in line)))


def test_a_flood_of_nonsense_fills_no_log(url: str, home: Path) -> None:
    """A18: a line for each at most, and a short one: two thousand requests that are none."""
    log, start = home / "log", (home / "log").stat().st_size
    with healthy_neighbour(url):
        for _ in range(2000):
            send(url, b"\x16\x03\x01" + b"x" * 1000 + b"\r\n\r\n")
    written = log.read_bytes()[start:]
    assert len(written) < 2000 * 300

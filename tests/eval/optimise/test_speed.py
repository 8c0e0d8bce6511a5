"""Requests have the protocol's form, versions are asked in turn, failures are not counted as answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from eval.errors import EndpointError
from eval.optimise.speed import Speed, Way, in_turn, request_of

PIXELS = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


class Recorder(BaseHTTPRequestHandler):
    """Answers 200, or 500 on `/broken`; remembers what was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, int, bytes]] = []  # noqa: RUF012  # one server at a time

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.path, int(self.headers["inference-header-content-length"]), body))
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"no")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Recorder.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def way(url: str, path: str) -> Way:
    return Way(url, path, request_of("images", PIXELS), request_of("images", PIXELS[:1]))


def test_pixels_go_as_raw_uint8() -> None:
    ask = request_of("images", PIXELS)
    told = json.loads(ask.body[: ask.head])
    (tensor,) = told["inputs"]
    assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("images", "UINT8", [2, 4, 5, 3])
    assert ask.body[ask.head :] == PIXELS.tobytes()
    assert (ask.images, tensor["parameters"]["binary_data_size"]) == (2, PIXELS.size)
    assert told["parameters"] == {"binary_data_output": True}


def test_files_go_with_their_lengths() -> None:
    ask = request_of("images", [b"abc", b"d"])
    (tensor,) = json.loads(ask.body[: ask.head])["inputs"]
    assert (tensor["datatype"], tensor["shape"]) == ("BYTES", [2])
    assert ask.body[ask.head :] == b"\x03\0\0\0abc\x01\0\0\0d"


def test_versions_are_asked_in_turn(url: str) -> None:
    ways = {name: way(url, f"/{name}") for name in ("a", "b")}
    found = in_turn(ways, rounds=3, seconds=0.01, connections=2)
    assert found.keys() == {"a", "b"}
    assert all(len(s.images_per_s) == 3 and min(s.images_per_s) > 0 for s in found.values())
    assert all(s.latency_ms > 0 for s in found.values())
    batches = [path for path, head, body in Recorder.asked if len(body) - head == PIXELS.size]
    turns = [path for i, path in enumerate(batches) if i == 0 or batches[i - 1] != path]
    assert turns == ["/a", "/b"] * 4  # one turn to warm up
    assert {head for _, head, _ in Recorder.asked} == {ways["a"].one.head, ways["a"].many.head}


def test_a_failure_ends_the_measurement(url: str) -> None:
    with pytest.raises(EndpointError, match="answered 500"):
        in_turn({"x": way(url, "/broken")}, rounds=5, seconds=0.01, connections=1)


def test_nobody_there_is_said_in_words() -> None:
    with pytest.raises(EndpointError, match="did not answer"):
        in_turn({"x": way("http://127.0.0.1:9", "/")}, rounds=5, seconds=0.01, connections=1)


def test_ratios_are_of_the_same_round() -> None:
    """A round in which the machine was slow for both says as much as any other."""
    base, fast = Speed([100.0, 10.0, 100.0], 1.0), Speed([200.0, 20.0, 210.0], 1.0)
    assert fast.times(base) == [2.0, 2.0, 2.1]
    assert fast.ratio(base) == 2.0

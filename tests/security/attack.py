"""What an attack needs: raw connections, the service's memory, a neighbour who must not suffer."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import numpy as np
import psutil

from models.decoding import encode_png

__all__ = [
    "DARK",
    "HEAD",
    "LIGHT",
    "MB",
    "ROUTES",
    "Answer",
    "Wire",
    "assert_answers",
    "assert_refused",
    "get",
    "grows_at_most",
    "healthy_neighbour",
    "infer",
    "memory",
    "post",
    "send",
    "send_all",
    "series",
    "until",
    "worker",
]

LIGHT = encode_png(np.full((10, 20, 3), 230, np.uint8))
DARK = encode_png(np.full((10, 20, 3), 20, np.uint8))
ROUTES = {"/classify": "lamp", "/detect": "frame", "/segment": "shade"}
HEAD = "Inference-Header-Content-Length"
MB = 1_000_000
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Attributes:
        headers: names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error's code, where the body is our one error body."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(self.json["code"])
        return None


class Wire:
    """One connection that says any bytes and hears answers one after the other."""

    def __init__(self, url: str, *, timeout_s: float = PATIENCE_S, receive_bytes: int = 0) -> None:
        where = urlsplit(url)
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout_s)
        self.socket.connect((where.hostname or "", where.port or 0))
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def say(self, data: bytes) -> Self:
        """Send; a service that hung up already is no error, its answer may still be read."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)
        return self

    def hear(self, *, head: bool = False) -> Answer:
        """The next answer; to HEAD it has no body. Raises ConnectionError where none comes any more."""
        line = self._file.readline()
        if not line:
            raise ConnectionError("the connection is closed")
        status, headers = int(line.split()[1]), {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        length = 0 if head else int(headers.get("content-length", 0))
        return Answer(status, headers, self._file.read(length))

    def is_closed(self, within_s: float) -> bool:
        """Whether the other side ends the connection in time; what it still says is thrown away."""
        end = time.monotonic() + within_s
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False


def send(url: str, data: bytes) -> Answer:
    """One answer to raw bytes on a connection of their own."""
    with Wire(url) as wire:
        return wire.say(data).hear(head=data.startswith(b"HEAD "))


def send_all(url: str, requests: Sequence[bytes], *, at_once: int = 1) -> list[Answer]:
    """Keep-alive, and pipelined if `at_once` says so: thousands of requests cost a client little.

    Where the service ends a connection, the rest is asked on a new one.
    """
    heard: list[Answer] = []
    while len(heard) < len(requests):
        so_far = len(heard)
        with Wire(url) as wire, contextlib.suppress(ConnectionError):
            while some := requests[len(heard) : len(heard) + at_once]:
                wire.say(b"".join(some))
                for _ in some:
                    heard.append(wire.hear())
        assert len(heard) > so_far, "a new connection must answer at least once"
    return heard


def get(path: str, *lines: str, method: str = "GET") -> bytes:
    """The bytes of a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: test", *lines, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *lines: str, kind: str = "image/png") -> bytes:
    """The bytes of a request with a body and its true length."""
    told = [f"Content-Type: {kind}"] if kind else []
    return get(path, *told, f"Content-Length: {len(body)}", *lines, method="POST") + body


def infer(model: str, body: bytes, *lines: str, kind: str = "application/json") -> bytes:
    """The bytes of a request of the Open Inference Protocol."""
    return post(f"/v2/models/{model}/infer", body, *lines, kind=kind)


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """A failure, in the one shape of all failures."""
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["content-type"] == "application/json"
    told = answer.json
    assert set(told) == {"error", "code", "status", "request_id"}
    assert told["status"] == status
    assert told["error"]


def assert_answers(url: str) -> None:
    """The service is alive, and right."""
    answer = send(url, post("/classify?model=lamp", LIGHT))
    assert answer.status == 200, answer
    assert answer.json["predictions"][0]["name"] == "light"


def worker(url: str) -> psutil.Process:
    """The process that answers at `url`: below this one, of the BentoML that was given its port."""
    port = str(urlsplit(url).port)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "bentoml" in child.cmdline() and port in child.cmdline():
                for below in child.children():
                    if any("worker.service" in word for word in below.cmdline()):
                        return below
    raise LookupError(f"no worker answers at {url}")


def memory(process: psutil.Process) -> int:
    """Bytes in use by a process."""
    return int(process.memory_info().rss)


@contextlib.contextmanager
def grows_at_most(most_bytes: int, url: str | None = None) -> Iterator[None]:
    """The highest memory in use meanwhile, of the service or of this process, is no more above the first."""
    process = psutil.Process() if url is None else worker(url)
    assert process.children() == [] or url is None  # all its memory is its own
    first, over = memory(process), threading.Event()
    peak = [first]

    def watch() -> None:
        while not over.wait(0.003):
            peak[0] = max(peak[0], memory(process))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield
        finally:
            over.set()
        watching.result()
    grown = max(peak[0], memory(process)) - first
    assert grown <= most_bytes, f"{grown / MB:.0f} MB more, at most {most_bytes / MB:.0f} may be"


@dataclass
class Neighbour:
    """An ordinary client. `wrong` must stay empty."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def ask(self, url: str, over: threading.Event) -> None:
        with httpx2.Client(base_url=url, timeout=PATIENCE_S) as client:
            while not over.wait(0.01):
                began = time.monotonic()
                try:
                    answer = client.post("/classify?model=lamp", files={"image": ("i", LIGHT)})
                    if answer.status_code != 200 or answer.json()["predictions"][0]["name"] != "light":
                        self.wrong.append(answer.text)
                except httpx2.HTTPError as error:
                    self.wrong.append(repr(error))
                self.seconds.append(time.monotonic() - began)


@contextlib.contextmanager
def healthy_neighbour(url: str, *, slowest_s: float = 1.5) -> Iterator[Neighbour]:
    """Somebody asks ordinary things all the while; no answer fails, none takes longer than `slowest_s`."""
    neighbour, over = Neighbour(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(neighbour.ask, url, over)
        try:
            until(lambda: bool(neighbour.seconds))
            yield neighbour
            so_far = len(neighbour.seconds)
            until(lambda: len(neighbour.seconds) > so_far)  # after the attack, too
        finally:
            over.set()
        asking.result()
    assert neighbour.wrong == []
    assert max(neighbour.seconds) <= slowest_s


def until(holds: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Wait for what must happen, and no longer."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        time.sleep(0.02)  # asking again, not waiting for luck


def series(url: str) -> dict[str, float]:
    """Every series of `/metrics` and its value."""
    text = send(url, get("/metrics")).body.decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}

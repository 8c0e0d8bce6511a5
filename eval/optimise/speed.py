"""How fast versions answer over HTTP: all of them in turn, round by round, so that ratios hold.

A slow moment of the machine falls on every version of its round, and the median over rounds of
candidate / base forgets it.
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from eval.errors import EndpointError
from models.results import Array

__all__ = ["Ask", "Speed", "Way", "in_turn", "request_of"]

LENGTH = "inference-header-content-length"
TIMEOUT_S = 60.0
SINGLE = 40  # requests of one picture, for the latency


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of the Open Inference Protocol, binary both ways.

    Attributes:
        head: bytes of its JSON.
        images: how many it asks about.
    """

    body: bytes
    head: int
    images: int


@dataclass(frozen=True, slots=True)
class Way:
    """How a version is asked.

    Attributes:
        url: of the service; services may differ, so that their settings can be compared.
        path: of the version's infer route.
    """

    url: str
    path: str
    many: Ask
    one: Ask


@dataclass(frozen=True, slots=True)
class Speed:
    """One version, by rounds.

    Attributes:
        images_per_s: of each round.
        latency_ms: median of requests of one picture, one at a time.
    """

    images_per_s: Sequence[float]
    latency_ms: float

    def times(self, base: Speed) -> list[float]:
        """This version's throughput over the base's, round by round."""
        pairs = zip(self.images_per_s, base.images_per_s, strict=True)
        return [mine / other for mine, other in pairs]

    def ratio(self, base: Speed) -> float:
        """The median over rounds."""
        return statistics.median(self.times(base))


def request_of(name: str, sent: Sequence[bytes] | Array) -> Ask:
    """Pictures as a request for `answer.*`: encoded files, or pixels of one size.

    Args:
        name: of the graph's input.
        sent: encoded pictures, or uint8 `(N, H, W, 3)`, which spares the server the decoding.
    """
    if isinstance(sent, np.ndarray):
        raw, kind, shape = sent.tobytes(), "UINT8", list(sent.shape)
    else:
        raw = b"".join(len(file).to_bytes(4, "little") + file for file in sent)
        kind, shape = "BYTES", [len(sent)]
    tensor = {"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return Ask(head + raw, len(head), len(sent))


def in_turn(ways: Mapping[str, Way], *, rounds: int, seconds: float, connections: int) -> dict[str, Speed]:
    """Every version's throughput in each round, and its latency.

    Args:
        seconds: of one version in one round; a request that began is waited for.
        connections: requests under way at once.

    Raises:
        EndpointError: a request was not answered with 200.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    latency = {name: _latency(way) for name, way in ways.items()}
    for way in ways.values():  # the service learns how long a picture takes, and its threads wake
        _throughput(way, 0.1, connections)
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(_throughput(way, seconds, connections))
    return {name: Speed(found[name], latency[name]) for name in ways}


@dataclass(slots=True)
class _Line:
    """One kept-alive connection."""

    url: str
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)

    def send(self, path: str, ask: Ask) -> None:
        headers = {"content-type": "application/octet-stream", LENGTH: str(ask.head)}
        try:
            self.connection.request("POST", path, ask.body, headers)
            response = self.connection.getresponse()
            told = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise EndpointError(f"{self.url}{path} did not answer: {error}") from error
        if response.status != 200:
            raise EndpointError(f"{self.url}{path} answered {response.status}: {told[:300]!r}")


def _latency(way: Way) -> float:
    line, spent = _Line(way.url), []
    try:
        for _ in range(SINGLE):
            began = time.perf_counter()
            line.send(way.path, way.one)
            spent.append(time.perf_counter() - began)
    finally:
        line.connection.close()
    return 1e3 * statistics.median(spent[SINGLE // 4 :])


def _throughput(way: Way, seconds: float, connections: int) -> float:
    """Images a second with every connection busy, from the first request to the last answer."""
    start = threading.Barrier(connections)

    def drive(_: int) -> tuple[float, float, int]:
        line, count = _Line(way.url), 0
        try:
            start.wait()
            began = now = time.perf_counter()
            while count == 0 or now - began < seconds:
                line.send(way.path, way.many)
                count, now = count + 1, time.perf_counter()
            return began, now, count
        finally:
            line.connection.close()

    with ThreadPoolExecutor(connections) as pool:
        done = list(pool.map(drive, range(connections)))
    spent = max(end for _, end, _ in done) - min(began for began, _, _ in done)
    return sum(count for *_, count in done) * way.many.images / spent

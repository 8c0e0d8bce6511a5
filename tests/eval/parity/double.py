"""A small service of the friendly routes in this process, around any way of answering files."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from models.card import ModelCard
from models.results import Array, Result
from models.tensors import datatype_of, read_raw, write_raw
from models.wire import answer_of

__all__ = ["Double", "files_in", "told_of"]

ROUTES = {"classification": "/classify", "detection": "/detect", "segmentation": "/segment"}
LENGTH = "Inference-Header-Content-Length"
Graph = Callable[[Array], list[Array]]


def files_in(body: bytes) -> list[bytes]:
    """The files of a form."""
    boundary = body[: body.index(b"\r\n")]
    return [part.split(b"\r\n\r\n", 1)[1][:-2] for part in body.split(boundary)[1:-1]]


def told_of(card: ModelCard) -> dict[str, Any]:
    """How the service lists a version."""
    return {
        "name": card.name, "version": card.version, "task": card.task, "labels": list(card.labels),
        "sha256": card.sha256, "state": "ready", "error": None, "claims": [],
        "input": {"height": card.input.height, "width": card.input.width},
    }  # fmt: skip


@dataclass
class Double:
    """One version, served.

    Attributes:
        answer: files -> results; raises ValueError to refuse with a 422.
        graph: its raw outputs for the graph's own tensor; None where the double speaks no such protocol.
        headers: more headers of an answer, from the request's body.
        replace: the whole body of an answer, from the request's body and the answer that was made.
    """

    card: ModelCard
    answer: Callable[[list[bytes]], Sequence[Result]]
    graph: Graph | None = None
    headers: Callable[[bytes], Mapping[str, str]] = lambda _: {}
    asked: list[bytes] = field(default_factory=list)
    at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def get(self, path: str) -> tuple[int, Any]:
        """What a GET is told."""
        if path == "/models":
            return 200, {"models": [told_of(self.card)]}
        return (200, {}) if path == "/readyz" else (404, {"error": "no such route"})

    def predictions(self, body: bytes) -> tuple[int, bytes]:
        """The answer to a form; `at_once` counts how many are being made."""
        with self._lock:
            self.asked.append(body)
            self.at_once += 1
        try:
            results = self.answer(files_in(body))
        except ValueError as error:
            return 422, json.dumps({"error": str(error)}).encode()
        finally:
            with self._lock:
                self.at_once -= 1
        told = answer_of(self.card, list(results), scores=True)
        return 200, orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)

    def infer(self, body: bytes, length: int) -> tuple[int, bytes, dict[str, str]]:
        """The graph's own outputs, in the protocol's binary form."""
        told = json.loads(body[:length])["inputs"][0]
        if self.graph is None or told["datatype"] == "BYTES":
            return 400, json.dumps({"error": "not taken here"}).encode(), {}
        tensor = read_raw(told["name"], told["datatype"], tuple(told["shape"]), memoryview(body)[length:])
        outputs = self.graph(np.array(tensor.values))
        named = zip(self.card.outputs, outputs, strict=True)
        parts = [(name, array, write_raw(array)) for name, array in named]
        head = json.dumps({"outputs": [
            {"name": name, "datatype": datatype_of(array), "shape": list(array.shape),
             "parameters": {"binary_data_size": len(raw)}} for name, array, raw in parts
        ]}).encode()  # fmt: skip
        return 200, b"".join([head, *(raw for *_, raw in parts)]), {LENGTH: str(len(head))}

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Its address while it serves."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                status, told = double.get(urlsplit(self.path).path)
                self._reply(status, json.dumps(told).encode(), {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path.startswith("/v2/"):
                    self._reply(*double.infer(body, int(self.headers.get(LENGTH, len(body)))))
                    return
                status, told = double.predictions(body)
                number = {"x-request-id": str(next(double._ids))}
                self._reply(status, told, {**number, **double.headers(body)})

            def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: the tests' own output is enough."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A user of the load who was ended, mostly; tests look at what is answered."""

        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

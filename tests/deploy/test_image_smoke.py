"""What the smoke test counts as lost and as wrong: a smoke test that cannot fail says nothing."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from deploy.image.confinement import USER, Confinement
from deploy.image.container import MEMORY_BYTES, PIDS, Way, running
from deploy.image.drain import Client, Request, count
from deploy.image.engine import Engine, EngineError
from deploy.image.questions import QUESTIONS, SCENE, Question
from models.digits import digits
from models.results import Classification, Detections, Segmentation
from models.scenes import scene

TOLD, OVER = 10.0, 13.0
CLASSIFY, DETECT, SEGMENT = (question() for question in QUESTIONS)


def test_what_counts_as_lost() -> None:
    requests = [
        Request(9.0, 9.1, "right", fresh=True),
        Request(9.9, 10.2, "right", fresh=False),  # under way when the signal came
        Request(10.1, 10.2, "right", fresh=True),
        Request(12.0, 12.1, "wrong", fresh=True),
        Request(12.5, 14.0, "none", fresh=True),
        Request(12.9, 12.9, "refused", fresh=True),  # somebody had to be there until 13
        Request(13.1, 15.0, "none", fresh=True),  # readiness had been 503 for three seconds
        Request(13.5, 13.5, "refused", fresh=True),  # the end
    ]
    assert count(requests, TOLD, OVER) == {
        "answered": 3,
        "during": 1,
        "connections": 2,
        "failed": 3,
        "late": 1,
    }


class Scripted(BaseHTTPRequestHandler):
    """Answers the digit right three times, wrong once, then drops the connection."""

    turn = 0
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Scripted.turn += 1
        if Scripted.turn > 4:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = json.dumps(_classified(7 if Scripted.turn < 4 else 3)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _classified(label: int) -> dict[str, object]:
    """An answer of the service, right when the label is 7; the true one otherwise is another."""
    true = int(digits("test")[1][0])
    scores = np.zeros(10)
    scores[true if label == 7 else (true + 1) % 10] = 1
    return {"task": "classification", "predictions": [{"scores": scores.tolist()}]}


@pytest.mark.parametrize("keeps", [False, True])
def test_a_client_asks_until_it_is_told_that_all_is_over(keeps: bool) -> None:
    Scripted.turn = 0
    leaving = threading.Event()
    leaving.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = Client(Way(server.server_port), CLASSIFY, keeps=keeps, leaving=leaving)
        client.run()
        server.shutdown()
        thread.join()
    assert [request.outcome for request in client.told] == ["right", "right", "right", "wrong", "none"]
    assert [request.fresh for request in client.told] == [True, *[not keeps] * 4]


def test_whoever_finds_nobody_is_refused() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        port = server.server_port
    leaving = threading.Event()
    leaving.set()
    client = Client(Way(port), CLASSIFY, keeps=False, leaving=leaving)
    client.run()
    assert [request.outcome for request in client.told] == ["refused"]
    assert Way(port).status("/readyz") is None


@pytest.mark.parametrize(("pid", "port"), [("0", "127.0.0.1:5"), ("7", "")])
def test_a_container_that_cannot_be_reached_is_told(tmp_path: Path, pid: str, port: str) -> None:
    program = tmp_path / "docker"
    answers = f"inspect) echo {pid};; port) echo {port};; logs) echo 'bad setting' >&2;;"
    program.write_text(f"#!/bin/sh\ncase $1 in {answers} esac\n")
    program.chmod(0o755)
    engine = Engine("docker", str(program))
    with (
        pytest.raises(EngineError, match=r"ended, or published no port: bad setting"),
        running(engine, "a", {}),
    ):
        pass


def test_an_answer_is_right_by_the_truth() -> None:
    drawn = scene(SCENE)
    scores = np.linspace(0.9, 0.5, len(drawn.labels)).astype(np.float32)
    true = Detections(drawn.boxes, scores, drawn.labels)
    assert DETECT.is_right(true)
    assert not DETECT.is_right(Detections(drawn.boxes[1:], scores[1:], drawn.labels[1:]))  # one is missing
    assert not DETECT.is_right(Detections(drawn.boxes + 15, scores, drawn.labels))  # beside it
    assert not DETECT.is_right(Detections(drawn.boxes, scores, (drawn.labels + 1) % 3))  # of another class
    assert SEGMENT.is_right(Segmentation(drawn.semantic))
    assert not SEGMENT.is_right(Segmentation(np.zeros_like(drawn.semantic)))
    label = int(digits("test")[1][0])
    assert CLASSIFY.is_right(Classification(np.eye(10, dtype=np.float32)[label]))
    assert not CLASSIFY.is_right(Classification(np.eye(10, dtype=np.float32)[label - 1]))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"error": "no"}', b'{"task": "detection", "predictions": []}']
)
def test_what_is_no_answer_is_not_right(body: bytes) -> None:
    assert not CLASSIFY.holds(body)
    assert not DETECT.holds(body)


def test_every_task_is_asked_once() -> None:
    assert [question.task for question in (CLASSIFY, DETECT, SEGMENT)] == [
        "classification",
        "detection",
        "segmentation",
    ]
    body, headers = Question("classification", "/classify", 1, b"\x89PNG", lambda _: True).body()
    assert b'name="image"' in body
    assert body.count(headers["Content-Type"].partition("boundary=")[2].encode()) == 2


GOOD = Confinement(USER, USER, 0, 1, True, str(MEMORY_BYTES), str(PIDS), False, 1000, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", 0),
        ("group", 0),
        ("capabilities", 1 << 10),
        ("no_new_privileges", 0),
        ("read_only", False),
        ("memory_limit", "max"),
        ("pids_limit", "max"),
        ("shell", True),
        ("zombies", 1),
    ],
)
def test_each_freedom_too_much_is_told(name: str, value: object) -> None:
    assert GOOD.wrong() == []
    (told,) = dataclasses.replace(GOOD, **{name: value}).wrong()  # type: ignore[arg-type]
    assert told.startswith(f"{name} must be ")
    assert told.endswith(f", got {value}")

"""SIGTERM while clients ask without end: which requests are lost, and how it ends."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Literal

from deploy.image.container import FAILURES, Container, Way
from deploy.image.questions import Question

__all__ = ["Client", "Drained", "Request", "count", "drained"]

CLIENTS, BEFORE_S = 8, 2.0
PATIENCE_S = 30.0  # for the end of a container that was told to stop
Outcome = Literal["right", "wrong", "none", "refused"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        begun: of time.monotonic, before its connection was opened.
        outcome: answered right; answered otherwise; not answered; no connection was taken.
        fresh: on a connection of its own.
    """

    begun: float
    ended: float
    outcome: Outcome
    fresh: bool


@dataclass(frozen=True, slots=True)
class Drained:
    """How a container ended under load.

    Attributes:
        answered: requests answered right, in all.
        during: of them, those begun after SIGTERM.
        connections: that were opened for them.
        failed: requests begun before the drain was over that were not answered, or not right. A refused
            connection is one too: until then there must be someone.
        late: requests begun after it that were not answered, which readiness has long told not to send.
        left: processes of it that are still there.
    """

    answered: int
    during: int
    connections: int
    failed: int
    late: int
    exit_code: int
    stop_s: float
    left: int


@dataclass(slots=True)
class Client:
    """Asks one question again and again until no connection is taken any more."""

    way: Way
    question: Question
    keeps: bool
    leaving: Event
    told: list[Request] = field(default_factory=list)
    kept: HTTPConnection | None = None

    def run(self) -> None:
        while True:
            begun, fresh = time.monotonic(), self.kept is None
            outcome = self._ask()
            self.told.append(Request(begun, time.monotonic(), outcome, fresh))
            if outcome in ("none", "refused"):
                if self.leaving.is_set():
                    return
                time.sleep(0.01)

    def _ask(self) -> Outcome:
        connection = self.kept or self.way.connect(timeout_s=10)
        self.kept = None
        try:
            body, headers = self.question.body()
            connection.request("POST", self.question.path, body, headers)
            reply = connection.getresponse()
            answer = reply.read()
        except ConnectionRefusedError:
            return "refused"
        except FAILURES:
            connection.close()
            return "none"
        if self.keeps and connection.sock is not None:  # the server has not said that it closes
            self.kept = connection
        else:
            connection.close()
        return "right" if reply.status == 200 and self.question.holds(answer) else "wrong"


def drained(container: Container, question: Question, drain_s: float) -> Drained:
    """Load it, stop it, look what was lost. Half of the clients keep their connections.

    Args:
        drain_s: how long the service goes on after SIGTERM; its ASSAY_DRAIN_S.
    """
    leaving = Event()
    clients = [Client(container.way, question, bool(i % 2), leaving) for i in range(CLIENTS)]
    processes = container.processes()
    with container.way.threads(CLIENTS) as threads:
        busy = [threads.submit(client.run) for client in clients]
        try:
            time.sleep(BEFORE_S)
            told = time.monotonic()
            container.engine.run("kill", "--signal=TERM", container.name)
            code = int(container.engine.run("wait", container.name, timeout=PATIENCE_S).stdout)
            ended = time.monotonic()
        finally:
            leaving.set()
        wait(busy)
    requests = list(itertools.chain.from_iterable(client.told for client in clients))
    left = sum(Path(f"/proc/{process}").exists() for process in processes)
    return Drained(**count(requests, told, told + drain_s), exit_code=code, stop_s=ended - told, left=left)


def count(requests: Sequence[Request], told: float, over: float) -> Mapping[str, int]:
    """The figures of requests, where SIGTERM was sent at `told` and service was promised until `over`."""
    right = [request for request in requests if request.outcome == "right"]
    lost = [request for request in requests if request.outcome != "right"]
    return {
        "answered": len(right),
        "during": sum(request.begun > told for request in right),
        "connections": sum(request.fresh for request in right),
        "failed": sum(request.begun < over for request in lost),
        "late": sum(request.begun >= over and request.outcome != "refused" for request in lost),
    }

"""A22 to A25: a service that is stopped, killed, used for long, and out of connections."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.e2e.processes import running_service
from tests.security.attack import (
    DARK,
    LIGHT,
    Wire,
    assert_answers,
    assert_refused,
    get,
    healthy_neighbour,
    infer,
    memory,
    post,
    send,
    send_all,
    until,
    worker,
)
from tests.security.conftest import LIMITS
from tests.security.test_overload import tensor
from tests.security.test_pictures import form


@dataclass
class Traffic:
    """Clients who ask until they are told that the service is not ready, as behind a load balancer."""

    url: str
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, request: bytes) -> None:
        wire = Wire(self.url)
        while not self.stop.is_set():
            try:
                answer = wire.say(request).hear()
            except (OSError, ValueError, IndexError) as error:
                self.wrong.append(repr(error))
                return
            if answer.status != 200:
                self.wrong.append(str(answer))
            self.answered += 1
            if answer.headers.get("connection") == "close":
                wire.close()
                wire = Wire(self.url)
        wire.close()


@dataclass
class Killed:
    """A service whose process was killed, and how long it took until it answered again."""

    url: str
    killed: psutil.Process
    told_at_once: bool
    seconds: Future[float]


@pytest.fixture(scope="module")
def killed(attacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    """Killed now, and asked for later: others are tested while it comes back."""
    with (
        running_service(tmp_path_factory.mktemp("killed"), model_repository=attacked, poll_s=0) as url,
        ThreadPoolExecutor(1) as pool,
    ):
        process = worker(url)
        with Wire(url) as waiting:
            assert waiting.say(get("/livez")).hear().status == 200  # else the next one might take it
            waiting.say(form("/classify?model=slow", *[LIGHT] * 8))
            process.send_signal(signal.SIGKILL)
            told = waiting.is_closed(3)
        yield Killed(url, process, told, pool.submit(back, url))


def back(url: str) -> float:
    began = time.monotonic()
    until(lambda: answers(url), 30)
    return time.monotonic() - began


def test_a_killed_process_leaves_nobody_waiting(killed: Killed) -> None:
    """A23: who was being answered is told at once, by the end of the connection."""
    assert killed.told_at_once


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), Wire(url, timeout_s=1) as wire:
        return wire.say(get("/readyz")).hear().status == 200
    return False


def test_a_service_that_is_stopped_loses_no_request(attacked: Path, tmp_path: Path) -> None:
    """A22: not ready at once, served on meanwhile, finished at the end; then the exit code is 0."""
    with (
        running_service(tmp_path, model_repository=attacked, drain_s=1, poll_s=0) as url,
        ThreadPoolExecutor(8) as pool,
    ):
        traffic = Traffic(url)
        requests = [
            post("/classify?model=lamp", LIGHT),
            infer("lamp", json.dumps({"inputs": [tensor()]}).encode()),
        ]
        clients = [pool.submit(traffic.ask, requests[i % 2]) for i in range(6)]
        until(lambda: traffic.answered > 100)
        parent = worker(url).parent().parent()
        assert "service" in parent.cmdline()
        began = time.monotonic()
        parent.send_signal(signal.SIGTERM)
        until(lambda: send(url, get("/readyz")).status == 503, 0.8)
        assert_refused(send(url, get("/v2/health/ready")), 503, "not_ready")
        assert send(url, get("/livez")).status == 200
        at_signal = traffic.answered
        until(lambda: time.monotonic() - began > 0.7)  # served on, well into the wait
        assert traffic.answered > at_signal + 20
        late = Wire(url).say(form("/classify?model=slow", *[LIGHT] * 8))
        until(lambda: time.monotonic() - began > 0.8)
        traffic.stop.set()
        for client in clients:
            client.result()
        assert traffic.wrong == []
        assert late.hear().status == 200  # begun in time, however long it takes
        late.close()
        assert parent.wait(20) == 0 or not parent.is_running()
        assert time.monotonic() - began < 15


def mixture() -> list[bytes]:
    """Good and bad requests of every kind."""
    told = json.dumps({"inputs": [tensor()]}).encode()
    return [
        post("/classify?model=lamp", LIGHT),
        form("/classify?model=lamp", LIGHT, DARK),
        form("/detect", LIGHT),
        post("/segment?model=shade", LIGHT),
        infer("lamp", told),
        infer("frame", LIGHT, kind="image/png"),
        post("/classify?model=lamp", LIGHT[:50]),
        post("/classify?model=nobody", LIGHT),
        post("/classify", b"{}", kind="application/json"),
        infer("lamp", told[:-9]),
        get("/models"),
        get("/nothing"),
        get("/v2/models/lamp/stats"),
        get("/metrics"),
        post("/classify?model=lamp", bytes(1_000_001)),
        b"nonsense\r\n\r\n",
    ]


def test_memory_stays_the_same(url: str) -> None:
    """A24: two thousand requests more leave no trace."""
    process = worker(url)

    def some(rounds: int) -> int:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: send_all(url, mixture()), range(rounds)))
        return memory(process)

    some(60)
    first = some(25)
    assert some(125) <= first * 1.03


def test_connections_beyond_the_limit_are_ended_at_once(url: str) -> None:
    """A25: who has one keeps it, and when the others are gone there is room."""
    most = LIMITS["max_connections"]
    with healthy_neighbour(url), contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(url)) for _ in range(most + 50)]
        end = time.monotonic() + 0.7  # before the silent ones have had their second
        assert all(wire.is_closed(end - time.monotonic()) for wire in wires[most:])
        until(lambda: answers(url))  # as soon as the silent ones had their second
    assert_answers(url)


def test_running_out_of_files_is_survived(url: str) -> None:
    """A25: no file for one more connection; who has one is answered, and afterwards everybody."""
    process = worker(url)
    limit = process.rlimit(psutil.RLIMIT_NOFILE)
    with healthy_neighbour(url), contextlib.ExitStack() as stack:
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 10, limit[1]))
        stack.callback(process.rlimit, psutil.RLIMIT_NOFILE, limit)
        for _ in range(60):
            stack.enter_context(Wire(url)).say(b"GET")
        until(lambda: process.num_fds() >= process.rlimit(psutil.RLIMIT_NOFILE)[0] - 2)
        busy_s = sum(process.cpu_times()[:2])
        until(lambda: answers(url), 10)  # the silent ones are ended, and leave room
        assert sum(process.cpu_times()[:2]) - busy_s < 3
    assert_answers(url)


def test_a_killed_process_is_replaced(killed: Killed) -> None:
    """A23: the service answers again within 15 seconds, by another process, and ends with 0 later."""
    assert killed.seconds.result() < 15
    assert worker(killed.url) != killed.killed
    assert_answers(killed.url)

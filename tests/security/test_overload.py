"""A20, A21: more is asked than can be done, and who asked goes away."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import running_service
from tests.security.attack import (
    LIGHT,
    MB,
    Answer,
    Wire,
    assert_answers,
    assert_refused,
    get,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    series,
    until,
)
from tests.security.test_pictures import form

WAITING = 14
SLOW = post("/classify?model=slow", LIGHT)


@pytest.fixture(scope="module")
def busy(attacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One slot, a short queue, room for six large requests."""
    with running_service(
        tmp_path_factory.mktemp("busy"),
        model_repository=attacked,
        runs=1,
        max_waiting=WAITING,
        max_images=8,
        timeout_s=10,
        max_body_bytes=1_000_000,
        max_buffered_bytes=6_000_000,
        poll_s=0,
    ) as url:
        yield url


@pytest.fixture(autouse=True)
def right_after(busy: str) -> Iterator[None]:
    """Nothing is under way any more, and all memory is given back: the next caller is answered."""
    yield
    until(lambda: in_flight(busy) == 0)
    assert_answers(busy)
    assert send(busy, SLOW).status == 200
    assert send(busy, post("/classify?model=lamp", bytes(1_000_000))).status == 422


def in_flight(url: str) -> float:
    return series(url).get("assay_requests_in_flight", 0)


def images(url: str, model: str = "slow") -> int:
    """Pictures that were run to the end so far."""
    told = send(url, get(f"/v2/models/{model}/stats")).json
    return int(told["model_stats"][0]["inference_count"])


def asking(url: str, clients: int, seconds: float) -> Counter[tuple[int, str | None]]:
    """What so many clients get who ask again almost at once."""
    end, counts, lock = time.monotonic() + seconds, Counter[tuple[int, str | None]](), threading.Lock()
    never = threading.Event()

    def ask() -> None:
        with Wire(url) as wire:
            while time.monotonic() < end:
                answer = wire.say(SLOW).hear()
                if answer.status == 429:
                    assert int(answer.headers["retry-after"]) > 0
                    never.wait(0.01)
                with lock:
                    counts[answer.status, answer.code] += 1

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def test_more_than_can_be_done_is_refused_at_once(busy: str) -> None:
    """A20: thirty clients who do not wait as they are told; what can be done is done as before."""
    alone = asking(busy, 2, 1.5)
    assert set(alone) == {(200, None)}
    with grows_at_most(30 * MB, busy), healthy_neighbour(busy, slowest_s=3):
        together = asking(busy, 30, 1.5)
    assert set(together) == {(200, None), (429, "overloaded")}
    assert together[429, "overloaded"] > 10 * together[200, None]
    # Those in the queue at the end are answered too, in time that is not counted.
    assert together[200, None] >= 0.7 * alone[200, None]


def test_no_request_waits_in_vain(busy: str) -> None:
    """A20: who has a millisecond is told so; nothing is computed for him."""
    body = json.dumps({"parameters": {"timeout": 1000}, "inputs": [tensor()]}).encode()
    with Wire(busy) as long:
        long.say(form("/classify?model=slow", *[LIGHT] * 8))
        until(lambda: in_flight(busy) >= 1)
        before = images(busy)
        answers = [send(busy, infer("slow", body)) for _ in range(20)]
        assert long.hear().status == 200
    assert {(answer.status, answer.code) for answer in answers} <= {
        (429, "overloaded"),
        (503, "expired"),
        (504, "too_late"),
    }
    assert images(busy) - before <= 8


def tensor() -> dict[str, object]:
    return {"name": "images", "datatype": "FP32", "shape": [1, 3, 8, 8], "data": [0.5] * 192}


def test_requests_hold_no_more_memory_together_than_they_may(busy: str) -> None:
    """A20: ten uploads of almost a megabyte where there is room for six; they end, and there is room."""
    head = get("/classify?model=lamp", "Content-Type: image/png", "Content-Length: 1000000", method="POST")
    with grows_at_most(40 * MB, busy):
        wires = [Wire(busy).say(head + bytes(990_000)) for _ in range(10)]
        answers: list[Answer] = []
        for wire in wires:
            wire.socket.settimeout(0.2)
            try:
                answers.append(wire.hear())
            except TimeoutError:  # one that may go on
                continue
        assert 4 <= len(answers) <= 6
        for answer in answers:
            assert_refused(answer, 503, "out_of_memory")
            assert int(answer.headers["retry-after"]) > 0
        for wire in wires:
            wire.close()


def test_who_leaves_the_queue_is_not_computed_for(busy: str) -> None:
    """A21: five requests behind a long one; their clients go."""
    with Wire(busy) as long:
        before = images(busy)
        long.say(form("/classify?model=slow", *[LIGHT] * 8))
        until(lambda: in_flight(busy) >= 1)
        leaving = [Wire(busy).say(SLOW) for _ in range(5)]
        until(lambda: in_flight(busy) >= 6)
        for wire in leaving:
            wire.close()
        assert long.hear().status == 200
        until(lambda: in_flight(busy) == 0)
        assert images(busy) - before == 8


def test_who_leaves_with_more_requests_behind_is_not_computed_for(busy: str) -> None:
    """A21: of pipelined requests the server tells only the latest that its client left."""
    with Wire(busy) as long:
        before = images(busy)
        long.say(form("/classify?model=slow", *[LIGHT] * 8))
        until(lambda: in_flight(busy) >= 1)
        leaving = [Wire(busy).say(SLOW * 10) for _ in range(3)]
        until(lambda: in_flight(busy) >= 4)
        for wire in leaving:
            wire.close()
        assert long.hear().status == 200
        until(lambda: in_flight(busy) == 0)
        assert images(busy) - before == 8


def test_who_leaves_half_way_frees_the_slot(busy: str) -> None:
    """A21: the picture that is being run is run to its end, the other seven are not."""
    before = images(busy)
    with Wire(busy) as wire:
        wire.say(form("/classify?model=slow", *[LIGHT] * 8))
        until(lambda: images(busy) > before)
    until(lambda: in_flight(busy) == 0)
    assert images(busy) - before < 7


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
def test_who_leaves_during_an_upload_is_forgotten(busy: str, part: float) -> None:
    """A21: forty times as much as there is room for, one after the other; nothing of it is run."""
    head = get("/classify?model=lamp", "Content-Type: image/png", "Content-Length: 900000", method="POST")
    before = images(busy, "lamp")
    with grows_at_most(30 * MB, busy):
        for _ in range(40):
            with Wire(busy) as wire:
                wire.say(head + bytes(int(900_000 * part)))
        until(lambda: in_flight(busy) == 0)
    assert images(busy, "lamp") == before


def test_who_leaves_without_reading_is_forgotten(busy: str) -> None:
    """A21: thousands of answers that nobody waits for."""
    with grows_at_most(30 * MB, busy), healthy_neighbour(busy):
        for _ in range(100):
            with Wire(busy) as wire:
                wire.say(get("/docs.json") * 20)

"""The runner with real processes: every end a job can have, and every way its server can go."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.jobs.desk import Desk
from eval.jobs.errors import Conflict, UnknownJob
from eval.jobs.store import Store
from eval.journal import Journal, Row
from tests.eval.jobs.asking import body, desk_at, gone, until

pytestmark = pytest.mark.slow
Make = Callable[..., Desk]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes desks on one home; all are closed at the end."""
    made: list[Desk] = []

    def one(**settings: Any) -> Desk:
        made.append(desk_at(tmp_path / "home", **settings))
        return made[-1]

    yield one
    for desk in made:
        desk.runner.close()


def submit(desk: Desk, model: str) -> str:
    return desk.submit("evaluation", body(model), None)[0].id


def ended(desk: Desk, job_id: str, *states: str) -> dict[str, Any]:
    """What the job tells once it is in one of the states."""
    until(lambda: desk.job(job_id)["state"] in states, turn=desk.runner.tick)
    return desk.job(job_id)


def file(desk: Desk, job_id: str, name: str) -> str:
    """What the job's program wrote there, once it has."""
    path = desk.runner.folder(job_id) / name
    return str(until(lambda: path.is_file() and path.read_text(), turn=desk.runner.tick))


@pytest.mark.parametrize(
    ("model", "state", "attempts", "verdict", "why"),
    [
        ("done", "done", 1, "valid", None),
        ("invalid", "done", 1, "not valid", None),
        ("once", "done", 2, "valid", None),
        ("refused", "failed", 1, None, "http://x serves no model 'refused'"),
        ("crash", "failed", 3, None, "crashed 3 times, the last time with exit code 1: RuntimeError: a bug"),
        ("killed", "failed", 3, None, "crashed 3 times, the last time with signal 9: nothing on stderr"),
    ],
)
def test_every_end(
    make: Make, model: str, state: str, attempts: int, verdict: str | None, why: str | None
) -> None:
    desk = make()
    told = ended(desk, submit(desk, model), "done", "failed")
    assert (told["state"], told["attempts"]) == (state, attempts)
    assert (told["verdict"], told["why"]) == (verdict, why)


def test_the_command_is_the_one_that_is_documented(make: Make) -> None:
    desk = make()
    job_id = submit(desk, "done")
    ended(desk, job_id, "done")
    folder = desk.runner.folder(job_id)
    told = json.loads((folder / "arguments.json").read_text())
    assert told == [
        *("evaluate", "http://127.0.0.1:3000", "--data=digits:test", "--model=done"),
        *(f"--out={folder}", "--resume", "--quiet"),
    ]
    assert desk.report(job_id, "json") == b"json done"


def test_no_more_at_once_than_may_in_the_order_they_came(make: Make) -> None:
    desk = make(jobs=2)
    waiting = [submit(desk, "wait") for _ in range(4)]
    for _ in range(3):
        desk.runner.tick()
    assert [desk.job(job_id)["state"] for job_id in waiting] == ["running", "running", "queued", "queued"]
    desk.cancel(waiting[0])
    ended(desk, waiting[2], "running")
    assert [desk.job(job_id)["state"] for job_id in waiting] == ["cancelled", "running", "running", "queued"]


def test_progress_and_last_words_while_it_runs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_EVAL_SECRET_TEST", "s3cr3t-s3cr3t")
    desk = make()
    job_id = submit(desk, "wait")
    file(desk, job_id, "pid")
    until(lambda: any("secret" in line for line in desk.job(job_id)["log"]))
    told = desk.job(job_id)
    assert told["progress"] == {"done": 2, "total": 8, "errors": 1}
    assert told["eta_s"] > 0
    assert told["log"] == [*(f"line {i}" for i in range(11, 30)), "the secret is $ASSAY_EVAL_SECRET_TEST"]


def test_one_that_waits_is_cancelled_at_once(make: Make) -> None:
    desk = make()
    job_id = submit(desk, "done")
    assert desk.cancel(job_id)["state"] == "cancelled"
    assert desk.cancel(job_id)["state"] == "cancelled"  # again is no mistake
    desk.runner.tick()
    assert desk.job(job_id)["attempts"] == 0


@pytest.mark.parametrize(("model", "grace_s"), [("wait", 60), ("deaf", 0), ("family", 0)])
def test_cancel_ends_the_whole_group(make: Make, model: str, grace_s: float) -> None:
    desk = make(grace_s=max(grace_s, 0.01))
    job_id = submit(desk, model)
    pids = [int(file(desk, job_id, "pid"))]
    if model == "family":
        pids.append(int(file(desk, job_id, "child")))
    assert desk.cancel(job_id)["state"] == "cancelling"
    assert ended(desk, job_id, "cancelled")["verdict"] is None
    until(lambda: all(map(gone, pids)))
    with pytest.raises(Conflict, match="cancelled"):
        desk.store.move(job_id, "running")


def test_one_that_is_cancelled_when_it_had_just_ended(make: Make) -> None:
    desk = make()
    job_id = submit(desk, "wait")
    pid = int(file(desk, job_id, "pid"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    desk.cancel(job_id)
    assert ended(desk, job_id, "cancelled")["attempts"] == 1


def test_what_could_not_be_written_is_written_later(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make()
    job_id = submit(desk, "wait")
    pid = int(file(desk, job_id, "pid"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "move", full)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                desk.runner.tick()
    assert desk.job(job_id)["state"] == "running"
    desk.runner.tick()
    assert (desk.job(job_id)["state"], desk.job(job_id)["attempts"]) == ("running", 2)


def test_one_that_takes_too_long_is_stopped(make: Make) -> None:
    desk = make(job_timeout_s=0.01)
    told = ended(desk, submit(desk, "wait"), "failed")
    assert told["why"] == "stopped: it took longer than 0.01 s"


def test_a_server_that_stops_leaves_its_jobs_to_the_next(make: Make) -> None:
    first = make()
    job_id = submit(first, "wait")
    pid = int(file(first, job_id, "pid"))
    first.runner.close()
    assert gone(pid)
    told = first.job(job_id)
    assert (told["state"], told["attempts"], told["why"]) == (
        "queued",
        0,
        "the service was stopped; it goes on",
    )
    second = make()
    ended(second, job_id, "running")
    assert second.job(job_id)["attempts"] == 1


@pytest.mark.parametrize("model", ["deaf", "family"])
def test_a_server_that_stops_does_not_wait_for_the_deaf(make: Make, model: str) -> None:
    desk = make(grace_s=0.01)
    job_id = submit(desk, model)
    pids = [int(file(desk, job_id, "pid"))]
    if model == "family":
        pids.append(int(file(desk, job_id, "child")))
    desk.runner.close()
    until(lambda: all(map(gone, pids)))
    assert desk.job(job_id)["state"] == "queued"


def test_only_one_runner_works_on_a_home(make: Make) -> None:
    first, second = make(), make()
    assert first.runner.tick()
    job_id = submit(second, "wait")
    assert not second.runner.tick()
    assert second.job(job_id)["state"] == "queued"
    ended(first, job_id, "running")
    first.runner.close()
    assert second.runner.tick()
    assert second.job(job_id)["state"] == "running"


def test_what_a_dead_server_ran_goes_on_and_is_given_up_when_it_kills_every_server(make: Make) -> None:
    desk = make()
    job_id = submit(desk, "done")
    cancelling = submit(desk, "done")
    desk.store.move(job_id, "running", attempts=2)
    desk.store.move(cancelling, "running", attempts=1)
    desk.store.move(cancelling, "cancelling")
    told = ended(desk, job_id, "done")  # the third attempt
    assert told["attempts"] == 3
    assert desk.job(cancelling)["state"] == "cancelled"
    poison = submit(desk, "done")
    desk.store.move(poison, "running", attempts=3)
    desk.runner.close()
    assert ended(make(), poison, "failed")["why"] == "the service died 3 times while it ran"


def test_a_job_that_got_further_is_not_to_blame_for_its_server(make: Make) -> None:
    desk = make()
    job_id = submit(desk, "done")
    with Journal.create(desk.runner.folder(job_id) / "journal.sqlite", {"images": 8}) as journal:
        journal.add([Row(0, "a", "", "", b"")])
    desk.store.move(job_id, "running", attempts=3, before=0)
    assert ended(desk, job_id, "done", "failed")["state"] == "done"
    again = submit(desk, "done")
    desk.store.move(again, "running", attempts=3, before=1)
    desk.runner.close()
    assert ended(make(), again, "done", "failed")["state"] == "failed"


def test_lists_that_changed_hold_for_jobs_that_wait(make: Make, tmp_path: Path) -> None:
    first = make()
    job_id = submit(first, "done")
    second = make(hosts="example.com")
    assert "ASSAY_EVAL_HOSTS" in ended(second, job_id, "failed")["why"]


def test_old_jobs_go_with_their_folders(make: Make) -> None:
    desk = make(keep=1)
    old = submit(desk, "done")
    ended(desk, old, "done")
    folder = desk.runner.folder(old)
    assert folder.is_dir()
    new = submit(desk, "done")
    ended(desk, new, "done")
    desk.runner.tick()
    assert not folder.exists()
    with pytest.raises(UnknownJob):
        desk.job(old)
    desk.remove(new)
    assert not desk.runner.folder(new).exists()


def test_its_own_thread_does_all_that(make: Make) -> None:
    desk = make()
    desk.runner.start()
    job_id = submit(desk, "done")
    until(lambda: desk.job(job_id)["state"] == "done")
    assert desk.runner.healthy


def test_a_broken_queue_is_told_and_tried_again(make: Make, tmp_path: Path) -> None:
    desk = make()
    queue = tmp_path / "home" / "queue.sqlite"
    moved = queue.rename(tmp_path / "elsewhere")
    queue.mkdir()
    desk.runner.start()
    until(lambda: not desk.runner.healthy)
    queue.rmdir()
    moved.rename(queue)
    until(lambda: desk.runner.healthy)


def test_one_that_was_killed_is_tried_again(make: Make) -> None:
    desk = make()
    job_id = submit(desk, "wait")
    pid = int(file(desk, job_id, "pid"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: desk.job(job_id)["attempts"] == 2, turn=desk.runner.tick)
    assert gone(pid)

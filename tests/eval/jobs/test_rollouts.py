"""A rollout's gate over HTTP: one verdict for a revision; what could not be asked is asked again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from eval.jobs.catalogue import CatalogueError
from eval.jobs.commands import MESSAGE
from eval.jobs.desk import Desk
from eval.jobs.errors import GateRunning
from eval.jobs.store import Job
from tests.eval.jobs.asking import desk_at
from tests.eval.jobs.http import client_of, is_error, post

GATE = {
    "endpoint": {"url": "http://assay-canary.shop.svc"},
    "subject": {"model": "m"},
    "baseline": {"url": "http://assay-primary.shop.svc", "model": "m"},
    "data": "digits:test",
    "rules": "rollout.yaml",
}
RULES = {
    "against": {"accuracy": {"not_worse_by": 0.02}, "audit.robust_accuracy": {"not_worse_by": 0.1}},
    "audit": {"samples": 20},
}
GO, BACK = "/v1/rollouts", "/v1/rollouts/rollback"


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    folder = tmp_path / "gates"
    folder.mkdir()
    (folder / "assay.yaml").write_text(yaml.safe_dump(GATE))
    (folder / "rollout.yaml").write_text(yaml.safe_dump(RULES))
    return folder


@pytest.fixture
def desk(tmp_path: Path, gates: Path) -> Iterator[Desk]:
    """Its runner does nothing unless `tick` is called."""
    made = desk_at(tmp_path / "home", gates_dir=gates)
    yield made
    made.runner.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return client_of(desk)


def payload(checksum: str = "7f6d", **fields: Any) -> bytes:
    """What Flagger sends, with fields that it may add one day."""
    told = {
        "name": "assay", "namespace": "shop", "phase": "Progressing", "checksum": checksum,
        "failed_checks": 0, "metadata": {"gate": "assay", "more": "x"},
    }  # fmt: skip
    return json.dumps({**told, **fields}).encode()


def jobs(desk: Desk) -> list[Job]:
    return desk.store.newest(100)


def end(desk: Desk, verdict: str | None, words: str = "", state: Any = "done") -> None:
    (job, *_) = jobs(desk)
    desk.store.move(job.id, "running")
    folder = desk.runner.folder(job.id)
    folder.mkdir(parents=True)
    (folder / MESSAGE).write_text(words)
    desk.store.move(job.id, state, verdict=verdict, why=None if verdict else "the canary is gone")


def test_it_runs_once_and_is_told_again_and_again(client: TestClient, desk: Desk) -> None:
    answer = post(client, payload(), GO)
    assert is_error(answer, 425, "gate_running")
    assert int(answer.headers["retry-after"]) > 0
    assert is_error(post(client, payload(), GO), 425, "gate_running")
    (job,) = jobs(desk)
    assert job.kind == "gate"
    end(desk, "pass")
    for _ in range(2):
        answer = post(client, payload(), GO)
        assert (answer.status_code, answer.json()["id"]) == (200, job.id)
    assert is_error(post(client, payload(), BACK), 409, "gate_passed")
    assert len(jobs(desk)) == 1


@pytest.mark.parametrize(
    ("verdict", "status", "code"), [("fail", 412, "gate_failed"), ("inconclusive", 409, "gate_inconclusive")]
)
def test_a_verdict_is_final(client: TestClient, desk: Desk, verdict: str, status: int, code: str) -> None:
    assert is_error(post(client, payload(), BACK), 425, "gate_running")  # looking begins nothing
    assert jobs(desk) == []
    post(client, payload(), GO)
    assert is_error(post(client, payload(), BACK), 425, "gate_running")
    end(desk, verdict, f"m/2: {verdict}\nfail: accuracy: 0.5\n")
    for _ in range(3):
        answer = post(client, payload(), GO)
        assert is_error(answer, status, code)
        assert f"m/2: {verdict}; fail: accuracy: 0.5 (job" in answer.json()["error"]
    answer = post(client, payload(), BACK)
    assert (answer.status_code, answer.json()["verdict"]) == (200, verdict)
    assert len(jobs(desk)) == 1


@pytest.mark.parametrize(("verdict", "state"), [(None, "failed"), ("could not be asked", "done")])
def test_what_could_not_be_asked_is_asked_again_and_may_pass(
    client: TestClient, desk: Desk, verdict: str | None, state: str
) -> None:
    post(client, payload(), GO)
    end(desk, verdict, "http://x: could not be asked\nerror: gate: gone\n", state)
    assert is_error(post(client, payload(), BACK), 503, "gate_not_asked")
    assert len(jobs(desk)) == 1
    answer = post(client, payload(), GO)
    assert is_error(answer, 503, "gate_not_asked")
    assert "error: gate: gone" in answer.json()["error"]
    assert len(jobs(desk)) == 2  # it is under way again
    assert is_error(post(client, payload(), GO), 425, "gate_running")
    end(desk, "fail", "m/2: fail")
    assert is_error(post(client, payload(), GO), 412, "gate_failed")
    assert len(jobs(desk)) == 2  # and now never more


def test_it_is_not_tried_for_ever(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.jobs.desk.MOST_TRIES", 2)
    for _ in range(2):
        post(client, payload(), GO)
        end(desk, "could not be asked", "m/2: could not be asked: gone\n")
    for _ in range(3):
        answer = post(client, payload(), GO)
        assert is_error(answer, 503, "gate_not_asked")
        assert "tried" not in answer.json()["error"]
    assert is_error(post(client, payload(), BACK), 503, "gate_not_asked")
    assert len(jobs(desk)) == 2


def test_many_who_ask_at_once_begin_one_and_a_server_that_comes_back_knows_it(
    client: TestClient, desk: Desk, tmp_path: Path, gates: Path
) -> None:
    def ask(_: int) -> str:
        with pytest.raises(GateRunning) as told:
            desk.rollout(payload())
        return str(told.value)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1
    assert len(jobs(desk)) == 1
    end(desk, "fail", "m/2: fail")
    again = desk_at(tmp_path / "home", gates_dir=gates)
    assert is_error(post(client_of(again), payload(), GO), 412, "gate_failed")
    again.runner.close()


def test_another_revision_canary_or_gate_has_a_verdict_of_its_own(
    client: TestClient, desk: Desk, gates: Path
) -> None:
    post(client, payload(), GO)
    end(desk, "fail")
    others = ({"checksum": "8"}, {"name": "other"}, {"namespace": "other"})
    for number, fields in enumerate(others, 2):
        assert is_error(post(client, payload(**fields), GO), 425, "gate_running")
        assert len(jobs(desk)) == number
    (gates / "rollout.yaml").write_text(yaml.safe_dump({**RULES, "confidence": 0.9}))
    assert is_error(post(client, payload(), GO), 425, "gate_running")
    (gates / "rollout.yaml").write_text(yaml.safe_dump(RULES))
    assert is_error(post(client, payload(), GO), 412, "gate_failed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (payload(checksum=""), 422, "bad_parameter"),
        (payload(metadata={}), 422, "bad_parameter"),
        (payload(metadata={"gate": "../assay"}), 422, "bad_parameter"),
        (payload(metadata={"gate": "none"}), 422, "unknown_name"),
        (payload(name="a b"), 422, "bad_parameter"),
    ],
)
def test_what_is_no_rollout(client: TestClient, desk: Desk, body: bytes, status: int, code: str) -> None:
    for path in (GO, BACK):
        assert is_error(post(client, body, path), status, code)
    assert jobs(desk) == []


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"rules": "../rollout.yaml"}, 422, "bad_parameter"),
        ({"rules": "none.yaml"}, 422, "unknown_name"),
        ({"rules": {}}, 422, "bad_parameter"),
        ({"subject": {"job": "0" * 32}}, 422, "bad_parameter"),
        ({"endpoint": {"url": "http://example.com"}}, 403, "host_not_allowed"),
        ({"data": "folder:/etc"}, 422, "bad_parameter"),
    ],
)
def test_a_gate_that_is_none_is_told_to_its_operator(
    client: TestClient, desk: Desk, gates: Path, changed: dict[str, Any], status: int, code: str
) -> None:
    (gates / "assay.yaml").write_text(yaml.safe_dump({**GATE, **changed}))
    assert is_error(post(client, payload(), GO), status, code)
    assert jobs(desk) == []


def test_without_a_folder_there_are_no_gates(tmp_path: Path) -> None:
    made = desk_at(tmp_path / "home")
    assert is_error(post(client_of(made), payload(), GO), 422, "unknown_name")
    made.runner.close()


def test_a_folder_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="must be a folder of gates"):
        desk_at(tmp_path / "home", gates_dir=tmp_path / "gone")


def test_a_gate_that_attacks_needs_the_hosts_of_audits(tmp_path: Path, gates: Path) -> None:
    made = desk_at(tmp_path / "home", gates_dir=gates, audit_hosts="elsewhere")
    assert is_error(post(client_of(made), payload(), GO), 403, "host_not_allowed")
    made.runner.close()

"""Clients of a desk in this process, and what they look at."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from eval.jobs.desk import Desk
from eval.jobs.edge import Edge
from eval.jobs.routes import application
from eval.jobs.states import State

JSON = {"content-type": "application/json"}


def client_of(desk: Desk | None) -> TestClient:
    def current() -> Desk | None:
        return desk

    return TestClient(Edge(application(current), current=current), raise_server_exceptions=False)


def post(client: TestClient, content: bytes, path: str = "/v1/evaluations", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, content=content, headers={**JSON, **named})


def is_error(answer: Any, status: int, code: str) -> bool:
    told = answer.json()
    assert set(told) == {"error", "code", "status", "request_id"}
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code), told
    assert answer.headers["x-request-id"] == told["request_id"]
    return True


def finish(desk: Desk, job_id: str, state: State = "done") -> None:
    desk.store.move(job_id, "running")
    folder = desk.runner.folder(job_id)
    folder.mkdir(parents=True)
    for suffix in ("json", "html", "md"):
        (folder / f"report.{suffix}").write_text(f"<p>{suffix}</p>")
    desk.store.move(job_id, state, verdict="valid" if state == "done" else None)

"""The routes over HTTP in this process: every answer, every error, one shape."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from eval.jobs.desk import Desk
from eval.jobs.edge import FIXED, Edge, route_of
from eval.jobs.openapi import PATHS
from eval.jobs.routes import application
from eval.jobs.settings import JobSettings
from eval.jobs.states import ENDED, KINDS, STATES
from eval.report.document import Report
from eval.report.html import to_html
from tests.eval.jobs.asking import body, desk_at
from tests.eval.jobs.http import client_of, finish, is_error, post

jsonschema: Any = importlib.import_module("jsonschema")
GUARDING = "content-security-policy"
KEY = "0123456789abcdef-key"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Its runner does nothing unless `tick` is called."""
    made = desk_at(tmp_path / "home", max_waiting=3, max_body_bytes=4096)
    yield made
    made.runner.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return client_of(desk)


def test_a_job_is_queued_and_told_where_it_is(client: TestClient) -> None:
    answer = post(client, body("m", limit=3))
    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == told["links"]["self"] == f"/v1/jobs/{told['id']}"
    assert (told["kind"], told["state"], told["progress"], told["log"]) == ("evaluation", "queued", None, [])
    assert told["asked"]["limit"] == 3
    assert client.get(answer.headers["location"]).json() == told
    (row,) = client.get("/v1/jobs").json()["jobs"]
    assert row == {name: value for name, value in told.items() if name not in ("progress", "eta_s", "log")}


def test_the_same_key_gives_the_same_job(client: TestClient) -> None:
    first = post(client, body("m"), idempotency_key="k-1")
    again = post(client, body("m"), idempotency_key="k-1")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert is_error(post(client, body("other"), idempotency_key="k-1"), 409, "key_reused")
    assert is_error(post(client, body("m"), "/v1/audits", idempotency_key="k-1"), 409, "key_reused")
    assert is_error(post(client, body("m"), idempotency_key="a b"), 422, "bad_parameter")
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_a_full_queue_says_when_to_come_again(client: TestClient) -> None:
    jobs = [post(client, body("m")).json()["id"] for _ in range(3)]
    answer = post(client, body("m"))
    assert is_error(answer, 429, "queue_full")
    assert int(answer.headers["retry-after"]) > 0
    assert client.post(f"/v1/jobs/{jobs[0]}/cancel").status_code == 202
    assert post(client, body("m")).status_code == 202


def test_reports_are_what_the_command_wrote_and_can_do_nothing(client: TestClient, desk: Desk) -> None:
    job_id = post(client, body("m")).json()["id"]
    for suffix in ("", ".html", ".md"):
        assert is_error(client.get(f"/v1/jobs/{job_id}/report{suffix}"), 409, "no_report")
    finish(desk, job_id)
    links = client.get(f"/v1/jobs/{job_id}").json()["links"]["reports"]
    assert set(links) == {"json", "html", "md"}
    for suffix, path in links.items():
        answer = client.get(path)
        assert answer.text == f"<p>{suffix}</p>"
        policy = dict(rule.strip().partition(" ")[::2] for rule in answer.headers[GUARDING].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["sandbox"] == "allow-scripts"  # not of our origin: it cannot ask us anything
        script = to_html(Report("x", {})).split("<script>")[1].split("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert policy["script-src"] == f"'sha256-{digest}'"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get(links["html"]).headers["content-type"] == "text/html; charset=utf-8"
    assert client.get(links["json"]).headers["content-type"] == "application/json"


def test_what_failed_has_no_report_even_where_a_file_lies(client: TestClient, desk: Desk) -> None:
    job_id = post(client, body("m")).json()["id"]
    finish(desk, job_id, "failed")
    assert is_error(client.get(f"/v1/jobs/{job_id}/report"), 409, "no_report")


def test_cancel_and_remove(client: TestClient, desk: Desk) -> None:
    job_id = post(client, body("m")).json()["id"]
    assert is_error(client.delete(f"/v1/jobs/{job_id}"), 409, "wrong_state")
    assert client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert is_error(client.get(f"/v1/jobs/{job_id}"), 404, "unknown_job")
    done = post(client, body("m")).json()["id"]
    finish(desk, done)
    assert is_error(client.post(f"/v1/jobs/{done}/cancel"), 409, "wrong_state")


def test_pages_and_states(client: TestClient, desk: Desk) -> None:
    jobs = [post(client, body("m")).json()["id"] for _ in range(3)]
    desk.store.move(jobs[1], "cancelled")
    first = client.get("/v1/jobs?limit=2").json()
    second = client.get(f"/v1/jobs?limit=2&before={first['next']}").json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == jobs[::-1]
    assert second["next"] is None
    assert [job["id"] for job in client.get("/v1/jobs?state=cancelled").json()["jobs"]] == [jobs[1]]
    for query in (
        "state=x",
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "before=x",
        "before=9" + "9" * 30,
        "limit=²",
    ):
        assert is_error(client.get(f"/v1/jobs?{query}"), 422, "bad_parameter")


@pytest.mark.parametrize(
    "job_id", ["0" * 32, "nix", "..%2f..%2fetc", "0" * 31 + "%00", "a" * 5000, "%27%20OR%201=1"]
)
def test_no_such_job(client: TestClient, job_id: str) -> None:
    for method, end in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/report.html")):
        answer = client.request(method, f"/v1/jobs/{job_id}{end}")
        assert answer.status_code == 404
        assert is_error(answer, 404, answer.json()["code"])


def test_the_wrong_path_method_type_or_size(client: TestClient) -> None:
    assert is_error(client.get("/nix"), 404, "unknown_route")
    wrong = client.get("/v1/evaluations")
    assert is_error(wrong, 405, "wrong_method")
    assert wrong.headers["allow"] == "POST"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = client.post("/v1/evaluations", content=body("m"), headers={"content-type": kind})
        assert is_error(answer, 415, "unsupported_body")
    assert is_error(post(client, body("m"), content_encoding="gzip"), 415, "unsupported_body")
    assert is_error(post(client, b" " * 5000), 413, "too_large")
    assert is_error(post(client, b"{"), 400, "bad_request")
    assert is_error(post(client, b"{}"), 422, "bad_parameter")
    assert is_error(post(client, body("m", data="nix")), 422, "unknown_name")
    assert is_error(post(client, body("m", url="http://169.254.169.254")), 403, "host_not_allowed")


def test_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# ours\n{KEY}  # the pipeline's\n")
    client = client_of(desk_at(tmp_path / "home", api_keys_file=tmp_path / "keys"))
    for headers in (
        {},
        {"x-api-key": KEY + "x"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer "},
    ):
        for path in ("/v1/jobs", "/v1/data", "/v1/openapi.json", "/docs.json", "/", "/nix"):
            answer = client.get(path, headers=headers)
            assert is_error(answer, 401, "no_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert is_error(client.post("/v1/evaluations", content=body("m"), headers=headers), 401, "no_key")
    assert client.get("/v1/jobs", headers={"x-api-key": KEY}).status_code == 200
    assert client.get("/v1/jobs", headers={"authorization": f"bearer {KEY}"}).status_code == 200
    assert client.get("/metrics").status_code == 200


def test_it_says_that_it_is_starting() -> None:
    answer = client_of(None).get("/v1/jobs")
    assert is_error(answer, 503, "not_ready")
    assert answer.headers["retry-after"] == "2"


def test_a_bug_is_told_without_its_words(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("s3cr3t")

    monkeypatch.setattr(desk.store, "newest", broken)
    monkeypatch.setattr(Desk, "jobs", broken)
    answer = client.get("/v1/jobs")
    assert is_error(answer, 500, "internal")
    assert "s3cr3t" not in answer.text


def test_names_of_data_never_paths(tmp_path: Path) -> None:
    (tmp_path / "sets.json").write_text(json.dumps({"holdout": "folder:/data/secret"}))
    client = client_of(desk_at(tmp_path / "home", data_file=tmp_path / "sets.json"))
    assert client.get("/v1/data").json()["data"][-1] == "holdout"
    assert "/data/secret" not in post(client, body("m", data="holdout")).text


def test_metrics_are_bounded_and_right(client: TestClient, desk: Desk) -> None:
    done = post(client, body("m")).json()["id"]
    finish(desk, done)
    post(client, body("m"))
    for i in range(5):
        client.get(f"/v1/jobs/{i:032x}")
        client.get(f"/scan/{i}")
    desk.remove(done)
    text = client.get("/metrics").text
    series = dict(re.findall(r"^(assay_eval_(?:jobs|queue)\S*) (\S+)$", text, flags=re.M))
    assert series['assay_eval_jobs{kind="evaluation",state="queued"}'] == "1.0"
    assert series['assay_eval_jobs{kind="evaluation",state="done"}'] == "0.0"
    assert series['assay_eval_jobs_ended_total{kind="evaluation",state="done"}'] == "1.0"
    assert series["assay_eval_queue_jobs"] == "1.0"
    assert len(series) == len(KINDS) * (len(STATES) + len(ENDED)) + 1
    routes = set(re.findall(r'assay_eval_requests_total\{route="([^"]+)"', text))
    assert "/v1/jobs/{id}" in routes
    assert not [route for route in routes if "scan" in route or "000" in route]


@given(st.text())
def test_a_route_is_one_of_few(path: str) -> None:
    assert route_of(path) in (
        "other",
        *FIXED,
        "/",
        "/docs.json",
        "/schema.json",
        "/livez",
        "/readyz",
        "/metrics",
    )


def test_a_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    desk = desk_at(tmp_path / "home", body_timeout_s=0.01)
    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/audits", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json")], "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    asyncio.run(Edge(application(lambda: desk), current=lambda: desk)(scope, never, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "slow_body"


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=200) | st.text(max_size=60).map(str.encode),
    path=st.sampled_from(sorted(PATHS.values())),
)
def test_no_body_is_ever_a_500(data: bytes, path: str) -> None:
    answer = post(FUZZED, data, path)
    assert 400 <= answer.status_code < 500
    assert is_error(answer, answer.status_code, answer.json()["code"])


class _NoQueue(Desk):
    """Refuses before anything is written."""

    def __init__(self) -> None:
        self.settings = JobSettings()
        self.keys = type("Keys", (), {"check": staticmethod(lambda _: None)})()


FUZZED = client_of(_NoQueue())

"""The evaluation service as a process of its own: jobs over REST, and kill -9 in the middle of one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.jobs.settings import PROJECT
from eval.served import served
from tests.eval.jobs.asking import gone, until

pytestmark = pytest.mark.slow


class Service:
    """A process of `python -m eval.jobs` on a free port of loopback."""

    def __init__(self, home: Path, **settings: object) -> None:
        told = {f"ASSAY_EVAL_{name.upper()}": str(value) for name, value in settings.items()}
        self.log = home.parent / "service.log"
        environment = {**os.environ, **told, "ASSAY_EVAL_HOME": str(home)}
        for name in ("PROMETHEUS_MULTIPROC_DIR", "BENTOML_HOME"):  # of the tests
            environment.pop(name, None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eval.jobs", "--port", "0"],
                cwd=PROJECT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().split()[-1]
        until(self.ready)

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        with contextlib.suppress(OSError):
            return self.ask("/readyz", raw=True) is not None
        return False

    def ask(self, path: str, body: dict[str, Any] | None = None, *, raw: bool = False) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"content-type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # loopback
            told = answer.read()
        return told if raw else json.loads(told)

    def ended(self, job: str) -> dict[str, Any]:
        """What a job tells once it has ended."""

        def look() -> dict[str, Any] | None:
            try:
                told = self.ask(f"/v1/jobs/{job}")
            except (ConnectionError, TimeoutError, urllib.error.URLError):  # its worker was killed just now
                return None
            return told if told["state"] in ("done", "failed", "cancelled") else None

        found: dict[str, Any] = until(look)
        return found

    def family(self) -> list[int]:
        """This process and all that came of it."""
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                tasks = Path(f"/proc/{pid}/task").glob("*/children")
                found += [int(child) for told in tasks for child in told.read_text().split()]
        return found

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def running(home: Path, **settings: object) -> Iterator[Service]:
    """A service that is ended by SIGTERM, and then must be gone with all that came of it."""
    service = Service(home, **settings)
    try:
        yield service
    finally:
        family = service.family()
        code = service.end()
        until(lambda: all(map(gone, family)))
    assert code == 0, service.log.read_text()[-2000:]


@pytest.fixture(scope="module")
def zoo() -> Iterator[str]:
    with served() as url:
        yield url


def job_of(url: str, **fields: Any) -> dict[str, Any]:
    return {"endpoint": {"url": url}, "data": "digits:test", "model": "digits", "version": 1, **fields}


def command_line(url: str, out: Path, *options: str) -> bytes:
    """The report the command writes."""
    program = [sys.executable, "-m", "eval", "evaluate", url, "--data", "digits:test", "--model", "digits"]
    done = subprocess.run(
        [*program, "--version", "1", "--quiet", "--out", str(out), *options], cwd=PROJECT, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return (out / "report.json").read_bytes()


def test_the_report_is_the_one_of_the_command_line(zoo: str, tmp_path: Path) -> None:
    with running(tmp_path / "home") as service:
        told = service.ask("/v1/evaluations", job_of(zoo, limit=60))
        done = service.ended(told["id"])
        assert (done["state"], done["verdict"], done["attempts"]) == ("done", "valid", 1), done
        assert done["progress"] == {"done": 60, "total": 60, "errors": 0}
        report = service.ask(done["links"]["reports"]["json"], raw=True)
        assert report == command_line(zoo, tmp_path / "out", "--limit", "60")
        assert service.ask(done["links"]["reports"]["html"], raw=True).startswith(b"<!doctype html>")
        wrong = service.ended(service.ask("/v1/evaluations", job_of(zoo, model="nix"))["id"])
        assert wrong["state"] == "failed"
        assert "serves no model 'nix'" in wrong["why"]
        assert b'assay_eval_jobs{kind="evaluation",state="failed"} 1.0' in service.ask("/metrics", raw=True)
        assert service.ask("/docs.json") == service.ask("/v1/openapi.json")
        with pytest.raises(urllib.error.HTTPError) as lost:
            service.ask("/nix")
        assert json.loads(lost.value.read())["code"] == "unknown_route"


def test_an_audit(zoo: str, tmp_path: Path) -> None:
    with running(tmp_path / "home") as service:
        small = {
            "samples": 4,
            "budget": 5,
            "attacks": ["uniform_noise"],
            "corruptions": ["contrast"],
            "seed": 3,
        }
        told = service.ended(service.ask("/v1/audits", job_of(zoo, epsilon=76.0, **small))["id"])
        assert (told["state"], told["verdict"]) == ("done", "valid"), told
        assert json.loads(service.ask(told["links"]["reports"]["json"], raw=True))["figures"]


def test_a_comparison_and_a_gate_of_two_jobs(zoo: str, tmp_path: Path) -> None:
    with running(tmp_path / "home", jobs=2) as service:
        jobs = [service.ask("/v1/evaluations", job_of(zoo, limit=40, version=v))["id"] for v in (1, 2)]
        assert [service.ended(job)["state"] for job in jobs] == ["done", "done"]
        live = {"endpoint": {"url": zoo}, "data": "digits:test"}
        sides = {"before": {"job": jobs[0]}, "after": {"job": jobs[1]}}
        told = service.ended(service.ask("/v1/comparisons", {**sides, "resamples": 20})["id"])
        assert told["state"] == "done", told
        assert json.loads(service.ask(told["links"]["reports"]["json"], raw=True))["figures"]
        for bound, verdict in (("at_least", "pass"), ("at_most", "fail")):
            rules = {"require": {"accuracy": {bound: 0.5, "by": "value"}}}
            subject = {"model": "digits", "version": 2}
            gate = service.ask("/v1/gates", {**live, "limit": 40, "subject": subject, "rules": rules})
            told = service.ended(gate["id"])
            assert (told["state"], told["verdict"]) == ("done", verdict), told


def test_a_secret_is_used_and_kept_nowhere(tmp_path: Path) -> None:
    secret, home = "s3cr3t-s3cr3t-s3cr3t", tmp_path / "home"
    (tmp_path / "keys").write_text(secret)
    headers = {"Authorization": "Bearer $ASSAY_EVAL_SECRET_KEY"}
    with served(api_keys_file=tmp_path / "keys") as url, running(home, secret_key=secret) as service:
        told = service.ask(
            "/v1/evaluations", job_of(url, limit=20, endpoint={"url": url, "headers": headers})
        )
        assert service.ended(told["id"])["state"] == "done", service.ask(f"/v1/jobs/{told['id']}")
        without = service.ended(service.ask("/v1/evaluations", job_of(url, limit=20))["id"])
        assert without["state"] == "failed"
        assert "401" in without["why"]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
@pytest.mark.parametrize("who", ["main", "arbiter", "worker"])
def test_a_job_whose_server_is_killed_goes_on_to_the_same_report(zoo: str, tmp_path: Path, who: str) -> None:
    home, slow = tmp_path / "home", {"url": zoo, "max_qps": 150.0}
    with contextlib.ExitStack() as stack:
        service = Service(home)
        job = service.ask("/v1/evaluations", job_of(zoo, limit=300, batch=4, endpoint=slow))["id"]
        until(lambda: (service.ask(f"/v1/jobs/{job}")["progress"] or {"done": 0})["done"] >= 20)
        family = service.family()
        main, arbiter, worker, asking = family
        os.kill({"main": main, "arbiter": arbiter, "worker": worker}[who], signal.SIGKILL)
        until(lambda: gone(asking))  # nobody goes on writing
        until(lambda: gone(worker))
        if who == "worker":  # whose place is taken by another
            stack.callback(service.end)
        else:
            until(lambda: all(map(gone, family)))
            service.process.communicate()
            service = stack.enter_context(running(home))
        done = service.ended(job)
        assert (done["state"], done["verdict"]) == ("done", "valid"), done
        assert done["progress"]["done"] == 300
        report = service.ask(done["links"]["reports"]["json"], raw=True)
    assert report == command_line(zoo, tmp_path / "out", "--limit", "300", "--batch", "4")


def test_a_wrong_setting_is_said_in_one_line(tmp_path: Path) -> None:
    for name, value, words in (
        ("HOSTS", "http://x", "ASSAY_EVAL_HOSTS"),
        ("DATA_FILE", str(tmp_path / "nix"), "cannot be read"),
        ("API_KEYS_FILE", str(tmp_path / "nix"), "cannot be read"),
        ("JOBS", "0", "ASSAY_EVAL_JOBS"),
    ):
        environment = {**os.environ, "ASSAY_EVAL_HOME": str(tmp_path), f"ASSAY_EVAL_{name}": value}
        done = subprocess.run(
            [sys.executable, "-m", "eval.jobs", "--port", "0"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
        )
        assert done.returncode == 2
        assert words in done.stderr.decode()
        assert len(done.stderr.decode().splitlines()) == 1

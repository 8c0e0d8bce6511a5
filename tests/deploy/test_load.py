"""Real runs of Locust: an open loop shows a stall that a closed one hides, workers, scenarios, exit codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy.load.payloads import KINDS, ROUTES
from tests.deploy.loaded import Done, free_port, locust, workers
from tests.deploy.stalling import Stalling, stalling
from tests.e2e.processes import ROOT, running_service

pytestmark = pytest.mark.slow


def test_an_open_loop_shows_a_stall_that_a_closed_loop_hides(tmp_path: Path) -> None:
    """Gil Tene's test: of two runs over the same stall of 2 s only one tells of it.

    The stall outlasts the run: what is under way at its end is waited for, and counts, from workers too.
    """

    def run(name: str, *options: str) -> tuple[Done, dict[str, Any]]:
        with stalling(Stalling(after_s=3.0, stall_s=2.0, pause_s=0.005)) as server:
            told = ("--slo-p99-ms", "500", *options, "Classifier")
            done, figures = locust(server.url, tmp_path / name, *told, seconds=5)
            assert figures["requests"] == server.asked, done.stdout  # each once, whoever sent it
            return done, figures

    with ThreadPoolExecutor() as both:
        runs = [both.submit(run, "closed"), both.submit(run, "open", "--rate", "40", *workers(2))]
        (closed, hidden), (opened, shown) = (each.result() for each in runs)
    assert hidden["p99_ms"] < 200 < 1500 < hidden["max_ms"], closed.stdout
    assert closed.returncode == 0
    assert 1500 < shown["p99_ms"] < 2500, opened.stdout
    assert opened.returncode == 1
    assert "SLO broken: 99 % took up to" in opened.stdout
    good = (shown["goodput_rps"] or 0) * shown["seconds"]
    assert good == pytest.approx(40 * 3, rel=0.4)  # what was due before the stall
    assert shown["requests"] - good > 10  # and after it began
    assert (shown["failures"], hidden["failures"]) == (0, 0)
    assert (shown["workers"], hidden["workers"]) == (2, 0)


LATE = """
import sys, time
from locust.env import Environment
from types import SimpleNamespace
from deploy.load.payloads import Ask
from deploy.load.users import Asker

told = []
Asker.host = sys.argv[1]
environment = Environment(parsed_options=SimpleNamespace(timeout_s=9))
environment.events.request.add_listener(lambda **each: told.append(each))
Asker(environment).ask(Ask("late", "/classify", {}, b"x", 1), time.perf_counter() - 5)
(one,) = told
print(one["exception"], round(one["response_time"] // 1000), round(one["context"]["lag_ms"] // 1000))
"""


def test_a_request_sent_late_counts_from_when_it_was_due() -> None:
    """The generator's own delay is no discount: due 5 s ago, answered at once, it took 5 s."""
    with stalling(Stalling()) as server:
        command = [sys.executable, "-c", LATE, server.url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "None 5 5\n", done.stderr


def test_two_workers_load_a_real_service_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Master and workers as they are deployed; the workers are told nothing but where the master is."""
    port, keys = str(free_port()), tmp_path / "keys"
    keys.write_text("a key that only this test knows\n")
    monkeypatch.setenv("LOAD_KEY", keys.read_text().strip())
    command = [sys.executable, "-m", "locust", "-f", "deploy/load/locustfile.py", "--worker"]
    with running_service(tmp_path / "home", api_keys_file=keys) as url:
        hands = [
            subprocess.Popen(
                [*command, "--master-host", "127.0.0.1", "--master-port", port],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]  # fmt: skip
        try:
            master = ("--master", "--expect-workers", "2", "--master-bind-host", "127.0.0.1")
            bind = ("--master-bind-port", port, "--rate", "40", "--json-file", f"{tmp_path}/load")
            free = ("--slo-p99-ms", "60000", "--max-lag-ms", "60000", "--header", "X-API-Key=$LOAD_KEY")
            done, told = locust(url, tmp_path, *master, *bind, *free, seconds=5)
            assert [hand.wait(30) for hand in hands] == [0, 0]
        finally:
            for hand in hands:
                hand.kill()
                hand.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SLO kept" in done.stdout
    assert told["failures"] == 0
    rows = json.loads((tmp_path / "load.json").read_text())
    asked = [row["name"].removeprefix("/v2").split() for row in rows]
    assert [{row[0] for row in asked}, {row[1] for row in asked}] == [set(ROUTES), set(KINDS)]
    assert told["workers"] == 2
    assert told["requests"] == sum(row["num_requests"] for row in rows)  # nothing was lost on the way
    assert told["requests"] == pytest.approx(40 * told["sending_seconds"], rel=0.5)
    assert "Aggregated" in (tmp_path / "load_stats.csv").read_text()
    assert "<html" in (tmp_path / "load.html").read_text()


def test_a_scenario_and_a_shape_are_kept(tmp_path: Path) -> None:
    """Single stream has one user and is valid by its rules alone; a spike has all its users in the middle."""
    single = ("--scenario", "single-stream", "-u", "1", "--least-seconds", "1", "Classifier")
    spike = ("--shape", "spike", "-u", "10", "-r", "10", "-t", "7s", "Classifier")
    with stalling(Stalling(pause_s=0.02)) as server, ThreadPoolExecutor() as both:
        runs = [both.submit(locust, server.url, tmp_path / o[1], *o) for o in (single, spike)]
        (done, told), (spiked, _) = (each.result() for each in runs)
    assert (done.returncode, told["valid"], told["result"]) == (3, False, told["p90_ms"])
    assert "single-stream (MLPerf-style, not MLPerf): p90_ms" in done.stdout
    assert "invalid: it must have 1024 requests, got" in done.stdout
    assert spiked.returncode == 0, spiked.stdout + spiked.stderr
    history = csv.DictReader((tmp_path / "spike" / "load_stats_history.csv").read_text().splitlines())
    users = [int(row["User Count"]) for row in history if int(row["User Count"])]
    assert (users[0], max(users), users[-1]) == (2, 10, 2)


def test_a_search_finds_a_rate_that_is_kept(tmp_path: Path) -> None:
    """One slot of 6.6 ms serves 150 a second: 100 are kept, 190 are not."""
    with stalling(Stalling(pause_s=0.0066, slots=1)) as server:
        words = [
            "--slo-p99-ms",
            "200",
            "--low",
            "100",
            "--high",
            "190",
            "--seconds",
            "3",
            "--tolerance",
            "0.95",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "deploy.load", server.url, "--out", str(tmp_path), *words, "Classifier"],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "search.json").read_text())
    asked = [probe["rate"] for probe in found["probes"]]
    assert set(asked) == {100, 190}
    assert min(asked.count(rate) for rate in asked) >= 2  # neither end is believed once
    assert (found["rate"], found["limit"]) == (100, 190)
    assert "100.0/s keep 99 % within 200 ms, not 190.0/s" in done.stdout
    assert json.loads((tmp_path / "figures.json").read_text())["rate"] == 100


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--shape", "spike", "-t", "0"), "--shape needs -t"),
        (("--scenario", "server"), "server needs --rate"),
        (("--header", "X-API-Key"), "a header must be NAME=VALUE"),
        (("--header", "X-API-Key=$NOBODY_SET_IT"), "'NOBODY_SET_IT' is not set"),
        (("--host", "http://example.com"), "load goes to this machine only"),
    ],
)
def test_what_cannot_be_run_is_not(tmp_path: Path, options: tuple[str, ...], why: str) -> None:
    done, _ = locust("http://127.0.0.1:9", tmp_path, *options)
    assert done.returncode == 1
    assert why in done.stderr

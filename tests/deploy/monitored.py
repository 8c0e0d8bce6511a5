"""What the monitoring tests share: what a query asks of a metric, steady traffic, and a real Prometheus."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

HOME = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
RULES = (HOME / "rules.yaml").read_text(encoding="utf-8")
FASTER = 240  # a live test cannot wait for days: an hour of the rules is 15 s, a scrape is 4 times a second
PATIENCE_MS = 1000  # at least: a busy machine is late by what is minutes at that pace, and that is no fault
SECONDS = {"m": 60, "h": 3600, "d": 86400}


def rules() -> list[dict[str, Any]]:
    """Every rule, recording and alert."""
    return [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]


def tool(name: str) -> str:
    """The path of a program of Debian's package; skips where it is not there."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: apt-get install -y --no-install-recommends prometheus")
    return found


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What promtool says; skips where it is not there."""
    return subprocess.run([tool("promtool"), *words], capture_output=True, text=True, check=False)


def asked_of(expr: str) -> list[tuple[str, set[str]]]:
    """The metrics of ours a query reads, each with the labels it selects by; recorded names have colons."""
    found = re.findall(r"(?<![\w:])(assay_\w+)(?:\{([^}]*)\})?", expr)
    return [(name, set(re.findall(r"(\w+)\s*[=!]", selector))) for name, selector in found]


def kept_by(expr: str) -> set[str]:
    """The labels a query groups or joins by."""
    return {
        word for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr) for word in re.findall(r"\w+", group)
    }


def hurried(text: str) -> str:
    """The same rules in a world `FASTER` times as fast: windows, offsets and patience (`PATIENCE_MS`)."""

    def shorter(found: re.Match[str]) -> str:
        ms = int(found[2]) * SECONDS[found[3]] * 1000 // FASTER
        return f"{found[1]}{max(ms, PATIENCE_MS if found[1] == 'for: ' else 0)}ms"

    return re.sub(r"(\[|offset |for: )(\d+)([mhd])", shorter, text)


def until(holds: Callable[[], bool], what: Callable[[], object], seconds: float = 25.0) -> None:
    """Ask again until it holds; `what` is told when it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what()
        time.sleep(0.05)  # asking again, not waiting for luck


def post(client: httpx2.Client, path: str, picture: bytes, copies: int = 1) -> int:
    """The status of the answer to one request."""
    return int(client.post(path, files=[("image", ("i", picture))] * copies).status_code)


class Traffic:
    """Pictures asked over and over, in turn, by threads, until the end of a `with`. They may be exchanged.

    Args:
        asked: (path, picture) in the order they are sent.
        copies: of the picture in one request.
    """

    def __init__(
        self,
        url: str,
        asked: Sequence[tuple[str, bytes]],
        *,
        threads: int = 1,
        copies: int = 1,
        pause_s: float,
    ) -> None:
        self._url, self.asked, self._copies, self._pause_s = url, asked, copies, pause_s
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def _send(self) -> None:
        with httpx2.Client(base_url=self._url, timeout=20) as client:
            for turn in itertools.count():
                path, picture = self.asked[turn % len(self.asked)]
                with contextlib.suppress(httpx2.HTTPError):
                    post(client, path, picture, self._copies)
                if self._over.wait(self._pause_s):
                    return

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Prometheus:
    """A real server's HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        asked = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310  # loopback
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def fired(self, job: str, since: float) -> set[tuple[str, str]]:
        """(alert, model or "") of everything that fired for a job since then, in `time.monotonic()`."""
        window = max(1, int((time.monotonic() - since) * 1000))
        alerts = f'ALERTS{{alertstate="firing", job=~"{job}|"}}'
        found = self.query(f"count by (alertname, model) (last_over_time({alerts}[{window}ms]))")
        return {(one["metric"]["alertname"], one["metric"].get("model", "")) for one in found}

    def firing(self, job: str) -> set[str]:
        """What fires for a job now."""
        found = self.query(f'count by (alertname) (ALERTS{{alertstate="firing", job=~"{job}|"}})')
        return {one["metric"]["alertname"] for one in found}


@contextlib.contextmanager
def running_prometheus(home: Path, jobs: Mapping[str, str]) -> Iterator[Prometheus]:
    """A Prometheus that scrapes these jobs' addresses and evaluates our rules, hurried. Ended at the end."""
    program = tool("prometheus")
    home.mkdir(parents=True, exist_ok=True)
    (home / "rules.yaml").write_text(hurried(RULES))
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [url.removeprefix("http://")]}]}
            for job, url in jobs.items()
        ],
    }
    (home / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = {
        "config.file": home / "prometheus.yaml",
        "storage.tsdb.path": home / "data",
        "web.listen-address": address,
        "query.lookback-delta": "1250ms",
    }
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, *(f"--{k}={v}" for k, v in flags.items())], stdout=log, stderr=log
        )
    try:
        found = Prometheus(f"http://{address}")
        until(
            lambda: server.poll() is not None or _answers(found), lambda: (home / "log").read_text()[-2000:]
        )
        assert server.poll() is None, (home / "log").read_text()[-2000:]
        yield found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _answers(server: Prometheus) -> bool:
    with contextlib.suppress(OSError):
        return bool(server.query("vector(1)"))
    return False

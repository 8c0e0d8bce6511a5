"""A real Prometheus scrapes a real service: healthy, nothing fires; for each fault, its alert and no other.

The rules are those that ship, `FASTER` times as fast; their patience as shipped is tested with promtool.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.monitoring.dashboard import dashboard
from models.decoding import encode_png
from tests.deploy.monitored import (
    Prometheus,
    Traffic,
    asked_of,
    kept_by,
    post,
    rules,
    running_prometheus,
    until,
)
from tests.e2e.processes import running_service

pytestmark = pytest.mark.slow
EXPRESSIONS = [rule["expr"] for rule in rules()]
QUERIES = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
BY_PROMETHEUS = {"job", "instance"}


def grey(level: int) -> bytes:
    return encode_png(np.full((10, 20, 3), level, np.uint8))


DARK, LIGHT, FAINT = grey(20), grey(230), grey(115)
NOISE = encode_png(
    np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
)  # too large to run at once
# Both classes of `lamp` as often, `frame` sure of itself: a box scores the mean level.
USUAL = [("/classify?model=lamp", DARK), ("/classify?model=lamp", LIGHT), ("/detect?model=frame", LIGHT)]
DRIFTED = [("/classify?model=lamp", LIGHT), ("/classify?model=lamp", LIGHT), ("/detect?model=frame", FAINT)]


@pytest.fixture(scope="module")
def models(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own, to be spoiled."""
    return Path(shutil.copytree(repository, tmp_path_factory.mktemp("monitored") / "models"))


@pytest.fixture(scope="module")
def service(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("service")
    with running_service(home, model_repository=models, poll_s=0.3) as url:
        yield url


def test_what_rules_and_dashboard_ask_for_is_there(service: str) -> None:
    """Every metric is in a live `/metrics`, with these labels."""
    with httpx2.Client(base_url=service, timeout=20) as client:
        for path in ("/classify?model=lamp", "/detect?model=frame", "/segment?model=shade"):
            assert post(client, path, LIGHT) == 200
        assert post(client, "/classify?model=lamp", b"no picture") == 422
        families = list(text_string_to_metric_families(client.get("/metrics").text))
    labels = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    for expr in (*EXPRESSIONS, *QUERIES):
        read = asked_of(expr)
        for name, selected in read:
            assert name in labels, expr
            assert selected <= labels[name] | BY_PROMETHEUS, expr
        if read:
            assert kept_by(expr) <= set.union(BY_PROMETHEUS, *(labels[name] for name, _ in read)), expr
    assert len({name for expr in (*EXPRESSIONS, *QUERIES) for name, _ in asked_of(expr)}) > 10


@contextlib.contextmanager
def stopped(url: str) -> Iterator[None]:
    """The processes of ours that listen at this address, held and let go."""
    port = int(url.rsplit(":", 1)[1])
    held = [
        child
        for child in psutil.Process().children(recursive=True)
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in child.net_connections())
    ]
    assert held
    try:
        for child in held:
            os.kill(child.pid, signal.SIGSTOP)
        yield
    finally:
        for child in held:
            os.kill(child.pid, signal.SIGCONT)


def evaluated(prometheus: Prometheus) -> None:
    """Returns after one more scrape and one more look at the rules."""
    after = time.time() + 0.3
    until(lambda: bool(prometheus.query(f'timestamp(up{{job="assay"}}) > {after}')), lambda: "no scrape")


def fault(prometheus: Prometheus, expected: set[tuple[str, str]], since: float) -> None:
    """Exactly these alerts fire for the service."""

    def found() -> set[tuple[str, str]]:
        return prometheus.fired("assay", since)

    until(lambda: found() >= expected, found)
    evaluated(prometheus)
    assert found() == expected


def calm(prometheus: Prometheus) -> float:
    """Now, once nothing fires any more."""
    until(lambda: not prometheus.firing("assay"), lambda: prometheus.firing("assay"))
    evaluated(prometheus)
    return time.monotonic()


def test_the_right_alert_fires(service: str, models: Path, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        # Every answer of the second service is late, and most requests find no room.
        late: dict[str, Any] = {"model_repository": models, "batch_delay_ms": 600, "max_waiting": 3}
        canary = stack.enter_context(running_service(tmp_path / "c", poll_s=0, **late))
        usual = stack.enter_context(Traffic(service, USUAL, pause_s=0.01))
        prometheus = stack.enter_context(
            running_prometheus(tmp_path / "p", {"assay": service, "assay-canary": canary})
        )
        until(lambda: len(prometheus.query("up == 1")) == 2, lambda: prometheus.query("up"))
        began = calm(prometheus)  # it looks for its targets some seconds after it starts
        until(
            lambda: len(prometheus.query("job_model_version:assay_confidence:mean1d")) >= 2, lambda: "no past"
        )
        assert prometheus.fired("assay", began) == set()
        assert prometheus.fired("assay-canary", began) == set()
        answered(prometheus, QUERIES)

        crowd = stack.enter_context(
            Traffic(canary, [("/classify?model=lamp", NOISE)], threads=8, pause_s=0.05)
        )
        began = calm(prometheus)
        with Traffic(service, [("/classify?model=lamp", b"no picture")], pause_s=0.01):
            fault(prometheus, {("AssayRejections", "")}, began)

        began = calm(prometheus)
        (models / "shade").rename(tmp_path / "shade")
        fault(prometheus, {("AssayModelLost", "shade")}, began)
        (tmp_path / "shade").rename(models / "shade")

        began = calm(prometheus)
        with stopped(service):
            fault(prometheus, {("AssayDown", "")}, began)

        began = calm(prometheus)
        usual.asked = DRIFTED
        fault(prometheus, {("AssayPredictionsDrift", "lamp"), ("AssayConfidenceFell", "frame")}, began)

        first = {"AssayErrorsFast", "AssaySlowFast", "AssayOverloaded"}
        told = prometheus.firing("assay-canary")
        assert first <= told
        assert told - first <= {
            "AssayErrorsSteady",
            "AssayErrorsSlow",
            "AssaySlowSteady",
            "AssaySlowSlow",
            "AssayQueueGrows",
        }
        assert crowd.asked


def answered(prometheus: Prometheus, queries: Sequence[str]) -> None:
    """Each panel of the dashboard has something to show, but where nothing was refused."""
    for query in queries:
        plain = re.sub(r"\$(job|instance|model)", ".*", query).replace("$__rate_interval", "5s")
        assert prometheus.query(plain) or "rejections" in plain, plain

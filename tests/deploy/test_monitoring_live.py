"""A real Prometheus scrapes real services: healthy, nothing fires; for each fault, its alerts and no others.

The rules are those that ship, `FASTER` times as fast; their patience as shipped is tested with promtool.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.monitoring.dashboard import dashboard
from tests.deploy.injected import LIGHT, NOISE, Watched, healthy, inject, processes, watched
from tests.deploy.monitored import Prometheus, Traffic, asked_of, kept_by, post, rules, tool, until

pytestmark = pytest.mark.slow
EXPRESSIONS = [rule["expr"] for rule in rules()]
QUERIES = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
BY_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def live(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    tool("prometheus")
    with watched(tmp_path_factory.mktemp("watched"), repository) as found:
        yield found


def test_what_rules_and_dashboard_ask_for_is_there(live: Watched) -> None:
    """Every metric is in a live `/metrics`, with these labels."""
    labels: dict[str, set[str]] = {}
    with httpx2.Client(base_url=live.urls["assay"], timeout=20) as client:
        for path in ("/classify?model=lamp", "/detect?model=frame", "/segment?model=shade"):
            assert post(client, path, LIGHT) == 200
    for job in ("assay", "assay-broken"):  # a version that is refused is in the second only
        text = httpx2.get(f"{live.urls[job]}/metrics", timeout=20).text
        for family in text_string_to_metric_families(text):
            labels |= {sample.name: set(sample.labels) for sample in family.samples}
    for expr in (*EXPRESSIONS, *QUERIES):
        read = asked_of(expr)
        for name, selected in read:
            assert name in labels, expr
            assert selected <= labels[name] | BY_PROMETHEUS, expr
        if read:
            assert kept_by(expr) <= set.union(BY_PROMETHEUS, *(labels[name] for name, _ in read)), expr
    assert len({name for expr in (*EXPRESSIONS, *QUERIES) for name, _ in asked_of(expr)}) > 12


def test_two_workers_are_one_instance_and_a_dead_one_tells_no_lies(live: Watched) -> None:
    """What they counted adds up, also what one counted that is killed; nothing falls, and nothing fires."""
    prometheus, url = live.prometheus, live.urls["assay-pair"]
    workers = [p.pid for p in processes(url) if any("worker.service" in word for word in p.cmdline())]
    assert len(workers) == 2
    images = 'sum(assay_images_total{job="assay-pair", model="lamp"})'

    def counted() -> float:
        return float(prometheus.query(images)[0]["value"][1])

    def ask() -> int:
        """Each on a connection of its own, so that any worker may get it; how many were answered."""
        statuses = []
        with httpx2.Client(base_url=url, headers={"connection": "close"}, timeout=20) as client:
            for _ in range(30):
                with contextlib.suppress(httpx2.HTTPError):
                    statuses.append(post(client, "/classify?model=lamp", LIGHT))
        return statuses.count(200)

    began, before = live.calm("assay-pair"), counted()
    answered = ask()
    assert answered >= 25
    until(lambda: counted() == before + answered, lambda: (counted(), before, answered))

    with Traffic(url, [("/detect?model=frame", NOISE)], threads=3, pause_s=0):
        waiting = 'sum(assay_queue_images{job="assay-pair"})'
        until(lambda: bool(prometheus.query(f"{waiting} == 3")), lambda: prometheus.query(waiting))
        psutil.Process(workers[0]).send_signal(signal.SIGKILL)
    queued = 'assay_queue_images{job="assay-pair"} > 0'  # of the dead one, too, would be for ever
    until(lambda: not prometheus.query(queued), lambda: prometheus.query(queued))
    assert counted() == before + answered  # what it counted is kept
    answered += ask()
    until(lambda: counted() == before + answered, lambda: (counted(), before, answered))
    for gone in (
        'resets(assay_images_total{job="assay-pair"}[1h]) > 0',
        'resets(assay_request_seconds_count{job="assay-pair"}[1h]) > 0',
        'min_over_time(assay_model_ready{job="assay-pair"}[20s]) < 1',
        'assay_requests_in_flight{job="assay-pair"} > 2',  # the scrape is one
    ):
        assert prometheus.query(gone) == [], gone
    # Three frames did wait, and a lamp does where it is held back for company.
    assert {name for name, _ in prometheus.fired("assay-pair", began)} <= {"AssayQueueGrows"}


def test_the_right_alerts_fire(live: Watched) -> None:
    assert healthy(live) == set()
    answered(live.prometheus, QUERIES)
    seen = inject(live)
    assert len({one.fault for one in seen}) == 9
    assert [one for one in seen if not one.right] == []


def answered(prometheus: Prometheus, queries: Sequence[str]) -> None:
    """Each panel of the dashboard has something to show, but where nothing was refused."""
    for query in queries:
        plain = re.sub(r"\$(job|instance|model)", ".*", query).replace("$__rate_interval", "5s")
        assert prometheus.query(plain) or "rejections" in plain, plain


def test_a_prometheus_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install"):
        tool("prometheus")

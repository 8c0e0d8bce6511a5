"""A scanner asks for thousands of paths that are not there: metrics must not grow with them."""

from __future__ import annotations

import http.client

from tests.bench.serving.plan import Plan
from tests.bench.serving.processes import Process
from tests.bench.serving.rounds import Figures
from tests.bench.serving.servers import assay, once

__all__ = ["scan"]

REQUESTS = 5000
# Each holds text of the caller's where a careless label would copy it.
SHAPES = (
    ("GET", "/{0}.php"),
    ("GET", "/v2/models/{0}"),
    ("POST", "/v2/models/{0}/infer"),
    ("POST", "/v2/models/{0}/versions/{0}/infer"),
    ("GET", "/classify/{0}?model={0}"),
)


def scan(plan: Plan) -> Figures:
    """Series in `/metrics` before and after; one request of each shape comes first."""
    version = plan.material.tiny
    with assay(version.folder.parents[1], plan.home()) as process:
        _ask(process, range(len(SHAPES)))
        _series(process)  # `/metrics` counts itself
        before = _series(process)
        statuses = _ask(process, range(len(SHAPES), REQUESTS))
        after = _series(process)
    return {
        "scan.requests": REQUESTS,
        "scan.series": after,
        "scan.new_series": after - before,
        "scan.answered_200": statuses.count(200),
        "scan.answered_5xx": sum(status >= 500 for status in statuses),
    }


def _series(process: Process) -> int:
    _, _, body = once(process, "GET", "/metrics")
    return sum(bool(line) and not line.startswith(b"#") for line in body.splitlines())


def _ask(process: Process, numbers: range) -> list[int]:
    """One request a number, over one connection; the statuses."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=30)
    statuses = []
    for number in numbers:
        method, path = SHAPES[number % len(SHAPES)]
        connection.request(method, path.format(f"scan{number}"), b"{}" if method == "POST" else None)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    return statuses

"""Metrics of the evaluation service: of requests in each process, of jobs from the queue itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from eval.jobs.store import Store

__all__ = ["CONTENT_TYPE_LATEST", "REQUESTS", "REQUEST_SECONDS", "JobMetrics", "exposition"]

REQUESTS = Counter("assay_eval_requests_total", "Answered requests.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "assay_eval_request_seconds",
    "From the first byte in to the last byte out.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10),
)


class JobMetrics(Collector):
    """Jobs by kind and state, read when they are scraped: right with any number of processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """One series for every kind and state, also where there is no job."""
        now, ever = self._store.counts()
        jobs = GaugeMetricFamily("assay_eval_jobs", "Jobs there are.", labels=["kind", "state"])
        for (kind, state), count in now.items():
            jobs.add_metric([kind, state], count)
        ended = CounterMetricFamily(
            "assay_eval_jobs_ended", "Jobs that ended, since the home is there.", labels=["kind", "state"]
        )
        for (kind, state), count in ever.items():
            ended.add_metric([kind, state], count)
        waiting = sum(count for (_, state), count in now.items() if state == "queued")
        yield from (jobs, ended, GaugeMetricFamily("assay_eval_queue_jobs", "Jobs that wait.", waiting))


def exposition(store: Store) -> bytes:
    """All metrics in Prometheus's text form."""
    of_jobs, of_requests = CollectorRegistry(), REGISTRY
    of_jobs.register(JobMetrics(store))
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        of_requests = CollectorRegistry()
        multiprocess.MultiProcessCollector(of_requests)  # type: ignore[no-untyped-call]
    return generate_latest(of_requests) + generate_latest(of_jobs)

"""Every metric of the service. Labels are bounded: routes, models and codes we know, never raw text.

BentoML's own HTTP metrics are switched off: they are labelled with the raw path, so a scan of
300 unknown paths makes thousands of series. These take their place, right with any number of
workers.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

__all__ = [
    "BATCH_IMAGES",
    "CONTENT_TYPE_LATEST",
    "IMAGES",
    "IN_FLIGHT",
    "MODEL_READY",
    "REQUESTS",
    "REQUEST_SECONDS",
    "ROUTES",
    "STAGE_SECONDS",
    "exposition",
    "route_of",
]

# Edges in seconds: a 28-pixel digit takes under 1 ms, a photograph on a small CPU about 100 ms.
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
ROUTES = (
    "/",
    "/classify",
    "/detect",
    "/docs.json",
    "/livez",
    "/metrics",
    "/models",
    "/readyz",
    "/schema.json",
    "/segment",
)

REQUESTS = Counter("assay_requests_total", "Answered requests.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "assay_request_seconds", "From the first byte in to the last byte out.", ["route"], buckets=_SECONDS
)
STAGE_SECONDS = Histogram(
    "assay_stage_seconds",
    "Seconds a request spends: waiting, decode, predict.",
    ["model", "version", "stage"],
    buckets=_SECONDS,
)
IMAGES = Counter("assay_images_total", "Images answered.", ["model", "version"])
BATCH_IMAGES = Histogram(
    "assay_request_images",
    "Images in one request.",
    ["model", "version"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
IN_FLIGHT = Gauge(
    "assay_requests_in_flight", "Requests being worked on or waiting.", multiprocess_mode="livesum"
)
MODEL_READY = Gauge(
    "assay_model_ready",
    "1 when the version is loaded, proven and warm.",
    ["model", "version"],
    multiprocess_mode="livemin",
)


def route_of(path: str) -> str:
    """The path if it is one of ours, else `other`."""
    return path if path in ROUTES else "other"


def exposition() -> bytes:
    """All metrics in Prometheus's text form, of every worker where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)

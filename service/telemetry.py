"""Every metric of the service. Labels are bounded: routes, models and codes we know, never raw text.

BentoML's own HTTP metrics are switched off: they are labelled with the raw path, so a scan of
300 unknown paths makes thousands of series. These take their place, right with any number of
workers (`service.exposition`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

from models.card import NAME_PATTERN, ModelCard
from models.results import Classification, Detections, Result, Segmentation
from service.batcher import Item, Outcome
from service.errors import ServiceError
from service.tally import Count, Spread

__all__ = [
    "BATCH_IMAGES",
    "CONFIDENCE",
    "IMAGES",
    "IN_FLIGHT",
    "MODEL_READY",
    "MODEL_REFUSED",
    "PREDICTED",
    "QUEUE",
    "REJECTIONS",
    "REPOSITORY_UNREADABLE",
    "REQUESTS",
    "REQUEST_SECONDS",
    "ROUTES",
    "STAGE_SECONDS",
    "Meters",
    "begin",
    "count_request",
    "note_refused",
    "route_of",
]

# Edges in seconds: a 28-pixel digit takes under 1 ms, a photograph on a small CPU about 100 ms.
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
MAX_CLASSES = 256  # predicted classes with a series of their own; the rest is `other`
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
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{model}",
    "/v2/models/{model}/config",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/ready",
    "/v2/models/{model}/stats",
    "/v2/models/stats",
    "/v2/repository/index",
    "/v2/repository/models/{model}/load",
    "/v2/repository/models/{model}/unload",
)
PREDICTING = ("/classify", "/detect", "/segment", "/v2/models/{model}/infer")
STAGES = ("queue", "decode", "prepare", "infer", "interpret")

REQUESTS = Counter("assay_requests_total", "Answered requests.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "assay_request_seconds", "From the first byte in to the last byte out.", ["route"], buckets=_SECONDS
)
REJECTIONS = Counter("assay_rejections_total", "Requests refused, by the error's code.", ["code"])
STAGE_SECONDS = Histogram(
    "assay_stage_seconds",
    "Seconds of a picture or tensor in each stage; infer is the whole run it shared.",
    ["model", "version", "stage"],
    buckets=_SECONDS,
)
IMAGES = Counter("assay_images_total", "Images answered.", ["model", "version"])
BATCH_IMAGES = Histogram("assay_batch_images", "Images in one run.", ["model", "version"], buckets=_BATCHES)
QUEUE = Gauge(
    "assay_queue_images", "Images waiting for a run.", ["model", "version"], multiprocess_mode="livesum"
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
MODEL_REFUSED = Gauge(
    "assay_model_refused",
    "1 while this version, or a newer state of its files, is in the repository and is not taken.",
    ["model", "version", "reason"],
    multiprocess_mode="livemax",
)
REPOSITORY_UNREADABLE = Gauge(  # not `readable`: at birth it is 0, in BentoML's parent process for ever
    "assay_repository_unreadable",
    "1 while the model repository cannot be looked at.",
    multiprocess_mode="livemax",
)
PREDICTED = Counter(
    "assay_predicted_total",
    "Predicted classes: of images, of objects, of images that show the class.",
    ["model", "version", "label"],
)
CONFIDENCE = Histogram(
    "assay_confidence",
    "Score of the best class of an image, or of an object.",
    ["model", "version"],
    buckets=_CONFIDENCE,
)


class Meters:
    """The metrics of one version, looked up once. Touched on the event loop only, but for its gauges.

    All of its series are there from now on, at 0: `rate` does not see what a series is born with.
    """

    def __init__(self, card: ModelCard) -> None:
        who = (card.name, str(card.version))
        self._stages = [Spread(STAGE_SECONDS.labels(*who, stage), _SECONDS) for stage in STAGES]
        self._images = Count(IMAGES.labels(*who))
        self._batch = Spread(BATCH_IMAGES.labels(*who), _BATCHES)
        self._confidence = Spread(CONFIDENCE.labels(*who), _CONFIDENCE)
        named = (*card.labels[:MAX_CLASSES], "other")
        self._predicted = [Count(PREDICTED.labels(*who, label)) for label in named]
        self.queue, self.ready = QUEUE.labels(*who), MODEL_READY.labels(*who)

    def observe(self, batch: Sequence[Item], settled: Sequence[Outcome | Exception]) -> None:
        """Note one batch."""
        size = 0
        for item, outcome in zip(batch, settled, strict=True):
            if isinstance(outcome, Outcome):
                told = outcome.stages
                size = told.batch
                self._images.inc(item.count)
                queue, decode, prepare, infer, interpret = self._stages
                queue.observe(told.queue)
                decode.observe(told.decode)
                prepare.observe(told.prepare)
                infer.observe(told.infer)
                interpret.observe(told.interpret)
                for answer in outcome.answers:
                    self._observe_answer(answer)
        if size:
            self._batch.observe(size)

    def _observe_answer(self, answer: Result) -> None:
        match answer:
            case Classification():
                label = answer.label
                self._count(label)
                self._confidence.observe(float(answer.scores[label]))
            case Detections():
                for label, score in zip(answer.labels.tolist(), answer.scores.tolist(), strict=True):
                    if score >= 0.3:  # fainter ones are candidates, not predictions
                        self._count(label)
                        self._confidence.observe(score)
            case Segmentation():
                for label in set(answer.labels[::8, ::8].ravel().tolist()):
                    self._count(label)

    def _count(self, label: int) -> None:
        self._predicted[min(label, len(self._predicted) - 1)].inc()


def route_of(path: str) -> str:
    """The path as a route of ours, `{model}` in the place of a name, else `other`."""
    if path in ROUTES:
        return path
    words = path.split("/")
    if path.startswith("/v2/models/") and len(words) in (4, 5, 6, 7):
        rest = words[4:]
        if rest[:1] == ["versions"]:
            rest = rest[2:]
        route = "/".join(["/v2/models/{model}", *rest])
        return route if route in ROUTES else "other"
    if path.startswith("/v2/repository/models/") and len(words) == 6:
        route = f"/v2/repository/models/{{model}}/{words[5]}"
        return route if route in ROUTES else "other"
    return "other"


@lru_cache(maxsize=4096)  # routes times statuses; both are bounded
def _requests(route: str, status: int) -> Count:
    return Count(REQUESTS.labels(route, str(status)))


@lru_cache(maxsize=256)
def _seconds(route: str) -> Spread:
    return Spread(REQUEST_SECONDS.labels(route), _SECONDS)


@lru_cache(maxsize=256)
def _rejections(code: str) -> Count:
    return Count(REJECTIONS.labels(code))


def begin() -> None:
    """Begin every count of predictions and refusals at 0: `rate` does not see what a series is born with."""
    errors = _below(ServiceError)
    for route in PREDICTING:
        _seconds(route)
        for status in {200, *(error.status for error in errors)}:
            _requests(route, status)
    for error in errors:
        _rejections(error.code)


def _below(kind: type[ServiceError]) -> set[type[ServiceError]]:
    return {kind}.union(*map(_below, kind.__subclasses__()))


_refused: dict[tuple[str, int], Gauge] = {}


def note_refused(name: str, number: int, error: Exception | None) -> None:
    """Tell that a version was not taken and why; with None that it was, or is not wanted any more.

    Called on the thread of the registry only. The name is a folder's, which may be no model's.
    """
    if (before := _refused.pop((name, number), None)) is not None:
        before.set(0)
    if error is not None:
        model = name if re.fullmatch(NAME_PATTERN, name) else "other"
        reason = getattr(error, "reason", "other")
        _refused[name, number] = now = MODEL_REFUSED.labels(model, str(number), reason)
        now.set(1)


def count_request(route: str, status: int, seconds: float, code: str | None) -> None:
    """Note one answered request; `code` is the error's, where it was one."""
    _requests(route, status).inc()
    _seconds(route).observe(seconds)
    if code is not None:
        _rejections(code).inc()

"""Whole runs, from a URL and a data set to a report; the only place that composes the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from eval.collect import Asked, ask_all
from eval.data.dataset import Dataset, Sample
from eval.data.tables import open_data
from eval.errors import EndpointError
from eval.metrics.base import Metric
from eval.metrics.tables import metric_for
from eval.remote.access import endpoint_of, target_of
from eval.report.document import Cell, Report
from eval.report.evaluation import EXAMPLES, evaluation_section, telling
from eval.target import Target, name_of
from models.results import Result

__all__ = ["clock", "evaluate", "manifest"]

MOST_ERRORS = 0.01  # of the images; with more, the run is not valid


def manifest(target: Target, data: Dataset, **more: Cell) -> dict[str, Cell]:
    """What a reader needs to repeat a run."""
    try:
        own = version("assay")
    except PackageNotFoundError:  # run from a checkout that is not installed
        own = "unreleased"
    return {
        "url": target.url,
        "model": name_of(target),
        "sha256": target.sha256,
        "data": data.name,
        "images": len(data),
        "assay": own,
        **more,
    }


def clock(started: float, **more: Cell) -> dict[str, Cell]:
    """When a run began and how long it took until now; `started` in seconds of the epoch."""
    return {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 3),
        **more,
    }


@dataclass(slots=True)
class _Tally:
    """What an evaluation keeps while answers come in."""

    metrics: tuple[Metric[Any, Any], ...]
    examples: list[tuple[Sample, Result]] = field(default_factory=list)
    errors: int = 0
    why: str = ""

    def note(self, asked: Asked) -> None:
        if asked.answer is None:
            self.errors, self.why = self.errors + 1, asked.error
            return
        for metric in self.metrics:
            metric.update([asked.answer], [asked.sample.expected])
        if len(self.examples) < EXAMPLES and telling(asked.answer, asked.sample):
            self.examples.append((asked.sample, asked.answer))


async def evaluate(
    url: str,
    data_name: str,
    *,
    model: str | None = None,
    number: int | None = None,
    limit: int | None = None,
    batch: int = 16,
    concurrency: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Every score of one model on one data set, asked over HTTP.

    Raises:
        EvalError: the model or the data is not there, or they do not fit each other.
    """
    target, started = await target_of(url, model, number), time.time()
    data = open_data(data_name, target.task).in_classes_of(target.labels).first(limit)
    tally = _Tally(metric_for(target.task, data.labels))
    async with endpoint_of(target) as endpoint:
        answers = ask_all(endpoint, data, batch=batch, concurrency=concurrency)
        done = 0
        async for asked in answers:
            tally.note(asked)
            done += 1
            if progress is not None:
                progress(done, len(data))
    if tally.errors == len(data):
        raise EndpointError(f"no image was answered: {tally.why or 'the data set is empty'}")
    scores = [score for metric in tally.metrics for score in metric.compute()]
    section = evaluation_section(
        f"{name_of(target)} on {data.name}", target.task, data.labels, tally.metrics, scores,
        tally.examples, target.claims,
    )  # fmt: skip
    p50, p95, p99 = (round(float(s) * 1e3, 2) for s in np.quantile(endpoint.seconds, [0.5, 0.95, 0.99]))
    more = {"batch": batch, "concurrency": concurrency, "errors": tally.errors}
    latency = {"request_p50_ms": p50, "request_p95_ms": p95, "request_p99_ms": p99}
    prefix = f"{target.model}.{target.version}"
    figures = {f"{prefix}.{score.name}": score.value for score in scores if ".class." not in score.name}
    return Report(
        section.title,
        manifest(target, data, **more),
        [section],
        {**figures, f"{prefix}.errors": tally.errors},
        valid=tally.errors <= MOST_ERRORS * len(data),
        clock=clock(started, **latency),
    )

"""What the dashboard shows, row by row. Every metric of the service has a panel; a test sees to it."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.monitoring.queries import Line, mean, quantile, rate, recorded, told_of, total
from service import telemetry

__all__ = ["ROWS", "Panel"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of the dashboard."""

    title: str
    told: str
    lines: tuple[Line, ...]
    unit: str = "short"
    most: float | None = None


_T = telemetry
_VERSION = ("model", "version")
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Promises",
        (
            Panel(
                "Predictions failed",
                "5xx, and refused for want of room; 0.1 % over 30 days is promised.",
                (
                    recorded("job:assay_errors:ratio_rate5m", "{{job}} 5 minutes"),
                    recorded("job:assay_errors:ratio_rate1h", "{{job}} 1 hour"),
                ),
                "percentunit",
            ),
            Panel(
                "Predictions over 0.5 s",
                "1 % over 30 days is promised.",
                (
                    recorded("job:assay_slow:ratio_rate5m", "{{job}} 5 minutes"),
                    recorded("job:assay_slow:ratio_rate1h", "{{job}} 1 hour"),
                ),
                "percentunit",
            ),
            Panel(
                "Instances that serve a model",
                "1 where the newest or an older version is ready; 0 where none is.",
                (total(_T.MODEL_READY, "job", "instance", "model", how="max"),),
                most=1,
            ),
            Panel(
                "Refused versions, and repositories out of reach",
                f"{told_of(_T.MODEL_REFUSED)} {told_of(_T.REPOSITORY_UNREADABLE)}",
                (
                    total(_T.MODEL_REFUSED, *_VERSION, "reason"),
                    total(_T.REPOSITORY_UNREADABLE, "job", "instance"),
                ),
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel(
                "Answers a second",
                told_of(_T.REQUESTS),
                (rate(_T.REQUESTS, "route", "status"),),
                "reqps",
            ),
            Panel("Refusals a second", told_of(_T.REJECTIONS), (rate(_T.REJECTIONS, "code"),), "reqps"),
            Panel(
                "Latency",
                told_of(_T.REQUEST_SECONDS),
                tuple(quantile(_T.REQUEST_SECONDS, q, "route") for q in (0.5, 0.99)),
                "s",
            ),
            Panel("In flight", told_of(_T.IN_FLIGHT), (total(_T.IN_FLIGHT, "job", "instance"),)),
        ),
    ),
    (
        "Models",
        (
            Panel("Images a second", told_of(_T.IMAGES), (rate(_T.IMAGES, *_VERSION),)),
            Panel("Images waiting", told_of(_T.QUEUE), (total(_T.QUEUE, "instance", *_VERSION),)),
            Panel(
                "Stages, 99th percentile",
                told_of(_T.STAGE_SECONDS),
                (quantile(_T.STAGE_SECONDS, 0.99, "model", "stage"),),
                "s",
            ),
            Panel("Images in a run", told_of(_T.BATCH_IMAGES), (mean(_T.BATCH_IMAGES, *_VERSION),)),
        ),
    ),
    (
        "Answers",
        (
            Panel(
                "Predicted classes a second",
                told_of(_T.PREDICTED),
                (rate(_T.PREDICTED, "model", "label"),),
            ),
            Panel(
                "Confidence",
                told_of(_T.CONFIDENCE),
                (mean(_T.CONFIDENCE, *_VERSION), quantile(_T.CONFIDENCE, 0.1, *_VERSION)),
                "percentunit",
                1,
            ),
            Panel(
                "Drift of the predicted classes",
                "Share of answers that moved to other classes since the day before; what chance explains.",
                (
                    recorded("job_model_version:assay_predicted:drift", "{{job}} {{model}} {{version}}"),
                    recorded(
                        "job_model_version:assay_predicted:drift_by_chance",
                        "chance {{job}} {{model}} {{version}}",
                    ),
                ),
                "percentunit",
                1,
            ),
        ),
    ),
)

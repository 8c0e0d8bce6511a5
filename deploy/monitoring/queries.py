"""Queries of the service's own metrics, which cannot name a metric or a label that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from service import telemetry

__all__ = ["METRICS", "Line", "mean", "name_of", "quantile", "rate", "recorded", "told_of", "total"]

METRICS: tuple[MetricWrapperBase, ...] = tuple(
    value for value in vars(telemetry).values() if isinstance(value, MetricWrapperBase)
)
OF_TARGET = ("job", "instance")  # labels Prometheus adds


@dataclass(frozen=True, slots=True)
class Line:
    """One query of a panel, and how its lines are called."""

    expr: str
    legend: str


def name_of(metric: MetricWrapperBase) -> str:
    """What Prometheus calls it; a histogram's series carry `_bucket`, `_sum`, `_count` besides."""
    base: str = next(iter(metric.describe())).name
    return base + ("_total" if isinstance(metric, Counter) else "")


def told_of(metric: MetricWrapperBase) -> str:
    """Its help."""
    told: str = next(iter(metric.describe())).documentation
    return told


def _checked(metric: MetricWrapperBase, by: Sequence[str]) -> tuple[str, str]:
    """The selector of the dashboard's variables, and `by` as text.

    Raises:
        ValueError: the metric has no such label.
    """
    known = (*metric._labelnames, *OF_TARGET)
    for label in by:
        if label not in known:
            raise ValueError(f"a label of {name_of(metric)} must be one of {', '.join(known)}, got {label!r}")
    chosen = [label for label in ("job", "instance", "model") if label in known]
    return ", ".join(f'{label}=~"${label}"' for label in chosen), ", ".join(by)


def _legend(by: Sequence[str], prefix: str = "") -> str:
    return f"{prefix} {' '.join(f'{{{{{label}}}}}' for label in by)}".strip()


def rate(metric: Counter, *by: str) -> Line:
    """A second's worth of a counter, where there was any: most series only wait at 0 for their first."""
    chosen, labels = _checked(metric, by)
    summed = f"sum by ({labels}) (rate({name_of(metric)}{{{chosen}}}[$__rate_interval]))"
    return Line(f"{summed} > 0", _legend(by))


def total(metric: Gauge, *by: str, how: str = "sum") -> Line:
    """A gauge as it is, instances added up (or their `min`, `max`)."""
    chosen, labels = _checked(metric, by)
    return Line(f"{how} by ({labels}) ({name_of(metric)}{{{chosen}}})", _legend(by))


def quantile(metric: Histogram, q: float, *by: str) -> Line:
    """A quantile of a histogram, no finer than its buckets."""
    chosen, labels = _checked(metric, by)
    rates = f"rate({name_of(metric)}_bucket{{{chosen}}}[$__rate_interval])"
    inner = f"sum by ({', '.join(filter(None, (labels, 'le')))}) ({rates})"
    return Line(f"histogram_quantile({q:g}, {inner})", _legend(by, f"p{100 * q:g}"))


def mean(metric: Histogram, *by: str) -> Line:
    """The mean of a histogram, exact."""
    chosen, labels = _checked(metric, by)
    sums = [
        f"sum by ({labels}) (rate({name_of(metric)}_{of}{{{chosen}}}[$__rate_interval]))"
        for of in ("sum", "count")
    ]
    return Line(" / ".join(sums), _legend(by, "mean"))


def recorded(name: str, legend: str) -> Line:
    """What a rule of rules.yaml records, for the jobs chosen."""
    return Line(f'{name}{{job=~"$job"}}', legend)

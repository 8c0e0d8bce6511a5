"""How long answers took, as the client saw it: figures of the clock, which no other figure rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from eval.metrics.intervals import NONE, Interval
from eval.report.document import Cell, Headline, Plot, Section, Table
from models.results import Array

__all__ = ["latency_section"]

QUANTILES = (0.5, 0.9, 0.95, 0.99)
BARS = 40
SHOWN = 0.995  # of the requests; the rest would press the figure flat
POINTS = 200  # of the curve
Z = 1.959963984540054  # 95 %, both sides


def latency_section(seconds: Sequence[float]) -> Section:
    """Quantiles with intervals, a histogram and the cumulative distribution.

    Args:
        seconds: of each request that was answered, from sending to the whole answer.
    """
    title = "Latency"
    if not len(seconds):
        return Section(title, "No request was answered.")
    told = np.sort(np.asarray(seconds, np.float64)) * 1e3
    values = {f"p{q * 100:g}": float(np.quantile(told, q)) for q in QUANTILES}
    headlines = [
        Headline(f"{name} ms", value, len(told), *_interval(told, q))
        for (name, value), q in zip(values.items(), QUANTILES, strict=True)
    ]
    row: Mapping[str, Cell] = {
        "requests": len(told),
        "min ms": float(told[0]),
        "mean ms": float(told.mean()),
        **{f"{name} ms": value for name, value in values.items()},
        "max ms": float(told[-1]),
    }
    end = max(float(np.quantile(told, SHOWN)), told[0] * 1.001, 1e-6)
    beyond = int((told > end).sum())
    note = f"{beyond} of {len(told)} requests took longer than is drawn." if beyond else ""
    return Section(
        title,
        "Of requests as the client saw them, the network and every wait included. A client that asks "
        "again only after an answer sees fewer of the slow ones than users do.",
        headlines=headlines,
        plots=[_histogram(told[told <= end], end, values), _cumulative(told, end, values)],
        tables=[Table([row], "Milliseconds of a request", note)],
    )


def _interval(told: Array, q: float) -> Interval:
    """95 % by order statistics, whatever the distribution; none where the sample is too small for it.

    Args:
        told: sorted.
    """
    n = len(told)
    half = Z * math.sqrt(n * q * (1 - q))
    low, high = math.floor(n * q - half), math.ceil(n * q + half)
    return (float(told[low]), float(told[high])) if low >= 0 and high < n else NONE


def _histogram(told: Array, end: float, marks: Mapping[str, float]) -> Plot:
    counts, edges = np.histogram(told, BARS, (float(told[0]), end))
    bars = [(float(a), float(b), float(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    drawn = {name: x for name, x in marks.items() if x <= end}
    return Plot("histogram", "How long requests took", {"ms": bars}, "ms", "requests", marks=drawn)


def _cumulative(told: Array, end: float, marks: Mapping[str, float]) -> Plot:
    """At most POINTS steps: the share of requests done by then."""
    places = np.unique(np.linspace(0, len(told) - 1, POINTS).round().astype(int))
    curve = [(float(told[i]), float((i + 1) / len(told))) for i in places if told[i] <= end]
    drawn = {name: x for name, x in marks.items() if x <= end}
    return Plot("steps", "Done by then", {"requests": curve}, "ms", "share of the requests", marks=drawn)

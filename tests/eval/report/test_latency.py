"""Latency: quantiles, how sure they are, and figures that say what they leave out."""

from __future__ import annotations

import numpy as np
import pytest

from eval.report.latency import latency_section
from eval.report.plots import draw


def test_quantiles_are_numpys_in_milliseconds() -> None:
    seconds = np.random.default_rng(0).lognormal(-4, 0.5, 500)
    told = {h.title: h for h in latency_section(seconds.tolist()).headlines}
    assert list(told) == ["p50 ms", "p90 ms", "p95 ms", "p99 ms"]
    for name, headline in told.items():
        q = float(name[1:3]) / 100
        assert headline.value == pytest.approx(float(np.quantile(seconds, q)) * 1e3)
        assert headline.support == 500
    p50, p99 = told["p50 ms"], told["p99 ms"]
    assert p50.low is not None
    assert p50.value is not None
    assert p50.high is not None
    assert p50.low < p50.value < p50.high
    assert p99.high is None  # 500 requests say nothing of how slow the slowest hundredth can be


def test_the_interval_of_the_median_holds_it_as_often_as_it_says() -> None:
    rng, inside = np.random.default_rng(1), 0
    for _ in range(300):
        first = latency_section(rng.exponential(size=60).tolist()).headlines[0]
        inside += (
            first.low is not None and first.high is not None and first.low <= np.log(2) * 1e3 <= first.high
        )
    assert 0.92 <= inside / 300 <= 0.99


def test_slow_requests_are_counted_where_they_are_not_drawn() -> None:
    section = latency_section([0.010 + i * 1e-6 for i in range(999)] + [30.0])
    assert section.tables[0].note == "5 of 1000 requests took longer than is drawn."
    (bars,) = section.plots[0].series.values()
    assert sum(bar[2] or 0 for bar in bars) == 995
    assert max(bar[1] or 0 for bar in bars) < 12
    assert section.tables[0].rows[0]["max ms"] == 30_000


@pytest.mark.parametrize("seconds", [[], [0.0], [0.25], [0.25] * 50])
def test_few_or_equal_requests_are_drawn_too(seconds: list[float]) -> None:
    section = latency_section(seconds)
    assert bool(section.headlines) == bool(seconds)
    for plot in section.plots:
        assert "nan" not in draw(plot)

"""What the section on noise says, and that it never says more than was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.auditing.stability import ABSTAINS, Smoothing, Stability, lower_bound, radius_of
from eval.report.blocks import section_body
from eval.report.stability import stability_figures, stability_section

HITS = [1000, 990, 700, 505, 900]
LABELS = [0, 0, 0, 0, 1]


def result(errors: int = 0, **how: Any) -> Stability:
    """Five images, all answered with class 0: one of another class, one with hardly a majority."""
    smoothing = Smoothing(**{"sigma": 16.0, **how})
    lower = np.array([lower_bound(hits, 1000, smoothing.alpha) for hits in HITS])
    return Stability(
        smoothing,
        labels=np.array(LABELS),
        predicted=np.where(lower > 0.5, 0, ABSTAINS),
        hits=np.array(HITS),
        errors=np.array([errors, 0, 0, 0, 0]),
        lower=lower,
        radius=np.array([radius_of(smoothing.sigma, low) for low in lower.tolist()]),
    )


def test_on_the_lattice_it_is_an_estimate_and_says_why() -> None:
    section = stability_section("digits, version 1", [result()])
    assert section.title == "Noise-stability estimate of digits, version 1"
    for words in (
        "no certificate",
        "rounded and cut",
        "majority answer of round, cut and ask",
        "1,100 queries",
    ):
        assert words in section.text
    assert "confidence 0.999" in section.text


def test_without_the_lattice_it_is_a_certificate_of_the_majority_only() -> None:
    section = stability_section("m", [result(lattice=False)])
    assert section.title == "Certificate under smoothing of m"
    assert "Served without noise it is not that classifier" in section.text
    assert "estimate" not in section.text.lower()


def test_headlines_count_what_they_say() -> None:
    right, silent, median = stability_section("m", [result()]).headlines
    assert (right.value, right.support) == (0.6, 5)
    assert right.low is not None
    assert right.high is not None
    assert right.low < 0.6 < right.high
    assert silent.value == 0.2
    assert median.value == pytest.approx(radius_of(16.0, lower_bound(700, 1000, 0.001)))


def test_shares_are_none_beyond_what_the_draws_can_show() -> None:
    both = [result(), result(sigma=32.0, estimate=10)]
    rows = list(stability_section("m", both).tables[0].rows)
    assert [row["right and stable"] for row in rows[:6]] == [0.6, 0.6, 0.4, 0.4, 0.4, 0.2]
    assert 0 < both[1].how.farthest < 8.0  # alpha of 0.001 leaves little of ten draws
    assert [row["right and stable"] for row in rows[6:]] == [0.6, None, None, None, None, None]


def test_curve_ends_where_the_draws_end() -> None:
    (series,) = stability_section("m", [result()]).plots[0].series.values()
    assert series[0] == (0.0, 0.6)
    assert series[-1] == (result().how.farthest, series[-2][1])
    assert (np.diff(np.array(series, float), axis=0) * [1, -1] >= 0).all()  # further right, never up


def test_too_many_errors_are_told() -> None:
    assert "say little" not in stability_section("m", [result(errors=55)]).text
    assert "say little" in stability_section("m", [result(errors=56)]).text


def test_figures_are_flat_and_by_sigma() -> None:
    figures = stability_figures("audit.m.1", [result(), result(errors=3, sigma=2.5)])
    assert figures["audit.m.1.stability.16.accuracy"] == 0.6
    assert figures["audit.m.1.stability.16.abstained"] == 0.2
    assert figures["audit.m.1.stability.16.queries"] == 5500
    assert figures["audit.m.1.stability.2.5.errors"] == 3


def test_nothing_measured_is_none() -> None:
    empty = np.zeros(0, np.int64)
    none = Stability(Smoothing(8.0), empty, empty, empty, empty, empty, empty)
    figures = stability_figures("a", [none])
    assert figures["a.stability.8.accuracy"] is None
    assert figures["a.stability.8.median_radius"] is None
    assert [h.value for h in stability_section("m", [none]).headlines] == [None, None, None]


def test_only_alike_results_share_a_section() -> None:
    with pytest.raises(ValueError, match="all rounded or none"):
        stability_section("m", [result(), result(lattice=False)])
    with pytest.raises(ValueError, match="at least one"):
        stability_section("m", [])


def test_it_can_be_drawn() -> None:
    drawn = section_body(stability_section("m", [result(), result(sigma=32.0)]))
    assert drawn.count("<svg") >= 3
    assert "noise of 32 levels" in drawn

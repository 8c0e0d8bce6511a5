"""Intervals and tests against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eval.metrics import intervals
from eval.metrics.intervals import (
    NONE,
    bootstrap,
    bootstrap_sums,
    by_index,
    clopper_pearson,
    mcnemar_exact,
    resample,
    wilson,
)
from models.results import Array

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.999]))
@settings(max_examples=100, deadline=None)
def test_proportions_agree_with_scipy(counts: tuple[int, int], confidence: float) -> None:
    test = stats.binomtest(*counts)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(confidence, method)
        assert ours(*counts, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9), method


def test_the_quoted_intervals() -> None:
    assert wilson(500, 1000) == pytest.approx((0.469, 0.531), abs=5e-4)
    assert wilson(0, 100) == pytest.approx((0.0, 0.037), abs=5e-4)
    assert wilson(0, 100)[0] == 0.0
    assert wilson(0, 0) == clopper_pearson(0, 0) == NONE
    assert clopper_pearson(3, 3)[1] == wilson(3, 3)[1] == 1.0


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(counts: tuple[int, int]) -> None:
    for interval in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match="successes must be"):
            interval(*counts)
        with pytest.raises(ValueError, match="confidence must be"):
            interval(1, 2, 1.0)
    with pytest.raises(ValueError, match="must be counts"):
        mcnemar_exact(*counts[:1], 3) if counts[0] < 0 else mcnemar_exact(3, -1)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_mcnemar_agrees_with_the_binomial(b: int, c: int) -> None:
    expected = min(1.0, 2 * stats.binom.cdf(min(b, c), b + c, 0.5)) if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


def test_mcnemar_of_very_many() -> None:
    assert mcnemar_exact(20_000, 20_300) == pytest.approx(2 * stats.binom.cdf(20_000, 40_300, 0.5), rel=1e-7)
    assert mcnemar_exact(0, 5000) == 0.0


def test_resampling_repeats_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resample(7, 50, seed=3)))
    monkeypatch.setattr(intervals, "CHUNK", 20)
    assert (np.concatenate(list(resample(7, 50, seed=3))) == whole).all()
    assert whole.shape == (50, 7)
    assert (whole.sum(axis=1) == 7).all()
    assert (np.concatenate(list(resample(7, 50, seed=4))) != whole).any()
    jackknife = np.concatenate(list(intervals._leave_one_out(7)))
    assert (jackknife == 1 - np.eye(7)).all()


def mean(times: Array) -> Array:
    means: Array = times @ SAMPLE / times.sum(axis=1)
    return means[:, None]


SAMPLE = np.random.default_rng(0).exponential(size=40)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_agrees_with_scipy_on_the_same_draws(method: intervals.Method) -> None:
    draws = mean(np.concatenate(list(resample(40, 500, seed=1))))[:, 0]
    given_draws = stats.bootstrap((SAMPLE,), np.mean, n_resamples=2, method="percentile")
    given_draws.bootstrap_distribution = draws
    theirs = stats.bootstrap(
        (SAMPLE,), np.mean, n_resamples=0, bootstrap_result=given_draws, method=method
    ).confidence_interval
    options = {"resamples": 500, "seed": 1, "method": method}
    expected = pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert bootstrap(mean, 40, **options) == [expected]  # type: ignore[arg-type]
    assert bootstrap(by_index(lambda i: float(SAMPLE[i].mean())), 40, **options) == [expected]  # type: ignore[arg-type]
    rows = np.column_stack([SAMPLE, np.ones(40)])
    of_sums = bootstrap_sums(rows, lambda sums: sums[:, :1] / sums[:, 1:], **options)  # type: ignore[arg-type]
    assert of_sums == [expected]


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(200):
        rows = np.column_stack([rng.normal(size=60), np.ones(60)])
        ((low, high),) = bootstrap_sums(rows, lambda sums: sums[:, :1] / sums[:, 1:], seed=seed)
        assert low is not None
        assert high is not None
        hits += low <= 0 <= high
    assert 176 <= hits <= 198


def test_there_is_no_interval_where_there_is_nothing_to_resample() -> None:
    assert bootstrap(lambda times: times.sum(axis=1, keepdims=True) * 1.0, 1) == [NONE]
    assert bootstrap_sums(np.ones((5, 1)), lambda sums: sums, resamples=0) == [NONE]
    assert bootstrap_sums(np.ones((5, 1)), lambda sums: sums * np.nan) == [NONE]
    assert bootstrap(by_index(lambda images: None), 5) == [NONE]
    assert bootstrap_sums(np.ones((5, 1)), lambda sums: sums) == [(5.0, 5.0)]


def test_undefined_resamples_are_left_out() -> None:
    def first(times: Array) -> Array:
        return np.where(times[:, :1] > 0, 2.0, np.nan)

    assert bootstrap(first, 10) == [(2.0, 2.0)]


def test_bca_gives_up_where_all_lie_on_one_side() -> None:
    def spread(times: Array) -> Array:
        return np.where(times.max(axis=1, keepdims=True) > 1, 1.0, 0.0)

    assert bootstrap(spread, 30, method="bca") == [NONE]


def test_there_is_no_interval_that_does_not_hold_its_number() -> None:
    """Every resample doubles some image, so that this is 1 in all of them and 0 in the data."""

    def doubled(times: Array) -> Array:
        return np.where(times.max(axis=1, keepdims=True) > 1, 1.0, 0.0)

    assert bootstrap(doubled, 30) == [NONE]
    assert bootstrap(lambda times: 1 - doubled(times) * 1e-12, 30) == [(1 - 1e-12, 1.0)]  # rounding is none


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_all_columns_at_once_are_each_by_itself(method: intervals.Method) -> None:
    """Quantiles of thousands of numbers are read together; NumPy's, and undefined draws are left out."""
    rng = np.random.default_rng(3)
    rows = np.column_stack([rng.normal(size=(25, 4)), rng.random(25) < 0.04])

    def statistic(sums: Array) -> Array:
        wide = np.where(sums[:, 4:] > 0, sums, np.nan)
        return np.concatenate([sums[:, :2], wide[:, 2:4]], axis=1)

    together = bootstrap_sums(rows, statistic, method=method)
    for i, interval in enumerate(together):
        alone = bootstrap_sums(rows, lambda sums, i=i: statistic(sums)[:, [i]], method=method)  # type: ignore[misc]
        assert alone == [interval]
    if method == "percentile":
        draws = statistic(np.concatenate(list(resample(25, intervals.RESAMPLES, 0))).astype(float) @ rows)
        for column, interval in zip(draws.T, together, strict=True):
            theirs = np.quantile(column[np.isfinite(column)], [0.025, 0.975])
            assert interval == pytest.approx(tuple(theirs), abs=1e-12)

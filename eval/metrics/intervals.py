"""How sure a number is: intervals for proportions, the bootstrap over images, and McNemar's test.

An interval is `(low, high)`, or `(None, None)` where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np

from models.results import Array

__all__ = [
    "NONE",
    "RESAMPLES",
    "Interval",
    "Method",
    "bootstrap",
    "bootstrap_sums",
    "by_index",
    "clopper_pearson",
    "mcnemar_exact",
    "reach",
    "resample",
    "widened",
    "wilson",
]

Interval: TypeAlias = tuple[float | None, float | None]
Method: TypeAlias = Literal["percentile", "bca"]
NONE: Interval = (None, None)
RESAMPLES = 200
ROUNDING = 1e-9  # a sum in another order
CHUNK = 1_000_000  # most numbers held at once while resampling
NORMAL = NormalDist()


def _check(successes: int, n: int, confidence: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be in [0, n={n}], got {successes}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson, 1927), no continuity correction; none for n = 0.

    Raises:
        ValueError: successes is not in [0, n], or confidence not in (0, 1).
    """
    _check(successes, n, confidence)
    if n == 0:
        return NONE
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    share, slack = successes / n, z * z / n
    centre = share + slack / 2
    half = z * math.sqrt(share * (1 - share) / n + slack / (4 * n))
    low = 0.0 if successes == 0 else (centre - half) / (1 + slack)
    high = 1.0 if successes == n else (centre + half) / (1 + slack)
    return low, high


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper and Pearson, 1934); never too narrow; none for n = 0.

    Raises:
        ValueError: successes is not in [0, n], or confidence not in (0, 1).
    """
    _check(successes, n, confidence)
    if n == 0:
        return NONE
    tail = (1 - confidence) / 2
    return _lower(successes, n, tail), 1 - _lower(n - successes, n, tail)


def _lower(successes: int, n: int, tail: float) -> float:
    """The p at which P(X >= successes) = tail, X binomial(n, p); by bisection to the last bit."""
    if successes == 0:
        return 0.0
    hits = np.arange(successes, n + 1)
    ways = np.array([-math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in hits.tolist()])
    ways += math.lgamma(n + 1)
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        logs = ways + hits * math.log(middle) + (n - hits) * math.log1p(-middle)
        low, high = (middle, high) if np.exp(logs).sum() < tail else (low, middle)
    return high


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact McNemar p-value: min(1, 2 P(X <= min(b, c))), X binomial(b + c, 1/2).

    Args:
        b: images only the first version got right.
        c: images only the second version got right.

    Raises:
        ValueError: a count is negative.
    """
    if b < 0 or c < 0:
        raise ValueError(f"b and c must be counts, got {b} and {c}")
    term = total = 1
    for k in range(min(b, c)):
        term = term * (b + c - k) // (k + 1)
        total += term
    share: float = 2 * total / 2 ** (b + c)
    return min(1.0, share)


def resample(size: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each of `size` images is drawn, for every resample; a few at a time.

    Yields:
        int64 `(R, size)`, rows sum to `size`. Philox with key `seed`; the chunking changes nothing.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    rows = max(1, CHUNK // max(size, 1))
    for start in range(0, resamples, rows):
        draws = (rng.integers(0, size, size) for _ in range(min(rows, resamples - start)))
        yield np.stack([np.bincount(drawn, minlength=size) for drawn in draws])


def bootstrap(
    statistic: Callable[[Array], Array],
    size: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: Method = "percentile",
    confidence: float = 0.95,
    shares: bool = False,
) -> list[Interval]:
    """Image-level bootstrap intervals of several numbers at once (Efron and Tibshirani, 1993).

    Args:
        statistic: int64 `(R, size)` multiplicities of the images -> float64 `(R, S)`, NaN = undefined.
        size: images; below two there is no interval.
        method: `percentile`, or `bca` (Efron, 1987: bias-corrected and accelerated by the jackknife).
        shares: the numbers are scores between 0 and 1, and an interval of no width is `widened` within that.

    Differences: resamples where a number is undefined are left out of its interval. There is none where
    the number itself lies outside: resampled data are then unlike the data (a class with one image is
    lost or doubled), and their quantiles say nothing. BCa has none where every resample lies on one side.
    """
    point = statistic(np.ones((1, size), np.int64))[0]
    if size < 2 or resamples < 1:
        return [NONE] * len(point)
    draws = _stack(map(statistic, resample(size, resamples, seed)))
    left_out = _stack(map(statistic, _leave_one_out(size))) if method == "bca" else None
    found = _intervals(point, draws, left_out, confidence)
    return _within(found, point, size, confidence) if shares else found


def bootstrap_sums(
    rows: Array,
    statistic: Callable[[Array], Array],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: Method = "percentile",
    confidence: float = 0.95,
    shares: bool = False,
) -> list[Interval]:
    """`bootstrap` of numbers that depend only on sums over images; its jackknife is one subtraction.

    Args:
        rows: `(images, K)`, what each image adds.
        statistic: float64 `(R, K)` sums -> float64 `(R, S)`, NaN = undefined.
    """
    rows = np.asarray(rows, np.float64)
    total = rows.sum(axis=0, keepdims=True)
    point = statistic(total)[0]
    if len(rows) < 2 or resamples < 1:
        return [NONE] * len(point)
    drawn = resample(len(rows), resamples, seed)
    draws = _stack(statistic(times.astype(np.float64) @ rows) for times in drawn)
    left_out = statistic(total - rows) if method == "bca" else None
    found = _intervals(point, draws, left_out, confidence)
    return _within(found, point, len(rows), confidence) if shares else found


def reach(images: int, confidence: float = 0.95) -> float:
    """How far a share may be from what `images` alike images say: z^2 / (n + z^2), as Wilson's and Tango's.

    A bootstrap of images that are all alike has no width at all; this is what it gets instead.
    """
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    return z * z / (images + z * z)


def widened(interval: Interval, images: int, confidence: float = 0.95) -> Interval:
    """The interval; one of no width reaches as far as `reach` says."""
    low, high = interval
    if low is None or high is None or low < high:
        return interval
    return low - reach(images, confidence), high + reach(images, confidence)


def _within(intervals: list[Interval], point: Array, images: int, confidence: float) -> list[Interval]:
    """Those of no width widened, but not beyond 0 and 1, nor beyond the number itself."""
    kept = []
    for interval, value in zip(intervals, point.tolist(), strict=True):
        low, high = widened(interval, images, confidence)
        if (low, high) != interval and low is not None and high is not None:
            low, high = max(low, min(0.0, value)), min(high, max(1.0, value))
        kept.append((low, high))
    return kept


def by_index(statistic: Callable[[Array], float | None]) -> Callable[[Array], Array]:
    """A number of resampled image indices (int64 `(size,)`, ascending) in the form `bootstrap` takes."""

    def of_multiplicities(times: Array) -> Array:
        values = [statistic(np.repeat(np.arange(len(row)), row)) for row in times]
        return np.array([[math.nan if value is None else value] for value in values])

    return of_multiplicities


def _stack(parts: Iterable[Array]) -> Array:
    return np.concatenate(list(parts))


def _leave_one_out(size: int) -> Iterator[Array]:
    rows = max(1, CHUNK // size)
    for start in range(0, size, rows):
        out = np.arange(start, min(start + rows, size))
        times = np.ones((len(out), size), np.int64)
        times[np.arange(len(out)), out] = 0
        yield times


def _intervals(point: Array, draws: Array, left_out: Array | None, confidence: float) -> list[Interval]:
    """Quantiles of what is defined in each column, all columns at once: there may be thousands."""
    ordered = np.sort(np.where(np.isfinite(draws), draws, np.nan), axis=0)  # NaN comes last
    counts = np.isfinite(ordered).sum(axis=0)
    tails: list[float] = [(1 - confidence) / 2, (1 + confidence) / 2]
    levels = np.tile(np.array(tails)[:, None], len(point))
    if left_out is not None:
        for i, (value, many) in enumerate(zip(point.tolist(), counts.tolist(), strict=True)):
            levels[:, i] = _bca_levels(value, ordered[:many, i], left_out[:, i], tails) or np.nan
    known = ~np.isnan(point) & (counts > 0) & ~np.isnan(levels).any(axis=0)
    place = np.where(known, levels * (counts - 1), 0)
    below, part = place.astype(np.int64), place % 1
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    columns = np.arange(len(point))
    bounds = ordered[below, columns] + part * (ordered[above, columns] - ordered[below, columns])
    low, high = np.minimum(bounds[0], point), np.maximum(bounds[1], point)
    known &= np.maximum(bounds[0] - low, high - bounds[1]) <= ROUNDING
    pairs = zip(known.tolist(), low.tolist(), high.tolist(), strict=True)
    return [(least, most) if there else NONE for there, least, most in pairs]


def _bca_levels(point: float, draws: Array, left_out: Array, levels: list[float]) -> list[float]:
    """Where to read the sorted draws instead of at `levels`; nowhere if all lie on one side."""
    below = ((draws < point).mean() + (draws <= point).mean()) / 2 if len(draws) else 0.0
    if not 0 < below < 1:
        return []
    gaps = left_out[np.isfinite(left_out)]
    gaps = gaps.mean() - gaps
    spread = float((gaps**2).sum()) ** 1.5
    acceleration = float((gaps**3).sum()) / (6 * spread) if spread else 0.0
    shift = NORMAL.inv_cdf(float(below))
    moved = [shift + NORMAL.inv_cdf(level) for level in levels]
    return [NORMAL.cdf(shift + m / (1 - acceleration * m)) for m in moved]

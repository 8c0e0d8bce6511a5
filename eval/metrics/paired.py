"""How much better one version is than another on the same images, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from eval.metrics.base import Metric, Resampled
from eval.metrics.intervals import NORMAL, Interval, Method, bootstrap, widened
from eval.metrics.pairs import require_pairs
from eval.metrics.ratios import defined
from eval.metrics.tables import METRICS
from models.card import TaskName
from models.results import Array

__all__ = ["SCORES", "Difference", "paired_bootstrap", "paired_difference", "tango"]

SCORES: Mapping[TaskName, str] = {"classification": "accuracy", "detection": "ap", "segmentation": "miou"}
RESAMPLES = 1000
STEPS = 60  # of the bisection: below the last bit


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one score, first version minus second, on the same images.

    Attributes:
        value: None where the score is undefined for either.
        low, high: the 95 % interval.
        support: images.
        lower_is_better: of the score; a positive difference is then a loss.
    """

    value: float | None
    low: float | None
    high: float | None
    support: int
    lower_is_better: bool = False

    @property
    def gain(self) -> Interval:
        """The interval, turned round where less is better: what lies above zero is an improvement."""
        if not self.lower_is_better or self.low is None or self.high is None:
            return self.low, self.high
        return -self.high, -self.low


def tango(gained: int, lost: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of the difference of two paired proportions (Tango, 1998, Statistics in Medicine 17).

    It asks for evidence even where both versions answer alike: without one discordant pair among n it
    still reaches to z^2 / (n + z^2) on both sides, where a bootstrap would be of no width.

    Args:
        gained: images only the first version got right.
        lost: images only the second got right.
        n: images; none for 0.

    Raises:
        ValueError: counts that no n images have, or confidence not in (0, 1).
    """
    if min(gained, lost) < 0 or gained + lost > n:
        raise ValueError(f"gained and lost must be counts within n={n}, got {gained} and {lost}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if n == 0:
        return None, None
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    point = (gained - lost) / n
    low = _bisected(lambda delta: _score(gained, lost, n, delta) > z, -1.0, point)
    high = _bisected(lambda delta: _score(gained, lost, n, delta) >= -z, point, 1.0)
    return low, high


def _score(gained: int, lost: int, n: int, delta: float) -> float:
    """Tango's statistic: how far the counts lie from a true difference of `delta`; falls with it."""
    a, b = 2.0 * n, -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)  # of images lost, most likely under delta
    variance = n * (2 * share + delta * (1 - delta))
    apart = gained - lost - n * delta
    if variance <= 0:
        return math.copysign(math.inf, apart) if apart else 0.0
    return apart / math.sqrt(variance)


def _bisected(beyond: Callable[[float], bool], low: float, high: float) -> float:
    """Where `beyond` turns from true to false."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return (low + high) / 2


def paired_bootstrap(
    first: Callable[[Array], Array],
    second: Callable[[Array], Array],
    images: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: Method = "percentile",
) -> tuple[float | None, Interval]:
    """The difference of any number between two versions, and its 95 % bootstrap interval over images.

    Every resample draws the same images for both, so that what is hard for both cancels.

    Differences: where no resample differs from any other, the interval reaches to both sides as far as
    `eval.metrics.intervals.reach` says: ten pictures that agree do not prove that all do.

    Args:
        first, second: int64 `(R, images)`, how often each image counts -> float64 `(R, 1)`, NaN = undefined.
    """

    def apart(times: Array) -> Array:
        gap: Array = first(times) - second(times)
        return gap

    value = defined(float(apart(np.ones((1, images), np.int64))[0, 0])) if images else None
    (interval,) = bootstrap(apart, images, resamples=resamples, seed=seed, method=method)
    return value, widened(interval, images)


def paired_difference(
    task: TaskName,
    labels: Sequence[str],
    first: Sequence[Any],
    second: Sequence[Any],
    expected: Sequence[Any],
    *,
    score: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """The difference of a score between two versions' answers to the same images.

    Shares of images (`accuracy`, `top5_accuracy`) have Tango's interval; all others the percentile
    bootstrap over images, every resample the same images for both.

    Args:
        score: a name as in `compute`, e.g. `f1.macro` or `ece_error`; by default the task's (`SCORES`).

    Raises:
        ValueError: answers and truths do not pair up, or the task has no such score to resample.
    """
    require_pairs(first, expected)
    require_pairs(second, expected)
    name, n = score or SCORES[task], len(expected)
    mine, other = (_read(task, labels, answers, expected, name) for answers in (first, second))
    lower = name.endswith(("_loss", "_error"))
    if name in mine.hits:
        right, wrong = mine.hits[name], other.hits[name]
        gained, lost = int((right & ~wrong).sum()), int((wrong & ~right).sum())
        return Difference((gained - lost) / n if n else None, *tango(gained, lost, n), n, lower)
    ours, theirs = (_column(version, name) for version in (mine, other))
    value, interval = paired_bootstrap(ours, theirs, n, resamples=resamples, seed=seed)
    return Difference(value, *interval, n, lower)


def _column(version: Resampled, name: str) -> Callable[[Array], Array]:
    place = version.names.index(name)
    return lambda times: version.values(times)[:, [place]]


def _read(
    task: TaskName, labels: Sequence[str], answers: Sequence[Any], expected: Sequence[Any], name: str
) -> Resampled:
    """What has the score, ready to be resampled."""
    known: list[str] = []
    for make in METRICS[task]:
        metric: Metric[Any, Any] = make(labels, resamples=0)
        names = [one.name for one in metric.compute()]
        if name in names:
            metric.update(answers, expected)
            found = metric.resampled()
            if found is not None and (name in found.hits or name in found.names):
                return found
            return _by_merging(partial(make, labels, resamples=0), answers, expected, name)
        known += [one for one in names if ".class." not in one]
    raise ValueError(f"score must be one of {known} or of a class, got {name!r}")


def _by_merging(
    make: Callable[[], Metric[Any, Any]], answers: Sequence[Any], expected: Sequence[Any], name: str
) -> Resampled:
    """Any score of any metric: the state of every image, merged as often as it is drawn. Exact, and slow."""
    parts = []
    for answer, truth in zip(answers, expected, strict=True):
        parts.append(make())
        parts[-1].update([answer], [truth])

    def value(row: Array) -> float:
        whole = make()
        for i in np.repeat(np.arange(len(row)), row).tolist():
            whole.merge(parts[i])
        found = next(score.value for score in whole.compute() if score.name == name)
        return math.nan if found is None else found

    return Resampled((name,), lambda times: np.array([[value(row)] for row in times]))

"""One number for how much corruption costs: mPC and rPC, mCE and its relative form, calibration under it.

A performance P is accuracy, AP or mIoU: a fraction, higher is better; an error is 1 - accuracy. Of every
corruption it is known at every severity. What is missing is None, and so is every mean over it: a mean over
the cells that happened to be answered would be one of an easier task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from eval.metrics.base import Score
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.intervals import RESAMPLES, Interval, bootstrap, bootstrap_sums, widened
from eval.metrics.ratios import defined, ratio
from models.results import Array, Classification

__all__ = [
    "ALEXNET",
    "Right",
    "calibration_scores",
    "corruption_scores",
    "mean_corruption_error",
    "mean_performance",
    "relative_performance",
]

# Mean errors of AlexNet over five severities on the published ImageNet-C files.
ALEXNET: Final[Mapping[str, float]] = {
    "gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640, "defocus_blur": 0.819880,
    "glass_blur": 0.826268, "motion_blur": 0.785948, "zoom_blur": 0.798360, "snow": 0.866816,
    "frost": 0.826572, "fog": 0.819324, "brightness": 0.564592, "contrast": 0.853204,
    "elastic_transform": 0.646056, "pixelate": 0.717840, "jpeg_compression": 0.606500,
}  # fmt: skip

Cells = Mapping[str, Sequence[float | None]]


def _cells(told: Cells) -> Array:
    """float64 `(corruptions, severities)`, NaN for None."""
    return np.array([[math.nan if v is None else v for v in row] for row in told.values()], np.float64)


def mean_performance(performance: Cells) -> float | None:
    """mPC: the mean over corruptions and severities (Michaelis et al., 2019, arXiv 1907.07484).

    Args:
        performance: corruption -> one value for each severity, as many for each.
    """
    cells = _cells(performance)
    return defined(cells.mean()) if cells.size else None


def relative_performance(performance: Cells, clean: float | None) -> float | None:
    """rPC = mPC / P on clean images: the share that corruption leaves (ibid.)."""
    mean = mean_performance(performance)
    return mean / clean if mean is not None and clean else None


def mean_corruption_error(
    errors: Cells,
    reference: Mapping[str, float | None],
    *,
    clean: float | None = 0.0,
    reference_clean: float | None = 0.0,
) -> float | None:
    """mCE: the mean over corruptions of error / error of a reference (Hendrycks and Dietterich, 2019,
    arXiv 1903.12261).

    With `clean` errors it is the relative mCE: what corruption adds, by what it adds to the reference.

    Args:
        errors: corruption -> error at each severity.
        reference: corruption -> mean error of the reference over the same severities: `ALEXNET`, or those of
            an earlier version on the same pictures.

    Raises:
        ValueError: the reference lacks one of the corruptions.
    """
    if missing := [name for name in errors if name not in reference]:
        raise ValueError(f"reference must have every corruption that was measured, got none for {missing}")
    own, theirs = _cells(errors), _cells({name: [reference[name]] for name in errors})
    if not own.size or clean is None or reference_clean is None:
        return None
    return defined(ratio(own.mean(axis=1) - clean, theirs.mean(axis=1) - reference_clean).mean())


@dataclass(frozen=True, slots=True)
class Right:
    """Which images one version got right.

    Attributes:
        clean: bool `(N,)`, without corruption.
        worn: corruption -> bool `(S, N)`, a row for each severity, as many for each.

    Raises:
        ValueError: shapes that do not fit.
    """

    clean: Array
    worn: Mapping[str, Array]

    def __post_init__(self) -> None:
        shapes = {rows.shape for rows in self.worn.values()}
        if len(shapes) != 1 or any(len(s) != 2 or s[1:] != self.clean.shape for s in shapes):
            raise ValueError(f"worn must be (S, {len(self.clean)}) for each corruption, got {sorted(shapes)}")

    @property
    def columns(self) -> Array:
        """float64 `(N, 1 + corruptions)`: right when clean, share of severities right."""
        shares = [rows.mean(axis=0, dtype=np.float64) for rows in self.worn.values()]
        return np.column_stack([self.clean, *shares])


def corruption_scores(
    own: Right, *, against: Right | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> list[Score]:
    """Accuracy under corruption in all its forms, with 95 % percentile bootstrap intervals over images.

    An image is drawn with all its corruptions, because they are not independent of one another.

    Args:
        against: an earlier version on the same images and corruptions, drawn in pairs. Without it, mCE is
            against AlexNet where all fifteen common corruptions and no others were measured, and the
            relative mCE is undefined. On our own pictures it is **not comparable with a leaderboard**:
            theirs are the published files.

    Raises:
        ValueError: `against` has other images or other corruptions.
    """
    names = list(own.worn)
    if against is not None and (list(against.worn) != names or against.clean.shape != own.clean.shape):
        raise ValueError("against must have the same images and corruptions in the same order")
    known = set(names) == set(ALEXNET)
    fixed = np.array([1 - ALEXNET[n] if known else math.nan for n in names])
    reference = np.array([[math.nan, *fixed]]) if against is None else against.columns
    ones = np.ones((len(own.clean), 1))
    rows = np.hstack([ones, own.columns, np.broadcast_to(reference, (len(ones), reference.shape[1]))])
    values = _numbers(rows.sum(axis=0, keepdims=True))[0]
    intervals = bootstrap_sums(rows, _numbers, resamples=resamples, seed=seed)
    whose = "version" if against else "alexnet,not_leaderboard_comparable"
    kinds = [
        ("corrupted_accuracy", "michaelis2019/mPC", 1.0),
        ("relative_corrupted_accuracy", "michaelis2019/rPC", math.inf),
        ("corruption_error", f"hendrycks2019/mCE,reference={whose}", math.inf),
        ("relative_corruption_error", f"hendrycks2019/relative_mCE,reference={whose}", math.inf),
        *((f"corrupted_accuracy.{name}", "assay/accuracy,mean_of_severities", 1.0) for name in names),
    ]
    return [
        Score(name, defined(value), len(ones), what, *_bounded(found, len(ones), most))
        for (name, what, most), value, found in zip(kinds, values, intervals, strict=True)
    ]


def _numbers(sums: Array) -> Array:
    """`(R, 1 + 2 (1 + C))` sums over images -> mPC, rPC, mCE, relative mCE, accuracy of each corruption."""
    means = ratio(sums[:, 1:], sums[:, :1])
    own, theirs = np.split(means, 2, axis=1)
    clean, accuracy = own[:, :1], own[:, 1:]
    mean = accuracy.mean(axis=1, keepdims=True)
    absolute = ratio(1 - accuracy, 1 - theirs[:, 1:]).mean(axis=1, keepdims=True)
    relative = ratio(clean - accuracy, theirs[:, :1] - theirs[:, 1:]).mean(axis=1, keepdims=True)
    return np.hstack([mean, ratio(mean, clean), absolute, relative, accuracy])


def _bounded(interval: Interval, images: int, most: float) -> Interval:
    """The interval, never of no width; a share stays within [0, 1]."""
    low, high = widened(interval, images)
    if low is None or high is None or most == math.inf:
        return low, high
    return max(low, 0.0), min(high, most)


def calibration_scores(
    answers: Mapping[str, Sequence[Sequence[Classification]]],
    expected: Sequence[int],
    labels: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Score]:
    """ECE under corruption: its mean over all corruptions and severities, and over the corruptions at each
    severity (after Ovadia et al., 2019, arXiv 1906.02530), with 95 % bootstrap intervals over images.

    Args:
        answers: corruption -> severity -> one answer for each image.
        labels: class names, index = class.

    Raises:
        ValueError: as `CalibrationMetric.update`, or not as many severities for each corruption.
    """
    if len({len(row) for row in answers.values()}) != 1:
        raise ValueError(
            "answers must have as many severities for each corruption, and at least one corruption"
        )
    read, definition = [], ""
    for row in answers.values():
        for cell in row:
            metric = CalibrationMetric(labels, resamples=0)
            metric.update(cell, expected)
            read.append(metric.resampled().values)
            definition = metric.compute()[0].definition

    def statistic(times: Array) -> Array:
        cells = np.stack([values(times)[:, 0] for values in read], axis=1)
        severities = cells.reshape(len(times), len(answers), -1).mean(axis=1)
        return np.hstack([severities.mean(axis=1, keepdims=True), severities])

    images = len(expected)
    point = statistic(np.ones((1, images), np.int64))[0]
    intervals = bootstrap(statistic, images, resamples=resamples, seed=seed)
    names = ["corrupted_ece_error", *(f"corrupted_ece_error.severity.{s}" for s in range(1, len(point)))]
    return [
        Score(
            name, defined(value), len(expected), f"mean_of/{definition}", *_bounded(found, len(expected), 1.0)
        )
        for name, value, found in zip(names, point, intervals, strict=True)
    ]

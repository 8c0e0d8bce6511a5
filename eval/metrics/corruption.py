"""One number for how much corruption costs: mPC and rPC, mCE and its relative form, calibration under it.

A performance P is accuracy, AP or mIoU: a fraction, higher is better; an error is 1 - P. Of every corruption
it is known at every severity, of all images and of the same bootstrap resamples of them: an image is drawn
with all its corruptions, because they are not independent of one another. What is missing is undefined, and
so is every mean over it: a mean over the cells that happened to be answered would be one of an easier task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from eval.metrics.base import Score
from eval.metrics.intervals import NONE, Interval, widened
from eval.metrics.ratios import defined, ratio
from models.results import Array

__all__ = ["ALEXNET", "Reference", "Worn", "calibration_scores", "corruption_scores", "interval_of"]

# Mean errors of AlexNet over five severities on the published ImageNet-C files, and on the clean ones.
ALEXNET: Final[Mapping[str, float]] = {
    "gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640, "defocus_blur": 0.819880,
    "glass_blur": 0.826268, "motion_blur": 0.785948, "zoom_blur": 0.798360, "snow": 0.866816,
    "frost": 0.826572, "fog": 0.819324, "brightness": 0.564592, "contrast": 0.853204,
    "elastic_transform": 0.646056, "pixelate": 0.717840, "jpeg_compression": 0.606500,
}  # fmt: skip
ALEXNET_CLEAN: Final = 0.435
SEVERITIES: Final = (1, 2, 3, 4, 5)  # what AlexNet's errors are means over
ROUNDING = 1e-9  # a sum in another order
TAILS: Final = (0.025, 0.975)
MOST_UNDEFINED = 0.05  # of the resamples; with more, what is left says nothing of all


@dataclass(frozen=True, slots=True, eq=False)
class Worn:
    """A performance without corruption and under it.

    Each number is float64 `(1 + R,)`: of all images, then of each of R resamples of them; NaN = undefined.

    Attributes:
        clean: without corruption.
        cells: corruption -> `(S, 1 + R)`, a row for each of `severities`.
        images: what it rests on.

    Raises:
        ValueError: shapes that do not fit.
    """

    clean: Array
    cells: Mapping[str, Array]
    severities: tuple[int, ...]
    images: int

    def __post_init__(self) -> None:
        wanted = (len(self.severities), *self.clean.shape)
        shapes = {rows.shape for rows in self.cells.values()}
        if shapes != {wanted} or self.clean.ndim != 1 or not self.severities:
            raise ValueError(f"cells must be {wanted} for each corruption, got {sorted(shapes)}")

    @property
    def means(self) -> Array:
        """float64 `(C, 1 + R)`, over severities."""
        return np.stack([rows.mean(axis=0) for rows in self.cells.values()])


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """By whose errors the errors are divided.

    Attributes:
        name: as the definition ids have it.
        errors: corruption -> mean error over the severities, one number or `(1 + R,)`.
        clean: error without corruption, alike.
        severities: what the errors are means over.
    """

    name: str
    errors: Mapping[str, Array]
    clean: Array
    severities: tuple[int, ...]

    @staticmethod
    def alexnet() -> Reference:
        """AlexNet on the published files; what we draw is **not comparable with a leaderboard**."""
        errors = {name: np.array(error) for name, error in ALEXNET.items()}
        return Reference("alexnet,not_leaderboard_comparable", errors, np.array(ALEXNET_CLEAN), SEVERITIES)

    @staticmethod
    def version(name: str, worn: Worn) -> Reference:
        """Another version, measured on the same pictures; its resamples go in pairs with the other's."""
        errors = dict(zip(worn.cells, 1 - worn.means, strict=True))
        return Reference(name, errors, 1 - worn.clean, worn.severities)


def corruption_scores(own: Worn, rule: str, reference: Reference | None = None) -> list[Score]:
    """Performance under corruption in all its forms, with 95 % percentile bootstrap intervals over images.

    * `mPC`: the mean over corruptions and severities; `rPC`: mPC / P on clean images, the share that
      corruption leaves (Michaelis et al., 2019, arXiv 1907.07484).
    * `mCE_error`: the mean over corruptions of error / error of the reference; `relative_mCE_error`: of what
      corruption adds to the error, by what it adds to the reference's, undefined where it adds nothing
      (Hendrycks and Dietterich, 2019, arXiv 1903.12261; of mIoU: Kamann and Rother, 2020, arXiv 1908.05005).
    * `corruption.<name>`: the mean over severities.

    Args:
        rule: what P is, for the definition ids, e.g. `sklearn/accuracy_score`.
        reference: without it there is no mCE.

    Raises:
        ValueError: the reference lacks one of the corruptions, or has other severities.
    """
    means = own.means
    mean = means.mean(axis=0)
    over = f"{rule},corruptions={len(means)},severities={'+'.join(map(str, own.severities))}"
    told = [
        ("mPC", f"michaelis2019/mPC,P={over}", mean, 1.0),
        ("rPC", f"michaelis2019/rPC,P={over}", ratio(mean, own.clean), np.inf),
    ]
    if reference is not None:
        absolute, relative = _divided(own, means, reference)
        whose = f"P={over},reference={reference.name}"
        told += [
            ("mCE_error", f"hendrycks2019/mCE,{whose}", absolute, np.inf),
            ("relative_mCE_error", f"hendrycks2019/relative_mCE,{whose}", relative, np.inf),
        ]
    for name, values in zip(own.cells, means, strict=True):
        told.append((f"corruption.{name}", f"assay/mean_of_severities,P={rule}", values, 1.0))
    return [_score(name, values, own.images, rule, most) for name, rule, values, most in told]


def _divided(own: Worn, means: Array, reference: Reference) -> tuple[Array, Array]:
    """mCE and relative mCE, `(1 + R,)` each."""
    if missing := [name for name in own.cells if name not in reference.errors]:
        raise ValueError(f"reference must have every corruption that was measured, got none for {missing}")
    if own.severities != reference.severities:
        raise ValueError(
            f"reference must be of severities {own.severities}, got those of {reference.severities}"
        )
    theirs = np.stack([np.broadcast_to(reference.errors[name], own.clean.shape) for name in own.cells])
    added = theirs - reference.clean
    absolute = ratio(1 - means, theirs).mean(axis=0)
    relative = ratio(own.clean - means, np.where(added > 0, added, np.nan)).mean(axis=0)
    return absolute, relative


def calibration_scores(own: Worn, rule: str) -> list[Score]:
    """ECE under corruption: its mean over all corruptions and severities, over the corruptions at each
    severity, and without corruption (after Ovadia et al., 2019, arXiv 1906.02530); intervals as above, which
    lie rather high: resamples of few images look worse calibrated than the images themselves.

    Args:
        own: expected calibration errors in place of performances.
        rule: their definition id.
    """
    cells = np.stack(list(own.cells.values()))  # (C, S, 1 + R)
    told = [("corrupted_ece_error", f"mean_of/{rule}", cells.mean(axis=(0, 1)))]
    told += [
        (f"corrupted_ece_error.severity.{s}", f"mean_of/{rule}", cells[:, i].mean(axis=0))
        for i, s in enumerate(own.severities)
    ]
    told.append(("corrupted_ece_error.clean", rule, own.clean))
    return [_score(name, values, own.images, rule, 1.0) for name, rule, values in told]


def _score(name: str, values: Array, images: int, rule: str, most: float) -> Score:
    return Score(name, defined(values[0]), images, rule, *interval_of(values, images, most))


def interval_of(values: Array, images: int, most: float = 1.0) -> Interval:
    """The 95 % percentile interval of a number, never of no width (`widened`).

    There is none where the number itself lies outside, or too many resamples have no number.

    Args:
        values: float64 `(1 + R,)`, the number first.
        most: a share stays within [0, 1]; infinity for what is no share.
    """
    point, draws = float(values[0]), values[1:]
    known = draws[~np.isnan(draws)]
    if np.isnan(point) or images < 2 or not len(known) or len(known) < (1 - MOST_UNDEFINED) * len(draws):
        return NONE
    low, high = (float(bound) for bound in np.quantile(known, TAILS))
    if not low - ROUNDING <= point <= high + ROUNDING:
        return NONE
    low, high = (min(low, point), max(high, point)) if high - low > ROUNDING else (point, point)
    least, greatest = widened((low, high), images)
    if least is None or greatest is None or most == np.inf:
        return least, greatest
    return max(least, 0.0), min(greatest, most)

"""How stable answers are under noise, and what that does and does not promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.auditing.stability import ABSTAINS, Stability
from eval.metrics.intervals import wilson
from eval.report.document import Cell, Headline, Plot, Section, Table

__all__ = ["stability_figures", "stability_section"]

RADII = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)  # in the table, in sigmas
SMOOTHED = (
    "This is the classifier that answers what is answered most when Gaussian noise is added (Cohen, "
    "Rosenfeld and Kolter 2019, arXiv 1902.02918): within its radius, in L2 over all values of a picture, "
    "its class stays the same, for each image with confidence {sure:g}, if answers do not depend on each "
    "other."
)
ESTIMATE = (
    "An estimate, no certificate of what is served. The endpoint takes whole levels, so noisy pictures were "
    "rounded and cut at 0 and 255. Both are fixed functions of the noisy picture, so the theorem holds for "
    "the majority answer of round, cut and ask, and for that alone. The endpoint gives single answers "
    "without noise: those may be wrong at any distance, also within the radius, which is what attacks look "
    "for. A model that is smoothed on unrounded pictures is another one, too."
)
CERTIFICATE = (
    "A certificate of the smoothed classifier: the endpoint took the noisy pictures neither rounded nor cut, "
    "as the theorem wants them. Served without noise it is not that classifier, and single answers may be "
    "wrong within the radius. Floating-point draws stand for real normal ones."
)


def stability_section(name: str, results: Sequence[Stability]) -> Section:
    """The same images under one or several spreads of noise.

    Args:
        name: of the model.

    Raises:
        ValueError: there is no result, or only some were on the lattice.
    """
    if len({result.how.lattice for result in results}) != 1:
        raise ValueError("results must be at least one, all rounded or none")
    how = results[0].how
    title = "Noise-stability estimate" if how.lattice else "Certificate under smoothing"
    most = max(result.how.queries for result in results)
    text = " ".join(
        [
            ESTIMATE if how.lattice else CERTIFICATE,
            SMOOTHED.format(sure=1 - max(result.how.alpha for result in results)),
            f"To predict like that takes up to {most:,} queries an image.",
        ]
    )
    if not all(result.valid for result in results):
        text += " Too many draws got no answer: the numbers are too low and say little."
    return Section(
        f"{title} of {name}",
        text,
        headlines=[headline for result in results for headline in _headlines(result)],
        plots=[_curve(results)],
        tables=[_shares(results), _draws(results)],
    )


def stability_figures(prefix: str, results: Sequence[Stability]) -> dict[str, float | None]:
    """Flat numbers for machines, by sigma in levels."""
    figures: dict[str, float | None] = {}
    for result in results:
        key, count = f"{prefix}.stability.{result.how.sigma:g}", len(result)
        figures[f"{key}.accuracy"] = result.within(0.0) / count if count else None
        figures[f"{key}.abstained"] = _abstained(result) / count if count else None
        figures[f"{key}.median_radius"] = _median(result)
        figures[f"{key}.queries"] = result.queries
        figures[f"{key}.errors"] = int(result.errors.sum())
    return figures


def _abstained(result: Stability) -> int:
    return int((result.predicted == ABSTAINS).sum())


def _median(result: Stability) -> float | None:
    """Of all images; those not right have none, so 0."""
    return float(np.median(np.where(result.right, result.radius, 0.0))) if len(result) else None


def _headlines(result: Stability) -> list[Headline]:
    count, right, silent = len(result), result.within(0.0), _abstained(result)
    noise = f"noise of {result.how.sigma:g} levels"
    reach = f"levels in L2, 0 where not right; so many draws show {result.how.farthest:.4g} at most"
    return [
        _share("right under noise", right, count, f"majority answer, {noise}"),
        _share("no clear majority", silent, count, noise),
        Headline("median radius", _median(result), count, note=f"{reach}; {noise}"),
    ]


def _share(title: str, part: int, whole: int, note: str) -> Headline:
    low, high = wilson(part, whole)
    return Headline(title, part / whole if whole else None, whole, low, high, note)


def _curve(results: Sequence[Stability]) -> Plot:
    series = {}
    for result in results:
        curve = result.curve()
        end = [(result.how.farthest, curve[-1][1])] if curve else []
        series[f"noise of {result.how.sigma:g} levels"] = [*curve, *end]
    return Plot("steps", "Right and stable by radius", series, "radius, levels in L2", "share of images")


def _shares(results: Sequence[Stability]) -> Table:
    rows: list[Mapping[str, Cell]] = []
    for result in results:
        for times in RADII:
            radius, count = times * result.how.sigma, len(result)
            right = result.within(radius)
            low, high = wilson(right, count)
            share = right / count if count else None
            beyond = radius > result.how.farthest
            rows.append(
                {
                    "noise, levels": result.how.sigma,
                    "radius, levels": radius,
                    "right and stable": None if beyond else share,
                    "low": None if beyond else low,
                    "high": None if beyond else high,
                    "images": count,
                }
            )
    return Table(
        rows,
        "Right and stable at a radius",
        "Intervals are Wilson's over images, at 0.95. None where so few draws cannot show so large a radius. "
        "A bound holds for one image at a time: a share alpha of the images may have too large a radius.",
    )


def _draws(results: Sequence[Stability]) -> Table:
    rows: list[Mapping[str, Cell]] = [
        {
            "noise, levels": result.how.sigma,
            "to choose": result.how.select,
            "to count": result.how.estimate,
            "alpha": result.how.alpha,
            "largest radius": result.how.farthest,
            "queries": result.queries,
            "without answer": int(result.errors.sum()),
        }
        for result in results
    ]
    return Table(
        rows,
        "Draws",
        "Clopper-Pearson bounds, one-sided. A draw without an answer counts against the class. The largest "
        "radius is that of a picture whose every draw is answered alike.",
    )

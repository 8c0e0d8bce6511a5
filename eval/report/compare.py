"""What a comparison shows: what flipped, by how much every score moved, where it got worse, with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.comparison.columns import Columns
from eval.comparison.differences import ClassChange, Paired, SliceChange, better_and_worse
from eval.comparison.judged import MARGIN, UNITS
from eval.metrics.intervals import clopper_pearson, mcnemar_exact
from eval.metrics.paired import Difference
from eval.metrics.sample_size import margin_advice
from eval.report.document import Cell, Headline, Section, Table
from eval.report.flips import flip_galleries, flips_table
from eval.report.markdown import shown
from models.card import TaskName

__all__ = ["comparison_section", "timing_section", "word"]

SIGNIFICANT = 0.05
MARGIN_OF_ADVICE = 0.01
CLASSES = 50  # that are told; all are tested
MEANING: Mapping[TaskName, str] = {
    "classification": "An answer differs when its class does.",
    "detection": "Objects of score 0.5 or more, paired class by class at IoU 0.5. An image is worse when it "
    "has more missed and false objects; its answer differs when its objects do not pair up.",
    "segmentation": f"An image is worse, or its answer differs, by more than {MARGIN['segmentation']:g} of "
    "its pixels.",
}
QUANTILES = (0.5, 0.95, 0.99)


def comparison_section(
    names: tuple[str, str],
    data: str,
    columns: Columns,
    scores: Sequence[Paired],
    classes: Sequence[ClassChange],
    slices: Sequence[SliceChange],
) -> Section:
    """Two versions on the same images; all differences are the second minus the first.

    Args:
        names: of the first and the second; they must differ.
    """
    better, worse = better_and_worse(columns)
    p, differing = mcnemar_exact(better, worse), int(np.sum(columns.differs))
    n = columns.paired
    headlines = [
        Headline(f"{s.name}, difference", s.difference.value, s.difference.support, s.difference.low,
                 s.difference.high, word(s.difference))
        for s in scores
    ]  # fmt: skip
    churn = differing / n if n else None
    headlines.append(Headline("churn", churn, n, *clopper_pearson(differing, n), note="answers that differ"))
    told = f"Exact McNemar of better against worse images: p = {shown(p)}"
    changes = [*_by_class(classes, UNITS[columns.task]), *_by_slice(slices)]
    return Section(
        f"{names[1]} against {names[0]} on {data}",
        f"Every difference is {names[1]} minus {names[0]}, on the {n} images that both answered. "
        f"{MEANING[columns.task]} {told}.",
        headlines=headlines,
        tables=[
            _flips(names, columns, better, worse, p),
            _scores(names, scores),
            *changes,
            flips_table(columns),
        ],
        galleries=flip_galleries(names, columns),
        advice=[f"{s.name}: {margin_advice(s.difference, MARGIN_OF_ADVICE)}" for s in scores[:1]],
    )


def word(difference: Difference) -> str:
    """Whether the interval shows a change, and which."""
    low, high = difference.gain
    if low is not None and low > 0:
        return "better"
    return "worse" if high is not None and high < 0 else "no change shown"


def _interval(low: float | None, high: float | None) -> Cell:
    return None if low is None or high is None else f"{low:+.4f} to {high:+.4f}"


def _flips(names: tuple[str, str], columns: Columns, better: int, worse: int, p: float) -> Table:
    unit = UNITS[columns.task]
    counts = dict(zip(("both", "lost", "gained", "neither"), columns.units.tolist(), strict=True))
    differing, n = int(np.sum(columns.differs)), columns.paired
    rows: list[Mapping[str, Cell]] = [
        {"what": f"{unit} right in both", "count": counts["both"]},
        {"what": f"{unit} right -> wrong", "count": counts["lost"]},
        {"what": f"{unit} wrong -> right", "count": counts["gained"]},
        {"what": f"{unit} right in neither", "count": counts["neither"]},
    ]
    if columns.task == "detection":
        false = zip(names, columns.false.tolist(), strict=True)
        rows += [{"what": f"false objects of {name}", "count": count} for name, count in false]
    if columns.task != "classification":
        rows += [{"what": "images better", "count": better}, {"what": "images worse", "count": worse}]
    rows += [
        {"what": "exact McNemar p (images)", "count": p},
        {"what": "answers that differ", "count": differing},
        {"what": "churn", "count": differing / n if n else None},
        {"what": f"images without an answer of {names[0]}", "count": columns.errors[0]},
        {"what": f"images without an answer of {names[1]}", "count": columns.errors[1]},
        {"what": "images left out of the pairs", "count": columns.unpaired},
    ]
    return Table(rows, "Flips", "Images that one of the two did not answer are in no other number.")


def _scores(names: tuple[str, str], scores: Sequence[Paired]) -> Table:
    rows: list[Mapping[str, Cell]] = [
        {
            "score": s.name,
            names[0]: s.before,
            names[1]: s.after,
            "difference": s.difference.value,
            "95 % interval": _interval(s.difference.low, s.difference.high),
            "n": s.difference.support,
            "reads": word(s.difference),
        }
        for s in scores
    ]
    note = "Paired: shares of images by Tango's interval, the rest by the bootstrap over images. Of names in "
    return Table(rows, "Scores", note + "_loss and _error less is better.")


def _by_class(classes: Sequence[ClassChange], unit: str) -> list[Table]:
    ranked = sorted(classes, key=lambda c: (c.p, -abs(c.difference.value or 0.0), c.label))
    rows: list[Mapping[str, Cell]] = [
        {
            "class": c.label,
            "recall before": c.before,
            "after": c.after,
            "difference": c.difference.value,
            "95 % interval": _interval(c.difference.low, c.difference.high),
            "images": c.difference.support,
            "better": c.better,
            "worse": c.worse,
            "p (Holm)": c.p,
            "reads": _verdict(c.p, c.worse - c.better),
        }
        for c in ranked[:CLASSES]
        if c.better or c.worse
    ]
    left = len(classes) - len(rows)
    note = f"Share of the {unit} of a class that are right. p is adjusted for all {len(classes)} classes; "
    note += f"{left} with no or little change are not shown."
    return [Table(rows, "Classes that changed", note)] if rows else []


def _by_slice(slices: Sequence[SliceChange]) -> list[Table]:
    rows: list[Mapping[str, Cell]] = [
        {
            "slice": s.name,
            "value": s.value,
            "n": s.score.difference.support,
            f"{s.score.name} before": s.score.before,
            "after": s.score.after,
            "difference": s.score.difference.value,
            "95 % interval": _interval(s.score.difference.low, s.score.difference.high),
            "better": s.better,
            "worse": s.worse,
            "p (Holm)": s.p,
            "reads": _verdict(s.p, s.worse - s.better),
        }
        for s in slices
    ]
    note = f"p is of exact McNemar of better against worse images, adjusted for all {len(rows)} slices."
    return [Table(rows, "Slices", note)] if rows else []


def _verdict(p: float, more_worse: int) -> str:
    return "no change shown" if p >= SIGNIFICANT else "worse" if more_worse > 0 else "better"


def timing_section(names: tuple[str, str], seconds: tuple[Sequence[float], Sequence[float]]) -> Section:
    """How long the requests of both took; no part of the report whose bytes are compared.

    Args:
        seconds: of every answered image, at least one each.
    """
    sides = [np.quantile(np.array(side) * 1e3, QUANTILES).tolist() for side in seconds]
    rows: list[Mapping[str, Cell]] = [
        {"request": f"p{q * 100:g} ms", names[0]: one, names[1]: other, "difference ms": other - one}
        for q, one, other in zip(QUANTILES, *sides, strict=True)
    ]
    note = (
        "Each was asked at its own time; the difference is of the hours, the network and the neighbours too."
    )
    return Section("Latency", tables=[Table(rows, "Requests as their sender saw them", note)])

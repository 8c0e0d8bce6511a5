"""The figures of an audit: robust accuracy against epsilon, success against queries."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from eval.report.audited import Audited
from eval.report.document import Plot
from eval.report.standing import FELL, SILENT, STOOD, Counts, Standing, counted, counts_of
from models.results import Array

__all__ = ["BY_EPSILON", "curve_points", "query_curve", "security_curve"]

BY_EPSILON = "What stands, by epsilon"
FOUND = "smallest found"
NEAR, REACH = 2.0, 4.0  # epsilons to the right, at least and at most; the rest is in the table only
STEPS = (0.25, 0.5, 1.0, 2.0, 4.0)  # epsilons of the table
LEVELS = 255.0  # of a picture: no value moves further


def security_curve(told: Audited, standing: Standing) -> Plot | None:
    """Robust accuracy against epsilon, in steps: each is an upper bound up to the next.

    One line from all attacks: the share whose smallest known change is larger, exact for every epsilon;
    one from attacks within each epsilon of the curve. None for threats without an epsilon, or where
    nothing looks beyond it.
    """
    epsilon = told.threat.epsilon
    points = _curve(told)
    if math.isinf(epsilon) or not (points or any(attack.minimises for attack in told.attacks)):
        return None
    smallest, clean = _smallest(told), standing.counts()
    known = smallest[standing.letters() != SILENT]
    far = float(max(known[np.isfinite(known)], default=0.0))
    end = epsilon * min(REACH, max(NEAR, far / epsilon))
    steps: list[tuple[float, float | None]] = [(0.0, _share(clean.right, clean.answered))]
    for distance in np.unique(known[(known > 0) & (known <= end)]).tolist():
        steps.append((distance, _share(int((known > distance).sum()), len(known))))
    steps.append((end, steps[-1][1]))
    series = {FOUND: steps}
    for name, at, counts in points:
        if at <= end:
            begin = (0.0, _share(counts.right, counts.answered))
            series.setdefault(name, [begin]).append((at, _share(counts.stood, counts.answered)))
    if told.task == "classification":
        chance = 1 / len(told.labels)
        series["chance"] = [(0.0, chance), (end, chance)]
    unit, marks = f"epsilon, levels ({told.threat.norm})", {"audited": float(epsilon)}
    return Plot("steps", BY_EPSILON, series, unit, "share standing", marks=marks)


def curve_points(told: Audited, standing: Standing) -> Iterator[tuple[str, float, Counts]]:
    """(what found it, epsilon, counts): at round multiples of epsilon, and at those of the curve."""
    epsilon = told.threat.epsilon
    if math.isfinite(epsilon) and any(attack.minimises for attack in told.attacks):
        smallest, letters = _smallest(told), standing.letters()
        tried = (letters == STOOD) | (letters == FELL)
        ends = [LEVELS] if told.threat.norm == "linf" else []
        for at in sorted({min([times * epsilon, *ends]) for times in STEPS}):
            within = np.where(smallest > at, STOOD, FELL)
            yield FOUND, at, counted(np.where(tried, within, letters))
    yield from _curve(told)
    for result in told.curve:
        if result.threat.norm != told.threat.norm:
            yield f"{result.attack} ({result.threat.norm})", float(result.threat.epsilon), counts_of(result)


def _curve(told: Audited) -> list[tuple[str, float, Counts]]:
    """Points in the norm of the threat; the check that ends the curve may be in another."""
    kept = [result for result in told.curve if result.threat.norm == told.threat.norm]
    kept.sort(key=lambda result: result.threat.epsilon)
    return [(f"{r.attack} by epsilon", float(r.threat.epsilon), counts_of(r)) for r in kept]


def _smallest(told: Audited) -> Array:
    """float64 `(N,)`, levels: the smallest change of any attack that reached the goal when asked last.

    0 where the clean picture was wrong, infinite where none is known.
    """
    found = [np.where(r.reached & r.clean_correct, r.distance, np.inf) for r in told.results]
    wrong = np.logical_or.reduce([~r.clean_correct & ~r.errors for r in told.results])
    smallest: Array = np.where(wrong, 0.0, np.min(found, axis=0))
    return smallest


def query_curve(told: Audited, standing: Standing) -> Plot:
    """Share of the samples right when clean that were fooled by then, for each attack."""
    series = {}
    for result in told.results:
        counts = standing.counts(result.attack)
        spent, times = np.unique(result.queries_to_fool[result.fooled], return_counts=True)
        fooled = np.cumsum(times).tolist()
        steps = [
            (float(q), _share(by_then, counts.right))
            for q, by_then in zip(spent.tolist(), fooled, strict=True)
        ]
        end = (float(result.queries.max(initial=0)), _share(counts.fell, counts.right))
        series[result.attack] = [(0.0, 0.0), *steps, end]
    return Plot(
        "steps", "Fooled by queries spent", series, "queries for one image", "share of right when clean"
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

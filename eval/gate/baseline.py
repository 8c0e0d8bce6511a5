"""A subject held against its baseline, on the images that both answered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eval.comparison.columns import Columns, columns_of
from eval.comparison.differences import Paired, by_class, scores_of
from eval.comparison.states import comparable
from eval.errors import EvalError
from eval.gate.asks import LATENCY
from eval.gate.decide import against, beside
from eval.gate.measured import Number, latency_of, require_valid, slices_in, unknown
from eval.gate.rules import Rules
from eval.metrics.intervals import clopper_pearson
from eval.metrics.paired import Difference
from eval.recorded import Recorded
from eval.report.document import Check
from eval.target import name_of

__all__ = ["checks_against"]


def checks_against(
    rules: Rules, before: Recorded, after: Recorded, progress: Callable[[int, int], None] | None = None
) -> list[Check]:
    """The verdicts under `against`, in the order of the rules.

    Raises:
        EvalError: the two are not about the same images, or too few of them were answered.
    """
    columns = columns_of(before, after, rules.against, slices_in(rules.against), progress)
    if not columns.paired:
        raise EvalError("no image was answered by both; there is nothing to compare")
    for run, errors in zip((before, after), columns.errors, strict=True):
        require_valid(name_of(run.target), errors, columns.images)
    checks = []
    for name, rule in rules.against.items():
        timed = name in LATENCY
        if timed:
            number: Number | Paired | None = _later(name, before, after)
        else:
            number = _difference(name, columns, rules.confidence)
        if number is None:
            checks.append(unknown(name, _comparable(columns)))
            continue
        told = rule.model_copy(update={"by": "value"}) if timed else rule
        if isinstance(number, Paired):
            check = beside(against(name, told, number.difference), number.after, number.before)
        else:
            check = against(name, told, number)
        checks.append(Check(f"{name} against {name_of(before.target)}", check.verdict, check.message))
    return checks


def _later(name: str, before: Recorded, after: Recorded) -> Paired:
    one, other = (latency_of(run.journal.seconds(), name) for run in (before, after))
    apart = None if one is None or other is None else other - one
    return Paired(name, one, other, Difference(apart, None, None, len(after.data), lower_is_better=True))


def _comparable(columns: Columns) -> list[str]:
    own = comparable(columns.task, columns.labels)
    parts = [f"slice.{name}.{value}." for name, values in columns.slices.items() for value in values]
    return [*own, "churn", *LATENCY, *(part + name for part in parts for name in own)]


def _difference(name: str, columns: Columns, confidence: float) -> Number | Paired | None:
    """The difference of a score, or the share of answers that differ; None where there is no such."""
    if name == "churn":
        differing, n = int(np.sum(columns.differs)), columns.paired
        return Number(differing / n, *clopper_pearson(differing, n, confidence), n)
    where, score = None, name
    for column, values in columns.slices.items():
        for value, members in values.items():
            prefix = f"slice.{column}.{value}."
            if name.startswith(prefix):
                where, score = np.array(members), name.removeprefix(prefix)
    if score not in comparable(columns.task, columns.labels):
        return None
    if columns.task == "classification" and score.startswith("recall.class.") and where is None:
        label = score.removeprefix("recall.class.")
        changes = by_class(columns, confidence=confidence)
        found = [Paired(score, c.before, c.after, c.difference) for c in changes if c.label == label]
        return found[0] if found else Paired(score, None, None, Difference(None, None, None, 0))
    (paired,) = scores_of(columns, [score], where=where, confidence=confidence)
    return paired

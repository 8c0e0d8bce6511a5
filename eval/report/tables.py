"""The tables that are made of scores: one row a class, a part of the data, a pair of confused classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.metrics.base import Score
from eval.report.document import Cell, Section, Table, scores_table
from models.results import Array

__all__ = ["MAIN", "class_table", "slice_tables", "tables_of", "top_confusions"]

MAIN = {  # the number a task is judged by, and what is told beside it
    "accuracy": ("f1.macro", "ece_error"),
    "ap": ("ap50", "precision.micro", "recall.micro"),
    "miou": ("pixel_accuracy", "dice.macro"),
}
OF_A_CLASS = ("ap", "iou", "f1")
PART = ".class."


def tables_of(section: Section) -> list[Table]:
    """All tables of a section in the order they are shown: its own, classes, slices, all scores."""
    scores = section.scores
    classes = class_table(scores)
    rest = [score for score in scores if classes is None or PART not in score.name]
    return [
        *section.tables,
        *([classes] if classes else []),
        *slice_tables(section.slices, scores),
        *([scores_table(rest, "All scores")] if rest else []),
    ]


def class_table(scores: Sequence[Score]) -> Table | None:
    """One row a class, the worst first; None where no score is of a class."""
    classes: dict[str, dict[str, Score]] = {}
    for score in scores:
        kind, part, label = score.name.partition(PART)
        if part:
            classes.setdefault(label, {})[kind] = score
    kinds = list(dict.fromkeys(kind for told in classes.values() for kind in told))
    if not kinds:
        return None
    main = next((kind for kind in OF_A_CLASS if kind in kinds), kinds[0])
    counted = "recall" if main == "f1" and "recall" in kinds else main  # the objects that are there
    kinds = [main, *(kind for kind in kinds if kind != main)]
    rows: list[Mapping[str, Cell]] = []
    for label, told in sorted(classes.items(), key=lambda item: _worst(item[1].get(main))):
        n = told[counted].support if counted in told else None
        values = {kind: told[kind].value if kind in told else None for kind in kinds}
        first = {main: values.pop(main), "95 % interval": _interval(told.get(main))}
        rows.append({"class": label, "n": n, **first, **values})
    return Table(rows, "Classes", f"Worst {main} first. n: what the class has in the truth.")


def slice_tables(
    slices: Mapping[str, Mapping[str, Sequence[Score]]], overall: Sequence[Score]
) -> list[Table]:
    """One table a column of the data, one row a part, the worst first."""
    whole = {score.name: score for score in overall}
    main = next((name for name in MAIN if name in whole), None)
    if main is None:
        return []
    tables = []
    for column, parts in slices.items():
        found = {value: {score.name: score for score in scores} for value, scores in parts.items()}
        ordered = sorted(found.items(), key=lambda item: _worst(item[1].get(main)))
        rows = [_part(column, value, scores, main, whole) for value, scores in ordered]
        note = (
            f"Worst {main} first; {_number(whole[main].value)} over all. ▼ and ▲ mark parts whose 95 % "
            f"interval excludes that; by chance, {max(1, round(len(parts) / 20))} of {len(parts)} may."
        )
        tables.append(Table(rows, f"By {column}", note))
    return tables


def _part(
    column: str, value: str, scores: Mapping[str, Score], main: str, whole: Mapping[str, Score]
) -> Mapping[str, Cell]:
    score = scores.get(main)
    told: dict[str, Cell] = {
        column: value,
        "n": None if score is None else score.support,
        main: None if score is None else score.value,
        "95 % interval": _interval(score),
        "against all": _against(score, whole[main].value),
    }
    for name in MAIN[main]:
        if name in whole:
            told[name] = scores[name].value if name in scores else None
    return told


def _against(score: Score | None, overall: float | None) -> str:
    if score is None or overall is None or score.low is None or score.high is None:
        return ""
    return "▼ worse" if score.high < overall else "▲ better" if score.low > overall else ""


def _worst(score: Score | None) -> tuple[bool, float]:
    """Sorts the worst first, and last what has no value."""
    value = None if score is None else score.value
    return (value is None, value or 0.0)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def _interval(score: Score | None) -> str | None:
    if score is None or score.low is None:
        return None
    return f"{_number(score.low)} to {_number(score.high)}"


def top_confusions(confusion: Array, labels: Sequence[str], count: int = 20) -> Table:
    """The pairs most often confused.

    Args:
        confusion: int `(C, C)`, `[true, predicted]`.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    totals = confusion.sum(axis=1)
    flat = np.argsort(-wrong, axis=None, kind="stable")[:count]
    rows: list[Mapping[str, Cell]] = [
        {
            "true": labels[i],
            "answered": labels[j],
            "count": int(wrong[i, j]),
            "share of the true class": float(wrong[i, j] / totals[i]),
        }
        for i, j in zip(*(part.tolist() for part in np.unravel_index(flat, wrong.shape)), strict=True)
        if wrong[i, j]
    ]
    return Table(rows, "Most confused")

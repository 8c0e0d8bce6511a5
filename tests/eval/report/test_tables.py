"""Tables made of scores: what comes first, what is marked, what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.base import Score
from eval.report.document import Section, Table
from eval.report.tables import class_table, slice_tables, tables_of, top_confusions


def test_classes_come_worst_first_and_undefined_last() -> None:
    scores = [
        Score("accuracy", 0.5, 9),
        Score("precision.class.a", 0.25, 4),
        Score("f1.class.a", 0.75, 8, low=0.5, high=1.0),
        Score("recall.class.a", 0.5, 3),
        Score("f1.class.b.class.c", 0.25, 9),
        Score("f1.class.d", None, 0),
    ]
    table = class_table(scores)
    assert table is not None
    assert [row["class"] for row in table.rows] == ["b.class.c", "a", "d"]
    assert table.rows[1] == {
        "class": "a",
        "n": 3,
        "f1": 0.75,
        "95 % interval": "0.5000 to 1.0000",
        "precision": 0.25,
        "recall": 0.5,
    }
    assert class_table(scores[:1]) is None


@pytest.mark.parametrize(
    ("low", "high", "mark"),
    [(0.1, 0.3, "▼ worse"), (0.7, 0.9, "▲ better"), (0.4, 0.6, ""), (0.5, 0.9, ""), (None, None, "")],
)
def test_parts_are_marked_where_the_interval_excludes_the_whole(
    low: float | None, high: float | None, mark: str
) -> None:
    part = [Score("accuracy", 0.2, 5, low=low, high=high)]
    (table,) = slice_tables({"light": {"dark": part}}, [Score("accuracy", 0.5, 100)])
    assert table.title == "By light"
    assert table.rows[0]["against all"] == mark


def test_parts_come_worst_first() -> None:
    parts = {name: [Score("miou", value, 1)] for name, value in {"a": 0.9, "b": None, "c": 0.1}.items()}
    (table,) = slice_tables({"k": parts}, [Score("miou", 0.5, 3)])
    assert [row["k"] for row in table.rows] == ["c", "a", "b"]


def test_a_part_without_the_score_is_still_there() -> None:
    (table,) = slice_tables({"k": {"a": []}}, [Score("ap", None, 3)])
    assert table.rows[0]["ap"] is None
    assert slice_tables({"k": {"a": []}}, [Score("other", 0.5, 3)]) == []


def test_pairs_come_most_often_first() -> None:
    confusion = np.array([[5, 1, 4], [2, 0, 0], [0, 0, 0]])
    rows = top_confusions(confusion, ["a", "b", "c"], 2).rows
    assert [(r["true"], r["answered"], r["count"], r["share of the true class"]) for r in rows] == [
        ("a", "c", 4, 0.4), ("b", "a", 2, 1.0),
    ]  # fmt: skip
    assert confusion[0, 0] == 5


def test_no_score_is_told_twice() -> None:
    scores = [Score("accuracy", 0.5, 9), Score("f1.class.a", 0.5, 9)]
    told = tables_of(Section("s", tables=[Table([], "own")], scores=scores))
    assert [table.title for table in told] == ["own", "Classes", "All scores"]
    assert [row["score"] for row in told[-1].rows] == ["accuracy"]

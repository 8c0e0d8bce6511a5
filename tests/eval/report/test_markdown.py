"""Markdown: what hosts would make of it, and how long it may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.base import Score
from eval.report.document import Check, Headline, Report, Section
from eval.report.markdown import pull_request_summary, text_of, to_markdown

CHECKS = [
    Check("drop", "pass", "0.01 of 0.02"),
    Check("robust", "fail", "down by 0.3"),
    Check("n", "inconclusive", "?"),
]
REPORT = Report(
    "digits",
    {},
    [Section("digits", headlines=[Headline("accuracy", 0.98, 400, 0.96, 0.99)], advice=["ask more"])],
)


def test_what_did_not_pass_comes_first() -> None:
    told = pull_request_summary(REPORT, CHECKS)
    rows = [line for line in told.splitlines() if line.startswith("| ")]
    assert rows[2:5] == [
        "| robust | ❌ fail | down by 0.3 |",
        "| n | ⚠️ inconclusive | ? |",
        "| drop | ✅ pass | 0.01 of 0.02 |",
    ]
    assert "| accuracy | 0.9800 | 0.9600 to 0.9900 | 400 |" in told
    assert "> ask more" in told


def test_checks_alone_or_a_report_alone() -> None:
    assert "accuracy" not in pull_request_summary(CHECKS)
    assert "✅" not in pull_request_summary(REPORT)
    assert "not valid" in pull_request_summary(Report("r", {}, valid=False))


@pytest.mark.parametrize("size", [10, 3000])
def test_it_always_fits_a_comment(size: int) -> None:
    checks = [Check(f"check {i}", "pass", "x" * size) for i in range(size)]
    sections = [Section(f"s{i}" * size, headlines=[Headline("h" * size, 0.5, 1)]) for i in range(40)]
    told = pull_request_summary(Report("t" * size, {}, sections), checks)
    assert len(told) < 65_000
    assert ("more lines" in told) is (size > 10)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("[x](http://evil)", r"\[x](http://evil)"),
        (r"\[x](http://evil)", r"\\\[x](http://evil)"),
        ("![x](http://evil)", r"!\[x](http://evil)"),
        ("<img src=x>", "&lt;img src=x>"),
        ("thanks @everyone", "thanks @\u200beveryone"),
        ("coco/AP@.50 a@b", "coco/AP@.50 a@b"),
        ("two\nlines\r\u2028more", "two lines more"),
    ],
)
def test_labels_make_no_links_pictures_or_mentions(text: str, safe: str) -> None:
    assert text_of(text).split() == safe.split()


@given(st.text())
def test_a_text_stays_one_row(text: str) -> None:
    told = to_markdown(Report("r", {"key": text}, [Section("s", scores=[Score(text, 0.5, 1, text)])]))
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 6

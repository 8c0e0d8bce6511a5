"""A report as Markdown: tables and text; plots are given as their numbers in the JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from eval.report.document import Cell, Check, Report, Section, Table
from eval.report.tables import tables_of

__all__ = ["pull_request_summary", "shown", "table_text", "text_of", "to_markdown"]

MOST = 60_000  # characters of a summary; hosts refuse comments of 65,536
LONGEST = 400  # characters of one cell of a summary
MARKS = {
    "pass": "✅ pass",
    "fail": "❌ fail",
    "inconclusive": "⚠️ inconclusive",
    "error": "🛑 could not be asked",
}


def shown(cell: Cell) -> str:
    """A cell as people read it: fractions to four digits, `n/a` for what is undefined."""
    if cell is None:
        return "n/a"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4f}" if abs(cell) < 1000 and (abs(cell) >= 0.001 or cell == 0) else f"{cell:.4g}"
    return str(cell)


def to_markdown(report: Report) -> str:
    """The whole report; nothing that a clock said."""
    parts = [f"# {text_of(report.title)}\n"]
    if not report.valid:
        parts.append("**This run is not valid: too many requests failed.**\n")
    parts.append(table_text([{"key": key, "value": value} for key, value in report.manifest.items()]))
    parts += [_section(section) for section in report.sections]
    return "\n".join(parts)


def pull_request_summary(told: Report | Sequence[Check], checks: Sequence[Check] = ()) -> str:
    """A comment for a pull request: the checks, those that did not pass first, then the key figures.

    Always under 65,000 characters: rows that do not fit are counted, not shown.

    Args:
        told: a report, or checks alone.
        checks: of a gate, beside the report.
    """
    report, checks = (told, checks) if isinstance(told, Report) else (None, told)
    parts = []
    if report is not None:
        parts.append(f"### {text_of(report.title)[:LONGEST]}\n")
        if not report.valid:
            parts.append("**This run is not valid: too many requests failed.**\n")
    if checks:
        ordered = sorted(checks, key=lambda check: check.verdict == "pass")
        parts.append(_fitted([{"check": c.name, "": MARKS[c.verdict], "why": c.message} for c in ordered]))
    for section in report.sections if report is not None else ():
        if section.headlines:
            several = report is not None and len(report.sections) > 1
            parts.append(
                (f"**{text_of(section.title)[:LONGEST]}**\n\n" if several else "")
                + _fitted(_headlines(section))
            )
        parts += [f"> {text_of(line)[:LONGEST]}\n" for line in section.advice]
    return _within("\n".join(parts))


def _headlines(section: Section) -> list[Mapping[str, Cell]]:
    return [
        {
            "figure": h.title,
            "value": h.value,
            "95 % interval": None if h.low is None else f"{shown(h.low)} to {shown(h.high)}",
            "n": h.support,
        }
        for h in section.headlines
    ]


def _fitted(rows: Sequence[Mapping[str, Cell]]) -> str:
    return table_text([{key: _cut(value) for key, value in row.items()} for row in rows])


def _cut(cell: Cell) -> Cell:
    return cell[: LONGEST - 1] + "…" if isinstance(cell, str) and len(cell) > LONGEST else cell


def _within(text: str) -> str:
    """Whole lines only, and how many there were no room for."""
    if len(text) <= MOST:
        return text
    kept, size, lines = 0, 0, text.split("\n")
    while size + len(lines[kept]) + 1 <= MOST:
        size += len(lines[kept]) + 1
        kept += 1
    return "\n".join(lines[:kept]) + f"\n\n_{len(lines) - kept} more lines are in the full report._\n"


def _section(section: Section) -> str:
    parts = [f"## {text_of(section.title)}\n"]
    if section.text:
        parts.append(f"{text_of(section.text)}\n")
    if section.headlines:
        rows: list[Mapping[str, Cell]] = [
            {
                "figure": h.title,
                "value": h.value,
                "low": h.low,
                "high": h.high,
                "n": h.support,
                "note": h.note,
            }
            for h in section.headlines
        ]
        parts.append(table_text(rows))
    parts += [f"> {text_of(line)}\n" for line in section.advice]
    if section.flags:
        words = {True: "RAISED", False: "not raised", None: "not measured"}
        flags: list[Mapping[str, Cell]] = [
            {"flag": f.name, "state": words[f.raised], "evidence": f.evidence, "means": f.means, "do": f.do}
            for f in section.flags
        ]
        parts.append(table_text(flags))
    parts += [_titled(table) for table in tables_of(section)]
    return "\n".join(parts)


def _titled(table: Table) -> str:
    title = f"### {text_of(table.title)}\n\n" if table.title else ""
    note = f"\n{text_of(table.note)}\n" if table.note else ""
    return title + table_text(table.rows) + note


def table_text(rows: Sequence[Mapping[str, Cell]]) -> str:
    if not rows:
        return "_Nothing measured._\n"
    columns = list(rows[0])
    heads = (_escaped(column) or " " for column in columns)
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_escaped(shown(row[c])) for c in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def text_of(text: str) -> str:
    """No HTML, link, picture or mention of somebody else's, no line of its own."""
    one_line = " ".join(text.splitlines()).replace("\\", "\\\\").replace("<", "&lt;").replace("[", "\\[")
    return re.sub(r"(?<![\w.-])@(?=\w)", "@\u200b", one_line)  # nobody is called by a label


def _escaped(text: str) -> str:
    return text_of(text).replace("|", "\\|")

"""A report as Markdown: tables and text; plots are given as their numbers in the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.report.document import Cell, Report, Section, Table

__all__ = ["shown", "to_markdown"]


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
    """The whole report."""
    parts = [f"# {_plain(report.title)}\n"]
    if not report.valid:
        parts.append("**This run is not valid: too many requests failed.**\n")
    parts.append(_table([{"key": key, "value": value} for key, value in report.manifest.items()]))
    parts += [_section(section) for section in report.sections]
    return "\n".join(parts)


def _section(section: Section) -> str:
    parts = [f"## {_plain(section.title)}\n"]
    if section.text:
        parts.append(f"{_plain(section.text)}\n")
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
        parts.append(_table(rows))
    if section.flags:
        words = {True: "RAISED", False: "not raised", None: "not measured"}
        flags: list[Mapping[str, Cell]] = [
            {"flag": f.name, "state": words[f.raised], "evidence": f.evidence, "means": f.means, "do": f.do}
            for f in section.flags
        ]
        parts.append(_table(flags))
    parts += [_titled(table) for table in section.tables]
    return "\n".join(parts)


def _titled(table: Table) -> str:
    title = f"### {_plain(table.title)}\n\n" if table.title else ""
    note = f"\n{_plain(table.note)}\n" if table.note else ""
    return title + _table(table.rows) + note


def _table(rows: Sequence[Mapping[str, Cell]]) -> str:
    if not rows:
        return "_Nothing measured._\n"
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_escaped(shown(row[c])) for c in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """No HTML of somebody else's, no line of its own."""
    return text.replace("<", "&lt;").replace("\n", " ")


def _escaped(text: str) -> str:
    return _plain(text.replace("\\", "\\\\").replace("|", "\\|"))

"""A report read from the folder of a run, and written in any form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from eval.errors import EvalError
from eval.report.card import model_card
from eval.report.document import Check, Report, Verdict
from eval.report.html import to_html
from eval.report.junit import junit
from eval.report.markdown import pull_request_summary, to_markdown

__all__ = ["FORMS", "checks_of", "read_report", "written"]

FORMS: Mapping[str, tuple[str, Callable[[Report], str]]] = {
    "html": ("report.html", to_html),
    "md": ("report.md", to_markdown),
    "json": ("report.json", Report.to_json),
    "junit": ("report.junit.xml", lambda report: junit(report.title, checks_of(report))),
    "card": ("model_card.md", model_card),
    "summary": ("summary.md", lambda report: pull_request_summary(report, checks_of(report))),
}


def read_report(folder: Path) -> Report:
    """What report.json and clock.json of a folder hold.

    Raises:
        EvalError: there is none, or it cannot be read.
    """
    path, clock = folder / "report.json", folder / "clock.json"
    if not path.is_file():
        raise EvalError(f"{folder} must hold the record or the report.json of a run, got neither")
    try:
        told = json.loads(clock.read_text(encoding="utf-8")) if clock.is_file() else {}
        return Report.from_json(path.read_text(encoding="utf-8"), told)
    except (OSError, ValueError, TypeError) as error:
        raise EvalError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def checks_of(report: Report) -> list[Check]:
    """Validity and trust flags as checks; what could not be measured is inconclusive."""
    said = "enough requests were answered" if report.valid else "too many requests failed"
    found = [Check("valid", "pass" if report.valid else "fail", said)]
    verdicts: Mapping[bool | None, Verdict] = {True: "fail", False: "pass", None: "inconclusive"}
    for section in report.sections:
        for flag in section.flags:
            more = f"{flag.means} {flag.do}" if flag.raised else ""
            found.append(Check(f"{section.title}: {flag.name}", verdicts[flag.raised], flag.evidence, more))
    return found


def written(report: Report, folder: Path, forms: Iterable[str]) -> Iterator[Path]:
    """Write each form, and name its file. Raises EvalError when it cannot be written."""
    for form in forms:
        name, make = FORMS[form]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(make(report), encoding="utf-8")
        except OSError as error:
            raise EvalError(f"{folder / name} cannot be written: {error.strerror or error}") from error
        yield folder / name

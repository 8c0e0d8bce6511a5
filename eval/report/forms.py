"""A report read from the folder of a run, and written in any form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from eval.attacks.results import MOST_ERRORS
from eval.errors import EvalError
from eval.report.card import model_card
from eval.report.document import Check, Report, Verdict
from eval.report.html import to_html
from eval.report.junit import junit
from eval.report.markdown import pull_request_summary, to_markdown
from eval.report.standing import Standing

__all__ = ["FORMS", "checks_of", "read_report", "written"]

BROKEN = ("errors", "partial")  # flags of an audit that did not go as it should

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
    """Validity, trust flags and attacks as checks; what could not be measured is inconclusive.

    Of an audit, flags that could not be measured are none: some need a twin or a kind of attack that was not
    asked for. Flags that say the audit itself went wrong are errors. An attack passes when it was carried
    out, whatever stood: what is enough is for a gate to say.
    """
    said = "enough requests were answered" if report.valid else "too many requests failed"
    found = [Check("valid", "pass" if report.valid else "fail", said)]
    verdicts: Mapping[bool | None, Verdict] = {True: "fail", False: "pass", None: "inconclusive"}
    audit = any(section.standing for section in report.sections)
    for section in report.sections:
        for flag in section.flags:
            if audit and flag.raised is None:
                continue
            more = f"{flag.means} {flag.do}" if flag.raised else ""
            verdict = "error" if flag.raised and flag.name in BROKEN else verdicts[flag.raised]
            found.append(Check(f"{section.title}: {flag.name}", verdict, flag.evidence, more))
        if section.standing is not None:
            found += _attacks(section.title, section.standing)
    return found


def _attacks(title: str, standing: Standing) -> Iterator[Check]:
    for attack in standing.attacks:
        counts = standing.counts(attack)
        went = counts.silent <= MOST_ERRORS * len(standing.samples)
        told = (
            f"{counts.stood} of {counts.answered} stood, {counts.fell} fell, {counts.wrong} wrong unchanged"
        )
        told += f", {counts.silent} without answer" if counts.silent else ""
        yield Check(f"{title}: {attack}", "pass" if went else "error", told)


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

"""A gate from its rules to its verdict: measure what they name, decide each, say why."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.compare import Progress, opened
from eval.errors import EvalError
from eval.gate.audit_rules import audit_check, audits_against
from eval.gate.audited import AUDIT, Audit, is_audit, read_audit
from eval.gate.baseline import checks_against
from eval.gate.decide import exit_code, require
from eval.gate.measured import Measured, Number, figures_of, measured_of, require_valid, unknown
from eval.gate.rules import Rules
from eval.recorded import JOURNAL, Recorded
from eval.report.document import Cell, Check, Report, Section, Table
from eval.report.forms import read_report
from eval.runs import clock
from eval.subject import Asking, Subject
from eval.target import name_of

__all__ = ["Verdicts", "gate"]

FIGURES = "figures."
WORDS: Mapping[int, str] = {0: "pass", 1: "fail", 2: "could not be asked", 3: "inconclusive"}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a gate decided.

    Attributes:
        name: of what was judged.
        checks: one a rule, in the order of the rules.
    """

    name: str
    checks: Sequence[Check]
    report: Report

    @property
    def code(self) -> int:
        """0 pass, 1 fail, 2 a rule could not be asked, 3 inconclusive."""
        return exit_code([check.verdict for check in self.checks])


async def gate(
    rules: Rules,
    subject: Subject,
    baseline: Subject | None,
    asking: Asking,
    *,
    reports: Sequence[Path] = (),
    out: Path | None = None,
    tell: Progress | None = None,
) -> Verdicts:
    """Whether the subject may go on.

    Args:
        reports: folders with a report.json whose figures rules may name as `figures.NAME`; the subject's
            own is one of them. Audits among them are what `audit.NAME` is about: the subject's, and under
            `against` the baseline's, told apart by their weights.

    Raises:
        EvalError: subject or baseline is not there, or not valid; there is no baseline to hold it against.
    """
    started = time.time()
    names = [*rules.require, *rules.against]
    if rules.against and baseline is None:
        raise EvalError(f"say with --baseline what against.{next(iter(rules.against))} is to be held against")
    needed = _needed(rules, subject, baseline)
    async with opened(needed, asking, out, tell) as runs:
        by_name = dict(zip((name for name, _ in needed), runs, strict=True))
        run, before = by_name.get("subject"), by_name.get("baseline")
        measured = Measured()
        if run is not None:
            measured = measured_of(run, names, None if tell is None else tell("read"))
            require_valid(name_of(run.target), measured.errors, measured.images)
        if any(name.startswith(FIGURES) for name in rules.require):
            folders = [*([subject.folder] if subject.folder is not None else []), *reports]
            measured.figures = _figures(folders, run, rules.confidence)
        audit = _audit(names, subject, run, reports, "subject")
        checks = [_require(name, measured, audit, rules) for name in rules.require]
        if run is not None and before is not None:
            held = {name: rule for name, rule in rules.against.items() if not name.startswith(AUDIT)}
            told = rules.model_copy(update={"against": held})
            checks += checks_against(told, before, run, None if tell is None else tell("compare"))
        if audit is not None and baseline is not None:
            other = _audit(list(rules.against), baseline, before, reports, "baseline")
            checks += [] if other is None else audits_against(rules, other, audit)
    title = name_of(run.target) if run is not None else str(subject.folder and subject.folder.name)
    return Verdicts(title, checks, _report(title, rules, checks, run, before, started))


def _needed(rules: Rules, subject: Subject, baseline: Subject | None) -> list[tuple[str, Subject]]:
    """The runs that rules ask for; figures alone need none."""
    held = [name for name in rules.against if not name.startswith(AUDIT)]
    asked = held + [name for name in rules.require if not name.startswith((FIGURES, AUDIT))]
    sides = [("subject", subject)] + ([("baseline", baseline)] if baseline is not None and held else [])
    audits = [name for name, side in sides if side.folder is not None and is_audit(side.folder)]
    if asked and audits:
        raise EvalError(
            f"{asked[0]} is of a run (`assay evaluate --out`), the {audits[0]} is an audit; name the run, "
            "and the audit with --report"
        )
    recorded = subject.folder is None or (not audits and (subject.folder / JOURNAL).exists())
    return sides if asked or recorded else []


def _audit(
    names: Sequence[str], side: Subject, run: Recorded | None, reports: Sequence[Path], whose: str
) -> Audit | None:
    """The audit of one side, if a rule asks for one."""
    if not any(name.startswith(AUDIT) for name in names):
        return None
    folders = [*([side.folder] if side.folder is not None else []), *reports]
    return read_audit(folders, run.target.sha256 if run is not None else "", whose)


def _figures(folders: Sequence[Path], run: Recorded | None, confidence: float) -> dict[str, Number]:
    found: dict[str, Number] = {}
    for folder in folders:
        report = read_report(folder)
        theirs, own = report.manifest.get("sha256"), run.target.sha256 if run is not None else ""
        if theirs and own and theirs != own:
            raise EvalError(
                f"the report in {folder} is of {report.manifest.get('model')} with other weights (sha256) "
                "than the subject; audit the version that is to pass"
            )
        found.update(figures_of(report, folder, confidence))
    return found


def _require(name: str, measured: Measured, audit: Audit | None, rules: Rules) -> Check:
    if audit is not None and name.startswith(AUDIT):
        return audit_check(name, audit, rules)
    number = measured.number(name, rules.confidence)
    if number is None:
        return unknown(name, measured.names())
    return require(name, rules.require[name], number)


def _report(
    title: str,
    rules: Rules,
    checks: Sequence[Check],
    run: Recorded | None,
    before: Recorded | None,
    started: float,
) -> Report:
    """Equal bytes for equal runs, but for rules about the clock."""
    told: dict[str, Cell] = {"rules": len(checks), "confidence": rules.confidence}
    for name, side in (("subject", run), ("baseline", before)):
        if side is not None:
            told |= {
                name: name_of(side.target),
                f"{name}_sha256": side.target.sha256,
                f"{name}_data": side.data.name,
            }
    told |= {"python": platform.python_version(), "numpy": np.__version__}
    rows: list[Mapping[str, Cell]] = [
        {"rule": c.name, "verdict": c.verdict, "why": c.message} for c in checks
    ]
    word = WORDS[exit_code([c.verdict for c in checks])]
    note = "All must pass, so their number needs no correction: what is bad in one respect gets through only "
    note += "if that one rule lets it through."
    counts: dict[str, float | None] = {
        f"gate.{v}": sum(c.verdict == v for c in checks) for v in ("pass", "fail", "inconclusive", "error")
    }
    section = Section(f"Gate of {title}: {word}", tables=[Table(rows, "Rules", note)])
    return Report(section.title, told, [section], counts, clock=clock(started))

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
from eval.gate.again import settled
from eval.gate.audited import AUDIT, is_audit
from eval.gate.brief import WORDS
from eval.gate.decide import exit_code
from eval.gate.judging import FIGURES, Judging
from eval.gate.live import Live, require_live
from eval.gate.rules import Rules
from eval.gate.timing import Timed
from eval.recorded import JOURNAL, Recorded
from eval.report.document import Cell, Check, Report, Section, Table
from eval.runs import clock
from eval.subject import Asking, Subject
from eval.target import name_of

__all__ = ["Verdicts", "gate"]


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
    authorised: Sequence[str] = (),
    tell: Progress | None = None,
) -> Verdicts:
    """Whether the subject may go on.

    Args:
        reports: folders with a report.json whose figures rules may name as `figures.NAME`; the subject's
            own is one of them. Audits among them are what `audit.NAME` is about: the subject's, and under
            `against` the baseline's, told apart by their weights. Where none is named, and the rules say
            how, live sides are audited here.
        authorised: hosts beside this machine and this cluster whose owners agreed to that.

    Raises:
        EvalError: subject or baseline is not there, or not valid; there is no baseline to hold it against.
    """
    started, live = time.time(), Live(asking, out, authorised, tell)
    if rules.against and baseline is None:
        raise EvalError(f"say with --baseline what against.{next(iter(rules.against))} is to be held against")
    require_live(rules, subject, baseline, live)
    subject = await live.pinned(subject)
    if baseline is not None and rules.against:
        baseline = await live.pinned(baseline)
    needed = _needed(rules, subject, baseline)
    async with opened(needed, asking, out, tell) as runs:
        by_name, own = {}, {}
        for (name, side), one in zip(needed, runs, strict=True):
            by_name[name], own[name] = one, 0
            if side.live:
                live.same(side, one.target.sha256)
                own[name] = await settled(one)
        run, before = by_name.get("subject"), by_name.get("baseline")
        judging = Judging(rules, subject, baseline, run, before, reports, live, own=own.get("subject", 0))
        checks = await judging.checks()
    title = name_of(run.target) if run is not None else str(subject.folder and subject.folder.name)
    return Verdicts(title, checks, _report(title, rules, checks, run, before, judging.timed, started))


def _needed(rules: Rules, subject: Subject, baseline: Subject | None) -> list[tuple[str, Subject]]:
    """The runs that rules ask for; figures alone need none."""
    apart = (AUDIT, *rules.timed)  # from the records
    held = [name for name in rules.against if not name.startswith(apart)]
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


def _report(
    title: str,
    rules: Rules,
    checks: Sequence[Check],
    run: Recorded | None,
    before: Recorded | None,
    timed: Timed | None,
    started: float,
) -> Report:
    """Equal bytes for equal runs, but for rules about the clock."""
    told: dict[str, Cell] = {"rules": len(checks), "confidence": rules.confidence}
    for name, side in (("subject", run), ("baseline", before)):
        if side is not None:
            told |= {
                name: name_of(side.target),
                f"{name}_url": side.target.url,
                f"{name}_sha256": side.target.sha256,
                f"{name}_data": side.data.name,
            }
    if rules.audit is not None:  # of live sides; what is not said is the suite's
        asked = rules.audit.model_dump(exclude_unset=True)
        told["audit"] = "; ".join(f"{key} {_words(value)}" for key, value in asked.items())
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
    timing = [] if timed is None else [timed.section(title, rules.confidence)]
    return Report(section.title, told, [section], counts, clock=clock(started), timing=timing)


def _words(value: object) -> str:
    """A rule's value as a person would write it."""
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)

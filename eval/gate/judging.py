"""Every rule of a gate decided: what is recorded is read, what is live is attacked and timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.errors import EvalError
from eval.gate.audit_rules import audit_check, audits_against
from eval.gate.audited import AUDIT, Audit, read_audit
from eval.gate.baseline import checks_against
from eval.gate.decide import require
from eval.gate.live import Live, attacked, audited_live, timed_live
from eval.gate.measured import Measured, Number, figures_of, measured_of, require_valid, unknown
from eval.gate.rules import Rules
from eval.gate.timing import Timed, timing_check
from eval.recorded import Recorded
from eval.report.document import Check
from eval.report.forms import read_report
from eval.subject import Subject
from eval.target import name_of

__all__ = ["FIGURES", "Judging"]

FIGURES = "figures."
ERRORS = "errors"


@dataclass(slots=True)
class Judging:
    """One gate under way.

    Attributes:
        run, before: of subject and baseline, where a rule needs them.
        own: images that the subject itself does not answer, others beside them it does.
        timed: once it was timed.
    """

    rules: Rules
    subject: Subject
    baseline: Subject | None
    run: Recorded | None
    before: Recorded | None
    reports: Sequence[Path]
    live: Live
    own: int = 0
    timed: Timed | None = None

    async def checks(self) -> list[Check]:
        """One a rule: what is required, then what is held against the baseline.

        Raises:
            EvalError: something could not be asked, or too little of it was answered.
        """
        rules, measured = self.rules, self._measured()
        if (unanswered := self._unanswered(measured)) is not None:
            return unanswered
        names = [*rules.require, *rules.against]
        audit = await self._audit(names, self.subject, self.run, "subject")
        checks = [self._require(name, measured, audit) for name in rules.require]
        checks += self._held()
        if rules.timed and self.baseline is not None:
            self.timed = await timed_live(rules, self.subject, self.baseline, self.live)
            timed = ((name, rules.against[name]) for name in rules.timed)
            checks = [self._failing(check, measured) for check in checks]
            checks += [timing_check(name, rule, self.timed, rules.confidence) for name, rule in timed]
        if audit is not None and self.baseline is not None:
            taken = () if audit.folder == self.baseline.folder else (audit.folder,)
            other = await self._audit(list(rules.against), self.baseline, self.before, "baseline", taken)
            checks += [] if other is None else audits_against(rules, other, audit)
        return checks

    def _measured(self) -> Measured:
        rules, run, measured = self.rules, self.run, Measured()
        if run is not None:
            tell = self.live.tell
            names = [*rules.require, *rules.against]
            measured = measured_of(run, names, None if tell is None else tell("read"))
        if any(name.startswith(FIGURES) for name in rules.require):
            own = [] if self.subject.folder is None else [self.subject.folder]
            measured.figures = _figures([*own, *self.reports], run, rules.confidence)
        return measured

    def _unanswered(self, measured: Measured) -> list[Check] | None:
        """Where the model itself leaves too much unanswered, a rule about errors is what fails it.

        Raises:
            EvalError: too little is known to decide anything.
        """
        if self.run is None or measured.valid:
            return None
        rules, number = self.rules, measured.number(ERRORS, self.rules.confidence)
        if self.own and number is not None and ERRORS in rules.require:
            check = require(ERRORS, rules.require[ERRORS], number)
            if check.verdict == "fail":
                told = f"of {measured.images} images, asked again while others were answered: {check.message}"
                others = [name for name in (*rules.require, *rules.against) if name != ERRORS]
                why = "not decided: over 1 % of the images got no answer"
                return [Check(ERRORS, "fail", told), *(Check(name, "inconclusive", why) for name in others)]
        require_valid(name_of(self.run.target), measured.errors, measured.images)
        return None

    def _failing(self, check: Check, measured: Measured) -> Check:
        """A rule about errors hears of those that come now and then: gone at the second asking."""
        failures = 0 if self.timed is None else self.timed.failures
        if check.name != ERRORS or not failures:
            return check
        errors = Number(measured.errors + failures, None, None, measured.images, "exact")
        told = require(ERRORS, self.rules.require[ERRORS], errors)
        why = f"; {failures} while it was timed, at pictures that the baseline answered"
        return replace(told, message=told.message + why)

    async def _audit(
        self,
        names: Sequence[str],
        side: Subject,
        run: Recorded | None,
        whose: str,
        taken: Sequence[Path] = (),
    ) -> Audit | None:
        """The audit of one side, if a rule asks for one; none that was `taken` for the other."""
        if not any(name.startswith(AUDIT) for name in names):
            return None
        if self.rules.audit is not None and attacked(side, self.reports):
            return await audited_live(self.rules.audit, side, whose, self.live)
        folders = [*([side.folder] if side.folder is not None else []), *self.reports]
        target = run.target if run is not None else self.live.known.get(side)
        sha256 = "" if target is None else target.sha256
        return read_audit([folder for folder in folders if folder not in taken], sha256, whose)

    def _require(self, name: str, measured: Measured, audit: Audit | None) -> Check:
        if audit is not None and name.startswith(AUDIT):
            return audit_check(name, audit, self.rules)
        number = measured.number(name, self.rules.confidence)
        if number is None:
            return unknown(name, measured.names())
        return require(name, self.rules.require[name], number)

    def _held(self) -> list[Check]:
        """The rules about the two runs."""
        if self.run is None or self.before is None:
            return []
        apart = (AUDIT, *self.rules.timed)
        held = {name: rule for name, rule in self.rules.against.items() if not name.startswith(apart)}
        told = self.rules.model_copy(update={"against": held})
        tell = self.live.tell
        return checks_against(told, self.before, self.run, None if tell is None else tell("compare"))


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

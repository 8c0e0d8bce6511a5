"""Rules about audits: each decided like any other, with the flags that cast doubt on it."""

from __future__ import annotations

from dataclasses import replace

from eval.gate.audited import AUDIT, Audit, comparable, difference
from eval.gate.decide import against, beside, require
from eval.gate.measured import unknown
from eval.gate.rules import Rules
from eval.report.document import Check

__all__ = ["audit_check", "audits_against"]


def audit_check(name: str, audit: Audit, rules: Rules) -> Check:
    """One rule under `require`."""
    numbers = audit.numbers(rules.confidence)
    if name not in numbers:
        return unknown(name, list(numbers))
    check = require(name, rules.require[name], numbers[name])
    if name.startswith(f"{AUDIT}flag"):
        told = _of_flag(name, audit)
        return replace(check, message=f"{check.message}{told}")
    return _doubted(check, audit)


def audits_against(rules: Rules, before: Audit, after: Audit) -> list[Check]:
    """The rules under `against` that are about audits, in their order.

    Raises:
        EvalError: the audits did not do the same, or not to the same samples.
    """
    checks, (one, other) = [], (audit.numbers(rules.confidence) for audit in (before, after))
    for name, rule in rules.against.items():
        if not name.startswith(AUDIT):
            continue
        found = difference(name, before, after, rules.confidence)
        if found is None:
            checks.append(unknown(name, comparable(after)))
            continue
        model = before.report.manifest.get("model", before.folder.name)
        check = beside(against(name, rule, found), other[name].value, one[name].value)
        told = _doubted(check, after)
        checks.append(replace(told, name=f"{name} against {model}"))
    return checks


def _doubted(check: Check, audit: Audit) -> Check:
    """What passes with a raised flag says so."""
    raised = ", ".join(audit.raised)
    return replace(check, message=f"{check.message}; raised flags: {raised}") if raised else check


def _of_flag(name: str, audit: Audit) -> str:
    if name == f"{AUDIT}flags_raised":
        return f": {', '.join(audit.raised)}" if audit.raised else ""
    told = [flag.evidence for flag in audit.flags if name == f"{AUDIT}flag.{flag.name}"]
    return f": {'; '.join(told)}" if told else ""

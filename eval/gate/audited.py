"""What a gate knows of an audit: what stood under attack, sample by sample, and which flags were raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.auditing.record import AuditRecord
from eval.checks.flag import Flag
from eval.errors import EvalError
from eval.gate.measured import Number, require_usable
from eval.metrics.intervals import clopper_pearson
from eval.metrics.paired import Difference, tango
from eval.recorded import JOURNAL
from eval.report.document import Report
from eval.report.forms import read_report
from eval.report.standing import SILENT, STOOD, WRONG, Standing
from models.results import Array

__all__ = ["AUDIT", "Audit", "comparable", "difference", "is_audit", "read_audit"]

AUDIT = "audit."
ROBUST, CLEAN, SUCCESS = "robust_accuracy", "clean_accuracy", "attack_success_rate"


@dataclass(frozen=True, slots=True)
class Audit:
    """The report of one audit."""

    folder: Path
    report: Report

    @property
    def standings(self) -> Mapping[str, Standing]:
        """Beginning of the names -> what became of the samples; the goal is in it where there are several."""
        found = [section.standing for section in self.report.sections if section.standing is not None]
        return {AUDIT if len(found) == 1 else f"{AUDIT}{told.goal}.": told for told in found}

    @property
    def flags(self) -> list[Flag]:
        """All of the report."""
        return [flag for section in self.report.sections for flag in section.flags]

    @property
    def raised(self) -> list[str]:
        """Names of the flags that warn."""
        return list(dict.fromkeys(flag.name for flag in self.flags if flag.raised))

    def numbers(self, confidence: float) -> dict[str, Number]:
        """All that rules under `require` may name; shares with the interval of Clopper and Pearson."""
        found: dict[str, Number] = {}
        for prefix, told in self.standings.items():
            for attack in (None, *told.attacks):
                counts, part = told.counts(attack), prefix if attack is None else f"{prefix}{attack}."
                found[part + ROBUST] = _share(counts.stood, counts.answered, confidence)
                found[part + CLEAN] = _share(counts.right, counts.answered, confidence)
                found[part + SUCCESS] = _share(counts.fell, counts.right, confidence)
        for name in dict.fromkeys(flag.name for flag in self.flags):
            states = {flag.raised for flag in self.flags if flag.name == name}
            state = 1.0 if True in states else None if None in states else 0.0
            found[f"{AUDIT}flag.{name}"] = Number(state, None, None, 0, "exact")
        found[f"{AUDIT}flags_raised"] = Number(len(self.raised), None, None, 0, "exact")
        return found


def is_audit(folder: Path) -> bool:
    """Whether the record in a folder is that of an audit."""
    try:
        with AuditRecord.open(folder / JOURNAL):
            return True
    except EvalError:
        return False


def read_audit(folders: Sequence[Path], sha256: str, whose: str) -> Audit:
    """The first audit in the folders, of these weights if they are known.

    Args:
        sha256: of the model; empty where it is not known.
        whose: it is to be, in words.

    Raises:
        EvalError: there is none, or it is not valid.
    """
    others = []
    for folder in folders:
        if not (folder / "report.json").is_file():
            continue
        audit = Audit(folder, read_report(folder))
        theirs = audit.report.manifest.get("sha256")
        goals = [section.standing.goal for section in audit.report.sections if section.standing is not None]
        if not goals:
            continue
        if len(set(goals)) < len(goals):
            raise EvalError(f"the report in {folder} must be of one audit, got several with the same goal")
        if sha256 and theirs and sha256 != theirs:
            others.append(str(folder))
            continue
        require_usable(audit.report, folder)
        return audit
    hint = f"; {', '.join(others)} is of other weights (sha256)" if others else ""
    raise EvalError(
        f"rules that begin with {AUDIT} need an audit of the {whose}: name the folder of one "
        f"(`assay audit --out`) with --report{hint}"
    )


def difference(name: str, before: Audit, after: Audit, confidence: float) -> Difference | None:
    """Of what stood, or was right when clean, on the samples that got an answer in both; Tango's interval.

    Returns: None where there is no such number to compare.

    Raises:
        EvalError: the audits did not do the same, or not to the same samples or data.
    """
    prefix = next((p for p in sorted(after.standings, key=len, reverse=True) if name.startswith(p)), None)
    if prefix is None or prefix not in before.standings:
        return None
    one, other = before.standings[prefix], after.standings[prefix]
    attack, _, number = name.removeprefix(prefix).rpartition(".")
    if number not in (ROBUST, CLEAN) or (attack and attack not in other.attacks):
        return None
    _require_alike(one, other, attack)
    _require_same_data(before, after)
    was, now = _letters(one, attack), _letters(other, attack)
    both = [s for s in now if s in was and SILENT not in (was[s], now[s])]
    if not both:
        raise EvalError("no sample was answered in both audits; audit the same data")
    first, second = (_good(number, np.array([told[s] for s in both])) for told in (was, now))
    gained, lost, n = int((second & ~first).sum()), int((first & ~second).sum()), len(both)
    return Difference((gained - lost) / n, *tango(gained, lost, n, confidence), n)


def comparable(audit: Audit) -> list[str]:
    """All that rules under `against` may name."""
    return [name for name in audit.numbers(0.95) if name.endswith((ROBUST, CLEAN))]


def _require_alike(before: Standing, after: Standing, attack: str) -> None:
    """A threat, a budget or an attack less makes any model look better."""
    for what in ("goal", "threat", "budget"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            raise EvalError(f"audits can only be compared with the same {what}, got {was} and {now}")
    names = [{attack} & set(told.attacks) if attack else set(told.attacks) for told in (before, after)]
    if names[0] != names[1]:
        apart = ", ".join(sorted(names[0] ^ names[1]))
        raise EvalError(f"audits can only be compared after the same attacks; {apart} is in one of them only")


def _require_same_data(before: Audit, after: Audit) -> None:
    """Names of samples say little: those of many data sets are numbers. Of fewer of them nothing is known."""
    images, digests = (
        {audit.report.manifest.get(name) for audit in (before, after)} for name in ("images", "data_digest")
    )
    if len(images) == 1 and len(digests - {None}) > 1:
        raise EvalError("audits can only be compared on the same data; the pictures or truths are others")


def _letters(told: Standing, attack: str) -> dict[str, str]:
    return dict(zip(told.samples, told.letters(attack or None).tolist(), strict=True))


def _good(number: str, letters: Array) -> Array:
    good: Array = letters == STOOD if number == ROBUST else letters != WRONG
    return good


def _share(part: int, whole: int, confidence: float) -> Number:
    return Number(part / whole if whole else None, *clopper_pearson(part, whole, confidence), whole)

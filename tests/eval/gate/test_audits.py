"""`assay gate` on audits: paired by sample, never across threats, and with the flags that cast doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eval.attacks.base import Threat
from eval.auditing.record import AuditRecord
from eval.checks.flag import Flag, flag
from eval.console import save
from eval.gate.audited import Audit, difference
from eval.metrics.intervals import clopper_pearson
from eval.metrics.paired import tango
from eval.recorded import JOURNAL
from eval.report.audit import audit_figures, audit_section, trust_section
from eval.report.document import Report
from eval.report.forms import checks_of
from eval.report.junit import junit
from tests.eval.gate.test_run import gate, verdicts
from tests.eval.recordings import classified, pictures, recording
from tests.eval.report.audits import audited, result

STRONG = "s" * 70 + "f" * 20 + "w" * 10
WEAK = "s" * 40 + "f" * 50 + "w" * 10
CALM = [flag("stateful", False, "as before"), flag("twin_not_proven", None, "no twin")]
DOUBT = [flag("rounded_scores", True, "multiples of 0.01"), *CALM]


def audit(
    folder: Path,
    letters: str = STRONG,
    *,
    attacks: Sequence[str] = ("square", "noise"),
    flags: Sequence[Flag] = CALM,
    epsilon: float = 8,
    sha256: str = "two",
    valid: bool = True,
    goals: Sequence[str] = ("untargeted",),
    digest: str = "same",
) -> Path:
    """The folder of an audit: the first attack comes to these letters, the others break nothing."""
    threat = Threat("linf", epsilon)
    told = []
    for goal in goals:
        calm = letters.replace("f", "s")
        parts = [result(a, calm if i else letters, threat=threat, goal=goal) for i, a in enumerate(attacks)]
        told.append(audited(*parts))
    sections = [trust_section(flags, told), *map(audit_section, told)]
    manifest: dict[str, str | int] = {"model": f"toy/{sha256}", "sha256": sha256}
    manifest |= {"images": len(letters), "data_digest": digest}
    figures = audit_figures("audit.toy.2", told[0])
    save(Report("Audit", manifest, sections, figures, valid), folder)
    return folder


@pytest.mark.parametrize(
    ("rule", "code", "said"),
    [
        ("audit.robust_accuracy: {at_least: 0.5}", 0, "0.7, interval 0.6002 to 0.7876"),
        ("audit.robust_accuracy: {at_least: 0.65}", 3, "images"),
        ("audit.robust_accuracy: {at_least: 0.9}", 1, "must be at least 0.9"),
        ("audit.clean_accuracy: {at_least: 0.8}", 0, "0.9"),
        ("audit.attack_success_rate: {at_most: 0.4}", 0, "0.2222"),
        ("audit.square.robust_accuracy: {at_least: 0.5}", 0, "0.7"),
        ("audit.noise.robust_accuracy: {at_least: 0.8}", 0, "0.9"),
        ("audit.flags_raised: {at_most: 0}", 0, "0, must be at most 0"),
        ("audit.flag.stateful: {at_most: 0}", 0, "as before"),
        ("audit.flag.twin_not_proven: {at_most: 0}", 3, "no twin"),
        ("audit.robust_acuracy: {at_least: 0.5}", 2, "did you mean audit.robust_accuracy"),
        ("audit.hop.robust_accuracy: {at_least: 0.5}", 2, "there is no score"),
        ("figures.audit.toy.2.robust_accuracy: {at_least: 0.5}", 0, "0.7"),
    ],
)
def test_what_a_rule_may_demand(tmp_path: Path, rule: str, code: int, said: str) -> None:
    done = gate(tmp_path, f"require:\n  {rule}", audit(tmp_path / "audit"))
    assert (done.exit_code, said in done.output) == (code, True), done.output


def test_raised_flags_close_the_gate_where_a_rule_says_so_and_are_always_named(tmp_path: Path) -> None:
    folder = audit(tmp_path / "audit", flags=DOUBT)
    done = gate(tmp_path, "require:\n  audit.flag.rounded_scores: {at_most: 0}", folder)
    assert (done.exit_code, "multiples of 0.01" in done.output) == (1, True), done.output
    done = gate(tmp_path, "require:\n  audit.flags_raised: {at_most: 0}", folder)
    assert (done.exit_code, ": rounded_scores" in done.output) == (1, True), done.output
    done = gate(tmp_path, "require:\n  audit.robust_accuracy: {at_least: 0.5}", folder)
    assert (done.exit_code, "raised flags: rounded_scores" in done.output) == (0, True), done.output


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("audit.robust_accuracy: {not_worse_by: 0.05}", 0),
        ("audit.robust_accuracy: {better_by: 0.1}", 0),
        ("audit.robust_accuracy: {better_by: 0.29}", 3),
        ("audit.noise.robust_accuracy: {not_worse_by: 0.05}", 0),
        ("audit.noise.robust_accuracy: {better_by: 0.1}", 1),
        ("audit.clean_accuracy: {not_worse_by: 0.05}", 0),
        ("audit.attack_success_rate: {not_worse_by: 0.05}", 2),
        ("audit.gone.robust_accuracy: {not_worse_by: 0.05}", 2),
    ],
)
def test_against_the_audit_of_the_baseline(tmp_path: Path, rule: str, code: int) -> None:
    one, two = audit(tmp_path / "one", WEAK, sha256="one"), audit(tmp_path / "two")
    done = gate(tmp_path, f"against:\n  {rule}", two, "--baseline", one)
    assert done.exit_code == code, done.output
    (name,) = verdicts(tmp_path)
    assert name.endswith(" against toy/one") or code == 2


def test_differences_are_paired_by_sample_and_silence_is_left_out(tmp_path: Path) -> None:
    def read(letters: str, name: str) -> Audit:
        folder = audit(tmp_path / name, letters, attacks=["square"])
        return Audit(folder, Report.from_json((folder / "report.json").read_text()))

    before, after = read("ssffwe", "before"), read("sfssss", "after")
    told = difference("audit.robust_accuracy", before, after, 0.9)
    assert told is not None
    assert (told.value, told.support) == ((3 - 1) / 5, 5)
    assert (told.low, told.high) == tango(3, 1, 5, 0.9)
    numbers = after.numbers(0.9)["audit.robust_accuracy"]
    assert (numbers.low, numbers.high) == clopper_pearson(5, 6, 0.9)
    clean = difference("audit.clean_accuracy", before, after, 0.9)
    assert clean is not None
    assert clean.value == 1 / 5


def test_audits_that_did_not_do_the_same_are_not_compared(tmp_path: Path) -> None:
    rule = "against:\n  audit.robust_accuracy: {not_worse_by: 0.1}"
    two = audit(tmp_path / "two")
    for name, other, said in (
        ("threat", audit(tmp_path / "a", epsilon=4), "the same threat"),
        ("attacks", audit(tmp_path / "b", attacks=["square"]), "noise is in one of them only"),
        ("data", audit(tmp_path / "d", digest="other"), "the same data"),
        ("none", tmp_path, "need an audit of the baseline"),
        ("invalid", audit(tmp_path / "c", valid=False), "is not valid"),
    ):
        done = gate(tmp_path, rule, two, "--baseline", other)
        assert (done.exit_code, said in done.output) == (2, True), (name, done.output)
    square = "against:\n  audit.square.robust_accuracy: {not_worse_by: 0.1}"  # is in both
    assert gate(tmp_path, square, two, "--baseline", tmp_path / "b").exit_code == 0


def test_runs_and_audits_in_one_gate_are_told_apart_by_their_weights(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", (40, 40, 40))
    answers = classified([0] * 40 + [1] * 40 + [2] * 40)
    run = recording(tmp_path / "run", data, answers, version=2, sha256="two")
    base = recording(tmp_path / "base", data, answers, sha256="one")
    reports = [audit(tmp_path / "a1", WEAK, sha256="one"), audit(tmp_path / "a2")]
    rules = """
require:
  accuracy: {at_least: 0.9}
  audit.robust_accuracy: {at_least: 0.6}
against:
  accuracy: {not_worse_by: 0.1}
  audit.robust_accuracy: {better_by: 0.1}
"""
    words = [word for folder in reports for word in ("--report", folder)]
    done = gate(tmp_path, rules, run, "--baseline", base, *words)
    assert done.exit_code == 0, done.output
    assert list(verdicts(tmp_path)) == [
        "accuracy",
        "audit.robust_accuracy",
        "accuracy against toy/1",
        "audit.robust_accuracy against toy/one",
    ]
    other = gate(tmp_path, rules, run, "--baseline", base, "--report", reports[0])
    assert (other.exit_code, "a1 is of other weights" in other.output) == (2, True), other.output


def test_the_subjects_audit_is_not_the_baselines(tmp_path: Path) -> None:
    """With no other rule nobody reads the baseline's run, so its weights are not known."""
    data = pictures(tmp_path / "data", (2, 1, 1))
    run, base = (
        recording(tmp_path / name, data, classified([0, 0, 1, 2]), sha256=name) for name in ("two", "one")
    )
    reports = audit(tmp_path / "a2", WEAK), audit(tmp_path / "a1", sha256="one")
    rule, words = "against:\n  audit.robust_accuracy: {not_worse_by: 0.05}", [run, "--baseline", base]
    both = gate(tmp_path, rule, *words, "--report", reports[0], "--report", reports[1])
    assert (both.exit_code, "difference -0.3" in both.output) == (1, True), both.output
    alone = gate(tmp_path, rule, *words, "--report", reports[0])
    assert (alone.exit_code, "need an audit of the baseline" in alone.output) == (2, True), alone.output


def test_no_audit_and_an_invalid_one_and_two_models_are_refused(tmp_path: Path) -> None:
    rule = "require:\n  audit.robust_accuracy: {at_least: 0.1}"
    folder = audit(tmp_path / "a", goals=["untargeted", "untargeted"])
    for subject, said in (
        (tmp_path, "need an audit of the subject"),
        (audit(tmp_path / "bad", valid=False), "is not valid"),
        (folder, "must be of one audit"),
    ):
        done = gate(tmp_path, rule, subject)
        assert (done.exit_code, said in done.output) == (2, True), done.output


def test_the_folder_of_an_audit_holds_its_record_too_and_is_no_run(tmp_path: Path) -> None:
    folder = audit(tmp_path / "a")
    AuditRecord.create(folder / JOURNAL, {"images": 1}).connection.close()
    stands = "audit.robust_accuracy: {at_least: 0.5}"
    assert gate(tmp_path, f"require:\n  {stands}", folder).exit_code == 0
    better = "audit.robust_accuracy: {not_worse_by: 0.2}"
    assert gate(tmp_path, f"against:\n  {better}", folder, "--baseline", folder).exit_code == 0
    done = gate(tmp_path, f"require:\n  {stands}\n  accuracy: {{at_least: 0.5}}", folder)
    assert (done.exit_code, "accuracy is of a run" in done.output) == (2, True), done.output


def test_goals_are_named_where_there_are_several(tmp_path: Path) -> None:
    folder = audit(tmp_path / "a", goals=["vanish", "fabricate"])
    rules = "require:\n  audit.vanish.robust_accuracy: {at_least: 0.5}\n"
    rules += "  audit.fabricate.square.robust_accuracy: {at_least: 0.5}"
    assert gate(tmp_path, rules, folder).exit_code == 0
    assert gate(tmp_path, "require:\n  audit.robust_accuracy: {at_least: 0.5}", folder).exit_code == 2


def test_a_build_system_sees_one_case_an_attack_and_a_measured_flag(tmp_path: Path) -> None:
    folder = audit(tmp_path / "a", flags=[*DOUBT, flag("partial", True, "half")])
    report = Report.from_json((folder / "report.json").read_text())
    told = {check.name.split(": ")[-1]: check for check in checks_of(report)}
    assert {name: check.verdict for name, check in told.items()} == {
        "valid": "pass",
        "rounded_scores": "fail",
        "stateful": "pass",
        "partial": "error",
        "square": "pass",
        "noise": "pass",
    }
    assert told["square"].message == "70 of 100 stood, 20 fell, 10 wrong unchanged"
    assert 'tests="6" failures="1" errors="1"' in junit("a", checks_of(report))
    silent = audited(result("square", "s" * 9 + "e"))
    (_, case) = checks_of(replace(report, sections=[audit_section(silent)]))
    assert (case.verdict, case.message) == (
        "error",
        "9 of 9 stood, 0 fell, 0 wrong unchanged, 1 without answer",
    )

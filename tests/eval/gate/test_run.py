"""`assay gate` on recorded runs: which number a rule names, and with what exit code it ends."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Outcome

from eval.cli import cli
from eval.console import save
from eval.gate.measured import measured_of, slices_in
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.intervals import clopper_pearson
from eval.recorded import recorded
from eval.report.document import Headline, Report, Section
from eval.scoring import score
from models.results import Classification, Result
from tests.eval.recordings import classified, pictures, recording

COUNTS = (200, 120, 80)
TRUTH = np.repeat(np.arange(3), COUNTS).tolist()


def wrong(*places: int) -> list[Result]:
    return classified([(label + 1) % 3 if i in places else label for i, label in enumerate(TRUTH)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pictures(tmp_path_factory.mktemp("gate") / "data", COUNTS)


@pytest.fixture
def run(tmp_path: Path, data: str) -> Path:
    return recording(tmp_path / "run", data, wrong(*range(8), 390), version=2, sha256="two")


@pytest.fixture
def base(tmp_path: Path, data: str) -> Path:
    return recording(tmp_path / "base", data, wrong(*range(4, 12), 391), sha256="one")


def gate(tmp_path: Path, rules: str, *words: object) -> Outcome:
    path = tmp_path / "gate.yaml"
    path.write_text(rules)
    files = ["--junit", tmp_path / "gate.xml", "--summary", tmp_path / "gate.md"]
    return CliRunner().invoke(cli, ["gate", *map(str, [path, *words, *files])])


def verdicts(tmp_path: Path) -> dict[str, str]:
    """By the name of the test case, from the JUnit file."""
    found = {}
    for case in ET.parse(tmp_path / "gate.xml").iter("testcase"):  # our own file
        told = [child.get("type", "") for child in case if child.tag in ("failure", "error")]
        found[case.get("name", "")] = told[0] if told else "pass"
    return found


def test_everything_a_rule_may_name(tmp_path: Path, run: Path, base: Path) -> None:
    rules = """
require:
  accuracy: {at_least: 0.95}
  f1.macro: {at_least: 0.95}
  ece_error: {at_most: 0.1}
  recall.class.bee: {at_least: 0.95}
  slice.class.cat.accuracy: {at_least: 0.9}
  slice.size.up to 64.balanced_accuracy: {at_least: 0.9}
  mce_error: {at_most: 1, by: value}
  latency.p95_ms: {at_most: 11}
  errors: {at_most: 0}
against:
  accuracy: {not_worse_by: 0.03}
  f1.macro: {not_worse_by: 0.05}
  ece_error: {not_worse_by: 0.1}
  recall.class.bee: {not_worse_by: 0.05}
  slice.class.ape.accuracy: {not_worse_by: 0.1}
  churn: {at_most: 0.1}
  latency.p50_ms: {not_worse_by: 1}
"""
    done = gate(tmp_path, rules, run, "--baseline", base, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    told = verdicts(tmp_path)
    assert len(told) == 16
    assert set(told.values()) == {"pass"}
    assert "churn against toy/1" in told
    assert "✅ pass" in (tmp_path / "gate.md").read_text()
    report = Report.from_json((tmp_path / "out" / "report.json").read_text())
    assert report.figures == {"gate.pass": 16, "gate.fail": 0, "gate.inconclusive": 0, "gate.error": 0}
    assert report.manifest["subject_sha256"] == "two"
    assert report.manifest["baseline_sha256"] == "one"


@pytest.mark.parametrize(
    ("rules", "code", "verdict"),
    [
        ("require:\n  accuracy: {at_least: 0.95}", 0, "pass"),
        ("require:\n  accuracy: {at_least: 0.97}", 3, "inconclusive"),
        ("require:\n  accuracy: {at_least: 0.97, by: value}", 0, "pass"),
        ("require:\n  accuracy: {at_least: 0.995}", 1, "fail"),
        ("require:\n  accuracy: {at_least: 0.96}\nconfidence: 0.95", 3, "inconclusive"),
        ("require:\n  accuracy: {at_least: 0.96}\nconfidence: 0.9", 0, "pass"),
        ("require:\n  mce_error: {at_most: 1}", 2, "error"),
        ("require:\n  acuracy: {at_least: 0}", 2, "error"),
        ("require:\n  latency.p99_ms: {at_most: 9}", 1, "fail"),
        ("against:\n  accuracy: {not_worse_by: 0.03}", 0, "pass"),
        ("against:\n  accuracy: {not_worse_by: 0.001}", 3, "inconclusive"),
        ("against:\n  accuracy: {better_by: 0.2}", 1, "fail"),
        ("against:\n  churn: {at_most: 0.001}", 1, "fail"),
        ("against:\n  f1: {better_by: 0}", 2, "error"),
        ("against:\n  slice.class.dog.accuracy: {better_by: 0}", 2, "error"),
    ],
)
def test_one_rule(tmp_path: Path, run: Path, base: Path, rules: str, code: int, verdict: str) -> None:
    done = gate(tmp_path, rules, run, "--baseline", base)
    assert done.exit_code == code, done.output
    assert list(verdicts(tmp_path).values()) == [verdict]


def test_an_unknown_score_names_the_nearest_and_the_others_are_still_decided(
    tmp_path: Path, run: Path
) -> None:
    done = gate(tmp_path, "require:\n  acuracy: {at_least: 0}\n  accuracy: {at_least: 0.5}", run)
    assert done.exit_code == 2
    assert "there is no score 'acuracy'; did you mean accuracy" in done.output
    assert verdicts(tmp_path) == {"acuracy": "error", "accuracy": "pass"}


def test_what_cannot_be_asked_is_written_down(tmp_path: Path, run: Path) -> None:
    rule = "require:\n  accuracy: {at_least: 0.5}"
    gone: list[Result | None] = [None] * 5 + wrong()[5:]
    for words, rules, said in (
        ([tmp_path / "none"], rule, "no such folder"),
        ([run], "against:\n  accuracy: {not_worse_by: 0}", "--baseline"),
        ([run], "require:\n  accuracy: {atleast: 1}", "gate.yaml:2"),
        (
            [recording(tmp_path / "bad", _data(run), gone)],
            rule,
            "is not valid: 5 of 400 images got no answer",
        ),
        (["http://127.0.0.1:1#toy/1", "--data", "digits:test"], rule, "127.0.0.1:1"),
        (["http://127.0.0.1:1#toy/1"], rule, "--data"),
    ):
        done = gate(tmp_path, rules, *words)
        assert done.exit_code == 2, done.output
        assert said in done.output
        assert done.output.count("\n") == 1
        assert verdicts(tmp_path) == {"gate": "error"}
        assert "could not be asked" in (tmp_path / "gate.md").read_text()


@pytest.mark.parametrize("subject", ["none", "run"])
def test_whatever_else_breaks_is_no_verdict(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    """Python ends with 1, which would say that a rule failed, also where a failure cannot be written down."""

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("eval.commands.gate._write", broken)
    assert gate(tmp_path, "require:\n  accuracy: {at_least: 0.5}", tmp_path / subject).exit_code == 2


def test_what_cannot_be_written_down_either_is_still_told(tmp_path: Path) -> None:
    done = gate(tmp_path, "require:\n  accuracy: {at_least: 0.5}", tmp_path / "none", "--message", "/proc/x")
    assert done.exit_code == 2
    assert "no such folder" in done.output
    assert "/proc/x cannot be written" in done.output


def _data(folder: Path) -> str:
    run = recorded(folder)
    with run.journal:
        return run.request.data


def test_an_invalid_baseline_is_no_baseline(tmp_path: Path, run: Path) -> None:
    gone: list[Result | None] = [None] * 5 + wrong()[5:]
    base = recording(tmp_path / "bad", _data(run), gone)
    done = gate(tmp_path, "against:\n  accuracy: {not_worse_by: 0.1}", run, "--baseline", base)
    assert done.exit_code == 2
    assert "the run of toy/1 is not valid" in done.output


def audited(folder: Path, share: float, *, valid: bool = True, sha256: str = "two") -> Path:
    headline = Headline("robust accuracy", share, 100, share - 0.1, share + 0.1)
    figures = {"toy.2.robust_accuracy": share, "toy.2.queries": 1000}
    manifest = {"model": "toy/2", "sha256": sha256}
    save(Report("Audit", manifest, [Section("toy", headlines=[headline])], figures, valid), folder)
    return folder


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("toy.2.robust_accuracy: {at_least: 0.4}", 0),
        ("toy.2.robust_accuracy: {at_least: 0.45}", 3),
        ("toy.2.robust_accuracy: {at_least: 0.45, by: value}", 0),
        ("toy.2.robust_accuracy: {at_least: 0.61}", 1),
        ("toy.2.queries: {at_most: 2000}", 2),
        ("toy.2.queries: {at_most: 2000, by: value}", 0),
        ("toy.2.robust: {at_least: 0}", 2),
    ],
)
def test_figures_of_an_audit(tmp_path: Path, run: Path, rule: str, code: int) -> None:
    rules = f"require:\n  figures.{rule}"
    audit = audited(tmp_path / "audit", 0.5)
    assert gate(tmp_path, rules, audit).exit_code == code  # the folder alone
    save(Report("Evaluation", {}), run)
    done = gate(tmp_path, f"{rules}\n  accuracy: {{at_least: 0.5}}", run, "--report", audit)
    assert done.exit_code == code, done.output
    assert verdicts(tmp_path)["accuracy"] == "pass"


def test_an_audit_s_interval_is_of_its_own_confidence(tmp_path: Path) -> None:
    rules = "require:\n  figures.toy.2.robust_accuracy: {at_least: 0.4}\nconfidence: 0.99"
    done = gate(tmp_path, rules, audited(tmp_path / "audit", 0.5))
    assert (done.exit_code, "has no interval; say `by: value`" in done.output) == (2, True)


def test_an_audit_of_other_weights_or_without_answers_is_refused(tmp_path: Path, run: Path) -> None:
    rules = "require:\n  figures.toy.2.robust_accuracy: {at_least: 0.1}\n  accuracy: {at_least: 0.1}"
    save(Report("Evaluation", {}), run)
    done = gate(tmp_path, rules, run, "--report", audited(tmp_path / "other", 0.5, sha256="one"))
    assert (done.exit_code, "other weights" in done.output) == (2, True)
    done = gate(tmp_path, rules, run, "--report", audited(tmp_path / "bad", 0.5, valid=False))
    assert (done.exit_code, "is not valid" in done.output) == (2, True)


def test_numbers_are_those_of_the_evaluation(run: Path) -> None:
    """Every score of the report, by its name, whole and in slices; shares with the exact interval."""
    one = recorded(run)
    with one.journal:
        scores = {s.name: s for s in score(one).scores()}
        names = [*scores, *(f"slice.class.ape.{name}" for name in scores)]
        measured = measured_of(one, names)
    for name, told in scores.items():
        number = measured.number(name, 0.95)
        assert number is not None
        assert number.value == told.value
    share = measured.number("recall.class.ape", 0.9)
    assert share is not None
    assert (share.low, share.high) == clopper_pearson(192, 200, 0.9)
    part = measured.number("slice.class.ape.accuracy", 0.95)
    assert part is not None
    assert (part.value, part.low, part.high) == (192 / 200, *clopper_pearson(192, 200))
    absent = measured.number("slice.class.ape.recall.class.bee", 0.95)
    assert absent is not None
    assert (absent.value, absent.low) == (None, None)
    assert measured.number("slice.class.bee.accuracy", 0.95) is None  # was not asked for


def test_a_share_whose_float_is_below_its_count(tmp_path: Path, data: str) -> None:
    """58 / 200 x 200 is less than 58 in floats; the interval is that of 58."""
    one = recorded(recording(tmp_path / "few", data, wrong(*range(142))))
    with one.journal:
        number = measured_of(one, ["recall.class.ape"]).number("recall.class.ape", 0.95)
    assert number is not None
    assert (number.low, number.high) == clopper_pearson(58, 200)


def test_calibration_has_the_interval_of_the_report(tmp_path: Path, data: str) -> None:
    """Bias-corrected: the calibration error of resampled data is larger than that of the data."""
    rng = np.random.default_rng(4)
    answers = [Classification(rng.dirichlet(np.ones(3)).astype(np.float32)) for _ in TRUTH]
    truth = [int(rng.choice(3, p=a.scores.astype(float) / a.scores.sum(dtype=float))) for a in answers]
    # classes turned round so that each answer's truth is the one that the data tells
    turns = [(label - true) % 3 for label, true in zip(TRUTH, truth, strict=True)]
    turned = [Classification(np.roll(a.scores, turn)) for a, turn in zip(answers, turns, strict=True)]
    metric = CalibrationMetric(("ape", "bee", "cat"), resamples=1000)
    metric.update(turned, TRUTH)
    (reported,) = [score for score in metric.compute() if score.name == "ece_error"]
    one = recorded(recording(tmp_path / "run", data, list(turned)))
    with one.journal:
        number = measured_of(one, ["ece_error"]).number("ece_error", 0.95)
    assert number is not None
    assert number.value == reported.value
    assert (number.low, number.high) == pytest.approx((reported.low, reported.high), rel=0.1)


def test_a_bootstrap_without_width_does_not_open_the_gate(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", (4, 3, 3))
    answers = classified([0] * 4 + [1] * 3 + [2] * 3)
    one, two = (recording(tmp_path / name, data, answers) for name in "ab")
    few = gate(tmp_path, "require:\n  balanced_accuracy: {at_least: 0.99}", one)
    assert few.exit_code == 3, few.output
    alike = gate(tmp_path, "against:\n  f1.macro: {not_worse_by: 0.01}", one, "--baseline", two)
    assert alike.exit_code == 3, alike.output


@pytest.mark.parametrize(
    ("names", "slices"),
    [
        (["accuracy", "slice.size.up to 64.accuracy", "slice.size.over 2048.f1.macro"], ["size"]),
        (["slice.tag.class.x.accuracy", "slice.camera.north.accuracy"], ["tag.class", "camera"]),
        (["recall.class.slice", "slice"], []),
    ],
)
def test_the_slices_that_rules_name(names: Sequence[str], slices: Sequence[str]) -> None:
    assert slices_in(names) == slices

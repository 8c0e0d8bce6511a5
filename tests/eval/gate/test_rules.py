"""The file of a gate: strict, and its mistakes are told with file, line and key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from eval.auditing.plan import Audit
from eval.errors import EvalError
from eval.gate.asks import Attacks, Timing
from eval.gate.rules import Against, Need, Rules, read_rules

GOOD = """
require:
  accuracy: {at_least: 0.95}
  ece_error: {at_most: 0.05, by: value}
  "slice.size.up to 64.accuracy": {at_least: 1}
against:
  accuracy: {not_worse_by: 0.01}
  miou: {better_by: 0}
  churn: {at_most: 0.05}
confidence: 0.9
"""

ROBUST = "require:\n  audit.robust_accuracy: {at_least: 0.5}"
LIVE = """
against:
  audit.robust_accuracy: {not_worse_by: 0.05}
  latency.p95_ms: {at_most_times: 1.5}
audit: {suite: standard, goal: ["targeted:a b"], samples: 50, severities: [1, 5]}
latency: {pairs: 400}
"""


def test_what_a_gate_does_itself(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(LIVE)
    rules = read_rules(path)
    assert rules.audit == Attacks(suite="standard", goal=["targeted:a b"], samples=50, severities=[1, 5])
    assert (rules.latency, rules.timed) == (Timing(pairs=400), ["latency.p95_ms"])


def test_attacks_are_those_of_the_audit() -> None:
    """Every field is one of a plan, with the same default; only paths and hosts are not a file's to say."""
    theirs = {field.name: field.default for field in fields(Audit)}
    ours = {{"goal": "goals"}.get(name, name): field.default for name, field in Attacks.model_fields.items()}
    kept = {"twin", "surrogate", "mce", "max_queries", "authorised"}
    assert ours == {name: value for name, value in theirs.items() if name not in kept}


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(GOOD)
    assert read_rules(path) == Rules(
        require={
            "accuracy": Need(at_least=0.95),
            "ece_error": Need(at_most=0.05, by="value"),
            "slice.size.up to 64.accuracy": Need(at_least=1),
        },
        against={
            "accuracy": Against(not_worse_by=0.01),
            "miou": Against(better_by=0),
            "churn": Against(at_most=0.05),
        },
        confidence=0.9,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "require:\n  accuracy: {atleast: 0.9}",
            r"gate\.yaml:2: require\.accuracy\.atleast: is no key here; a rule",
        ),
        (
            "require:\n  a: {at_least: 1}\nagaints:\n  b: {better_by: 0}",
            r":3: againts: is no key here; it must be one",
        ),
        ("require:\n\n  accuracy: {at_least: high}", r":3: require\.accuracy\.at_least: .*valid number"),
        ("require:\n  accuracy: {at_least: '0.9'}", r":2: require\.accuracy\.at_least: .*valid number"),
        ("require:\n  accuracy: {at_least: true}", r":2: require\.accuracy\.at_least: .*valid number"),
        ("require:\n  accuracy: {at_least: .nan}", r":2: require\.accuracy\.at_least: .*finite"),
        (
            "require:\n  accuracy: {}",
            r":2: require\.accuracy: there must be exactly one of at_least, at_most",
        ),
        ("require:\n  accuracy:", r":2: require\.accuracy: "),
        ("require:\n  accuracy: 0.9", r":2: require\.accuracy: "),
        ("require:\n  a: {at_least: 0, at_most: 1}", r":2: require\.a: there must be exactly one"),
        ("require:\n  a: {at_least: 0, by: median}", r":2: require\.a\.by: .*'interval' or 'value'"),
        (
            "against:\n  a: {not_worse_by: -0.1}",
            r":2: against\.a\.not_worse_by: .*greater than or equal to 0",
        ),
        ("against:\n  a: {not_worse_by: 0, better_by: 0}", r":2: against\.a: there must be exactly one"),
        ("against:\n  a: {at_most: 0.1}", r"against\.a must say not_worse_by or better_by"),
        ("against:\n  churn: {not_worse_by: 0.1}", r"against\.churn must say at_most"),
        ("require:\n  a: {at_least: 1}\nconfidence: 1", r":3: confidence: .*less than 1"),
        ("require:\n  a: {at_least: 1}\n  a: {at_least: 0}", r":3: require\.a must be told once"),
        ("require: {}", r"there must be at least one rule"),
        ("require: [", r"gate\.yaml:\d: must be YAML"),
        ("- require", r"must hold `require:` or `against:`"),
        ("", r"must hold `require:` or `against:`"),
        ("require:\n  yes: {at_least: 1}", r":1: require\.1: .*string"),
        ("require:\n  a: {at_least: 1e-3}", r":2: require\.a\.at_least: .*number, got '1e-3'"),
        ("require: !!python/object:os.system {}", "must be YAML"),
        (
            f"{ROBUST}\naudit: {{epsilonn: 8}}",
            r":3: audit\.epsilonn: is no key here; audit has suite, epsilon",
        ),
        (f"{ROBUST}\naudit: {{attacks: [../x]}}", r":3: audit\.attacks\.0: .*pattern"),
        (
            "require:\n  a: {at_least: 1}\naudit: {epsilon: 8}",
            r"audit must have a rule that begins with audit\.",
        ),
        ("require:\n  a: {at_least: 1}\nlatency: {pairs: 50}", r"latency must have a rule under against"),
        ("against:\n  accuracy: {at_most_times: 2}", r"against\.accuracy must not say at_most_times"),
        ("against:\n  latency.p50_ms: {at_most_times: 0.5}", r"at_most_times: .*greater than or equal to 1"),
        ("against:\n  latency.p99_ms: {at_most_times: 2}", r"p99_ms needs latency: {pairs: 1000}, got 200"),
        (
            "against:\n  latency.p50_ms: {at_most_times: 2}\nlatency: {pairs: 5}",
            r":3: latency\.pairs: .*greater than or equal to 20",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    with pytest.raises(EvalError, match=said) as caught:
        read_rules(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"gate\.yaml cannot be read"):
        read_rules(tmp_path / "gate.yaml")
    (tmp_path / "gate.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(EvalError, match=r"gate\.yaml cannot be read"):
        read_rules(tmp_path / "gate.yaml")

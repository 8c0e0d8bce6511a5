"""The example files and the rules in the document are rules, and name scores that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eval.comparison.states import known
from eval.gate.asks import LATENCY
from eval.gate.rules import Rules, read_rules
from eval.served import ROOT
from models.card import TaskName

TASKS: dict[str, TaskName] = {
    "classification": "classification",
    "detection": "detection",
    "segmentation": "segmentation",
    "robustness": "classification",
    "rollout": "classification",
    "document": "classification",
}
EXAMPLES = sorted(path for path in (ROOT / "deploy" / "gate").glob("*.yaml") if path.stem != "kustomization")
LABELS = (*map(str, range(10)), "cat")


def named(rules: Rules) -> list[str]:
    return [re.sub(r"^slice\.\w+\.[^.]+\.", "", name) for name in (*rules.require, *rules.against)]


def require_known(rules: Rules, task: TaskName) -> None:
    there = {*known(task, LABELS), *LATENCY, "errors", "churn"}
    assert [
        name for name in named(rules) if name not in there and not name.startswith(("figures.", "audit."))
    ] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    require_known(read_rules(path), TASKS[path.stem])


def test_there_is_one_a_task() -> None:
    assert {path.stem for path in EXAMPLES} == set(TASKS) - {"document"}


def test_the_document(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "gate.md").read_text(), flags=re.S)
    (tmp_path / "gate.yaml").write_text(block)
    rules = read_rules(tmp_path / "gate.yaml")
    require_known(rules, TASKS["document"])
    assert len(rules.require) == 9
    assert len(rules.against) == 6

"""What docs/ says of numbers and endpoints is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from eval.metrics.panoptic import PanopticMetric
from eval.metrics.tables import METRICS, metric_for
from eval.remote.template import read_template
from models.card import TaskName

DOCS = Path(__file__).resolve().parents[2] / "docs"
METRIC_IDS = re.findall(
    r"`([a-z0-9]{3,}/[^`]+)`", (DOCS / "metrics.md").read_text(encoding="utf-8")
)  # not n/a
TEMPLATES = re.findall(r"```yaml\n(.*?)```", (DOCS / "endpoints.md").read_text(encoding="utf-8"), re.DOTALL)
EFFECTIVE = "assay/effective_accuracy"  # only there when an image got no answer
TASKS: tuple[TaskName, ...] = ("classification", "detection", "segmentation")


def short(definition: str) -> str:
    """Without the settings behind it: `guo2017/ECE,bins=15` is `guo2017/ECE`."""
    return re.split(r"[@,]", definition)[0]


def definitions(task: TaskName) -> set[str]:
    return {short(s.definition) for metric in metric_for(task, "abcdefg") for s in metric.compute()}


def told(definition: str) -> bool:
    """As a whole, or by what it begins with: `tide/dAP50` stands for its kinds, `...` for what follows."""
    return any(
        definition.startswith(short(known).removesuffix("...").removesuffix("_")) for known in METRIC_IDS
    )


@pytest.mark.parametrize("task", sorted(METRICS))
def test_every_definition_is_explained(task: TaskName) -> None:
    assert [d for d in definitions(task) if not told(d)] == []


def test_panoptic_quality_too() -> None:
    names = {short(s.definition).split(".")[0] for s in PanopticMetric("ab", [True, False]).compute()}
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in names if name not in text and name.split("/")[1] not in text] == []


def test_no_definition_is_told_that_is_not_there() -> None:
    known = {d for task in METRICS for d in definitions(task)} | {"panopticapi/PQ", "coco/segm/", EFFECTIVE}
    for name in METRIC_IDS:
        stem = short(name).removesuffix("...").removesuffix("_")
        assert any(d.startswith(stem) or stem.startswith(d) for d in known), name


@pytest.mark.parametrize("number", range(len(TEMPLATES)))
def test_every_template_can_be_read(number: int, tmp_path: Path) -> None:
    whole = yaml.safe_load(TEMPLATES[0])
    told = {**whole, **yaml.safe_load(TEMPLATES[number]), "task": TASKS[number]}
    path = tmp_path / "api.yaml"
    path.write_text(yaml.safe_dump(told))
    assert read_template(path).task == TASKS[number]


def test_there_is_a_template_for_each_task() -> None:
    assert len(TEMPLATES) == len(TASKS)

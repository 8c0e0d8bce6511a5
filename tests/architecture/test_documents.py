"""A document that is not tested will lie: README against settings, errors, metrics, commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from eval.cli import cli
from eval.data.tables import READERS
from eval.jobs.settings import JobSettings
from service import telemetry
from service.errors import ServiceError
from service.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def errors(cls: type[ServiceError] = ServiceError) -> set[tuple[str, str]]:
    return {(str(cls.status), cls.code)}.union(*map(errors, cls.__subclasses__()))


def test_every_setting_is_told() -> None:
    told = set(re.findall(r"`(ASSAY_\w+)`", section("Settings")))
    assert told == {f"ASSAY_{name.upper()}" for name in ServiceSettings.model_fields}


def test_every_setting_of_the_evaluation_service_is_told() -> None:
    told = re.findall(r"^\| `(ASSAY_EVAL_\w+)`", section("Evaluation over REST"), flags=re.M)
    assert set(told) == {f"ASSAY_EVAL_{name.upper()}" for name in JobSettings.model_fields}


def test_every_error_is_told() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", section("Errors"), flags=re.M)
    told = {(status, code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert told == errors()


def test_every_metric_is_told() -> None:
    metrics = [value for value in vars(telemetry).values() if isinstance(value, MetricWrapperBase)]
    rows = re.findall(r"^\| `(assay_\w+)` \| (.*) \|", section("Metrics"), flags=re.M)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    described = [(next(iter(metric.describe())), metric._labelnames) for metric in metrics]
    known = {d.name + ("_total" if d.type == "counter" else ""): set(labels) for d, labels in described}
    assert told == known


def test_every_kind_of_data_is_told() -> None:
    assert all(f"`{kind}:" in section("Measure a live endpoint") for kind in READERS)


def test_commands_and_their_options_are_there() -> None:
    lines = re.findall(r"^\$ \.venv/bin/assay (.+)$", README, flags=re.M)
    assert len(lines) >= 4
    for line in lines:
        command = cli.commands[line.split()[0]]
        known = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"(--[a-z-]+)", line)) <= known, line


def test_make_targets_are_there() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    documents = README + (ROOT / "CONTRIBUTING.md").read_text() + (ROOT / "deploy" / "README.md").read_text()
    told = {word for line in re.findall(r"make ((?:[a-z]+ ?)+)", documents) for word in line.split()[:1]}
    assert {"demo", "test", "serve", "check", "load", "train"} <= told & rules


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_version_is_in_the_changelog() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("path", ["models/results.py", "models/zoo/digits/1/model.onnx", "service/app.py"])
def test_git_ignores_no_source(path: str) -> None:
    assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 1


def test_make_help_names_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "serve", "test", "check", "bench", "train", "clean", "load"):
        assert f"make {target}" in told

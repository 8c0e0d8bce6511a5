"""promtool agrees with the rules, and its tests would notice if one were wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.monitored import HOME, RULES, promtool


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"),
        ("check", "config", "prometheus.yaml"),
        ("test", "rules", "rules_test.yaml"),
        ("test", "rules", "drift_test.yaml"),
        ("test", "rules", "evaluation_test.yaml"),
        ("test", "rules", "rollout_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(words: tuple[str, ...]) -> None:
    done = promtool(*words[:-1], HOME / words[-1])
    assert done.returncode == 0, done.stdout + done.stderr


@lru_cache
def cases(name: str) -> Mapping[str, Any]:
    """A file of promtool's tests."""
    told: dict[str, Any] = yaml.safe_load((HOME / name).read_text())
    return told


@pytest.mark.parametrize(
    ("case", "written", "broken"),
    [
        ("no room", 'status=~"5..|429"', 'status=~"5.."'),
        ("1 in 20 fails;", "_rate5m > 14.4 * 0.001", "_rate5m > 144 * 0.001"),
        ("1 of 2 fails", "and job:assay_errors:ratio_rate1h * job:assay_predictions:increase1h >= 10", ""),
        ("1 request in 4 minutes", "increase1h >= 10", "increase1h >= 100"),
        ("2 in 1,000 fail", "for: 3h", "for: 2h"),
        ("4 in 1,000 fail", "ratio_rate2h > 3 * 0.01", "ratio_rate2h > 30 * 0.01"),
        ("all of one job is gone", ', job!~".*canary.*"', ""),
        ("a version that is refused", "(assay_model_refused == 1)", "(assay_model_refused)"),
        (
            "a version that is refused",
            "(assay_repository_unreadable) == 1",
            "(assay_repository_unreadable) >= 0",
        ),
        ("the daily evaluation", "unless on (namespace, cronjob) kube_cronjob_spec_suspend == 1", ""),
        (
            "the daily evaluation",
            "or max by (namespace, cronjob) (kube_cronjob_created",
            "and (kube_cronjob_created",
        ),
        ("1 in 5 failed for 10 minutes", " and job:assay_errors:ratio_rate5m > 14.4 * 0.001", ""),
        ("a quarter is slow", "_rate1h > 14.4 * 0.01 ", "_rate1h > 144 * 0.01 "),
        (
            "a quarter is slow",
            '(rate(assay_requests_total{route=~"/c',
            '(rate(assay_requests_total{route!~"/c',
        ),
        ("one of two instances goes down", 'up{job=~"assay.*"} == 0', "up == 0"),
        ("one of two instances goes down", ' unless on (job) up{job=~"assay.*"} == 1', ""),
        (
            "a rollout that hangs",
            "unless on (job) max by (job) (",
            "unless on (instance) max by (instance) (",
        ),
        ("a rollout; the new instance", "for: 10m", "for: 0m"),
        ("the only container is started again", "for: 1m", "for: 0m"),
        (
            "the next version",
            "max by (job, instance, model) (assay_m",
            "min by (job, instance, model) (assay_m",
        ),
        ("a model is lost", "for: 2m", "for: 0m"),
        ("a queue that grows", "or job_instance_model:assay_wait:seconds > 1", ""),
        ("a caller sends", "for: 10m", "for: 1m"),
        ("other classes", "or job_model_version_label:assay_predicted:share30m\n", "\n"),
        ("other classes", "> 0.15 + 2 *", "> 0.6 + 2 *"),
        ("other classes", "and job_model_version:assay_predicted:increase30m > 100", ""),
        ("less sure", "mean1d - job_model_version:assay_confidence:mean30m", "mean1d"),
    ],
)
def test_the_rule_tests_would_notice(tmp_path: Path, case: str, written: str, broken: str) -> None:
    assert written in RULES
    (tmp_path / "rules.yaml").write_text(RULES.replace(written, broken))
    files = [cases(path.name) for path in HOME.glob("*_test.yaml")]
    (file,) = (file for file in files if any(case in test["name"] for test in file["tests"]))
    only = [test for test in file["tests"] if case in test["name"]]
    (tmp_path / "case.yaml").write_text(json.dumps({**file, "tests": only}))
    done = promtool("test", "rules", tmp_path / "case.yaml")
    assert done.returncode == 1
    assert "got:" in done.stdout + done.stderr  # it was evaluated, and is wrong

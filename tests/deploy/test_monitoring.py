"""Rules and dashboard agree with the code and with each other; promtool agrees with the rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.monitoring.__main__ import made
from deploy.monitoring.dashboard import dashboard
from deploy.monitoring.queries import METRICS, mean, name_of, quantile, rate, total
from service import telemetry
from service.errors import ServiceError
from service.middleware import QUIET
from tests.deploy.monitored import FASTER, HOME, RULES, asked_of, hurried, rules, tool

EXPRESSIONS = [rule["expr"] for rule in rules()]
QUERIES = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("promtool"), *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", made())
def test_a_file_is_what_the_code_makes(name: str) -> None:
    assert (HOME / name).read_text(encoding="utf-8") == made()[name], "run `python -m deploy.monitoring`"


def test_the_operator_gets_the_same_rules_and_grafana_the_dashboard(tmp_path: Path) -> None:
    shutil.copytree(HOME, tmp_path / "monitoring")
    overlay = {"kind": "Kustomization", "namespace": "vision", "components": ["../monitoring"]}
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", tmp_path / "overlay"], check=True, capture_output=True, text=True
    )
    rendered = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    assert rendered["PrometheusRule"]["spec"] == yaml.safe_load(RULES)
    assert json.loads(rendered["ConfigMap"]["data"]["assay.json"]) == dashboard()
    assert {document["metadata"]["namespace"] for document in rendered.values()} == {"vision"}


def test_every_metric_has_a_panel() -> None:
    shown = {name for query in QUERIES for name, _ in asked_of(query)}
    for metric in METRICS:
        ends = ("_bucket", "_sum", "_count") if metric._type == "histogram" else ("",)
        assert {name_of(metric) + end for end in ends} & shown, name_of(metric)


def test_a_label_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"assay_requests_total must be one of .*, got 'model'"):
        rate(telemetry.REQUESTS, "model")
    with pytest.raises(ValueError, match="got 'route'"):
        total(telemetry.QUEUE, "route")
    for of in (mean, lambda metric, by: quantile(metric, 0.5, by)):
        with pytest.raises(ValueError, match="got 'code'"):
            of(telemetry.CONFIDENCE, "code")


def test_the_parts_of_the_dashboard_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


def test_what_is_recorded_is_used_and_what_is_used_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for expr in (*EXPRESSIONS, *QUERIES) for name in re.findall(r"\w+:assay_\w+:\w+", expr)}
    assert used == recorded


def test_a_recorded_name_tells_its_window() -> None:
    for rule in rules():
        if told := re.search(r"(\d+[mhd])$", rule.get("record", "")):
            windows = set(re.findall(r"\[(\w+)\]", rule["expr"]))
            assert windows == {told[1]}, rule["record"]


def test_the_promise_is_an_edge_of_the_histogram() -> None:
    edges = {float(edge) for expr in EXPRESSIONS for edge in re.findall(r'le="([^"]+)"', expr)}
    assert edges == {0.5}
    assert edges <= set(telemetry.REQUEST_SECONDS._kwargs["buckets"])


def test_routes_are_routes_of_the_service() -> None:
    asked = {route for expr in EXPRESSIONS for route in re.findall(r'route=~"([^"]+)"', expr)}
    (predicting,) = asked
    matched = {route for route in telemetry.ROUTES if re.fullmatch(predicting, route)}
    assert matched == {"/classify", "/detect", "/segment", "/v2/models/{model}/infer"}
    (quiet,) = {route for expr in EXPRESSIONS for route in re.findall(r'route!~"([^"]+)"', expr)}
    assert {route for route in telemetry.ROUTES if re.fullmatch(quiet, route)} == QUIET


def test_each_refusal_is_the_callers_or_the_services() -> None:
    """What burns the error budget is no rejection, and the other way round."""

    def below(cls: type[ServiceError]) -> set[type[ServiceError]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    (told,) = re.findall(r'code!~"([^"]+)"', ALERTS["AssayRejections"]["expr"])
    errors = [cls for cls in below(ServiceError) if cls.__module__.startswith("service.")]
    assert set(told.split("|")) == {cls.code for cls in errors if cls.status == 429 or cls.status >= 500}


def test_an_alert_says_what_to_do_and_is_tested() -> None:
    tested = "".join(path.read_text(encoding="utf-8") for path in HOME.glob("*_test.yaml"))
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert re.search(rf'alertname(?:: |="){name}\b', tested), f"no test lets {name} fire"


def test_hurried_rules_are_the_same_rules() -> None:
    assert hurried("rate(x[1h] offset 30m) for: 2m") == "rate(x[15000ms] offset 7500ms) for: 500ms"
    durations = r"(?:\[|offset |for: )\d+"
    assert len(re.findall(durations, hurried(RULES))) == len(re.findall(durations, RULES)) > 30
    assert not re.search(durations + r"[smhdwy]", hurried(RULES).replace("ms", ""))
    assert 60_000 % FASTER == 0


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"),
        ("check", "config", "prometheus.yaml"),
        ("test", "rules", "rules_test.yaml"),
        ("test", "rules", "drift_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(words: tuple[str, ...]) -> None:
    done = promtool(*words[:-1], HOME / words[-1])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("case", "written", "broken"),
    [
        ("no room", 'status=~"5..|429"', 'status=~"5.."'),
        ("1 in 20 fails;", "_rate5m > 14.4 * 0.001", "_rate5m > 144 * 0.001"),
        ("1 in 5 failed for 10 minutes", " and job:assay_errors:ratio_rate5m > 14.4 * 0.001", ""),
        ("a quarter is slow", "_rate1h > 14.4 * 0.01 ", "_rate1h > 144 * 0.01 "),
        (
            "a quarter is slow",
            '(rate(assay_requests_total{route=~"/c',
            '(rate(assay_requests_total{route!~"/c',
        ),
        ("one of two instances goes down", 'up{job=~"assay.*"} == 0', "up == 0"),
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
    files = [yaml.safe_load((HOME / name).read_text()) for name in ("rules_test.yaml", "drift_test.yaml")]
    (file,) = (file for file in files if any(case in test["name"] for test in file["tests"]))
    file["tests"] = [test for test in file["tests"] if case in test["name"]]
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(file))
    done = promtool("test", "rules", tmp_path / "case.yaml")
    assert done.returncode == 1
    assert "got:" in done.stdout + done.stderr  # it was evaluated, and is wrong


def test_promtool_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    plain = [re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(job|instance|model)", ".*", q)) for q in QUERIES]
    listed = [{"record": f"panel:query:{i}", "expr": query} for i, query in enumerate(plain)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": listed}]}))
    assert not [query for query in plain if "$" in query]
    done = promtool("check", "rules", tmp_path / "panels.yaml")
    assert done.returncode == 0, done.stdout + done.stderr

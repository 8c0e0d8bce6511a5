"""Rules, dashboard and incident table agree with the code and with each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.monitoring import incidents
from deploy.monitoring.__main__ import made
from deploy.monitoring.dashboard import dashboard
from deploy.monitoring.queries import METRICS, mean, name_of, quantile, rate, total
from service import telemetry
from service.errors import ServiceError
from service.middleware import QUIET
from tests.deploy.monitored import FASTER, HOME, RULES, SECONDS, asked_of, hurried, kept_by, promtool, rules

EXPRESSIONS = [rule["expr"] for rule in rules()]
QUERIES = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
SERIES = {
    name_of(metric) + end
    for metric in METRICS
    for end in (("_bucket", "_sum", "_count") if metric._type == "histogram" else ("",))
}
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


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
        assert list(rule["annotations"]) == ["summary", "description", "action"]
        assert re.search(rf'alertname(?:: |="){name}\b', tested), f"no test lets {name} fire"


BURNS = re.compile(
    r"job:assay_(?P<kind>\w+):ratio_rate(?P<long>\w+) > (?:(?P<factor>[\d.]+) \* )?(?P<budget>0\.\d+) "
    r"and job:assay_(?P=kind):ratio_rate(?P<short>\w+) > (?:(?P=factor) \* )?(?P=budget)\n"
    r"and job:assay_(?P=kind):ratio_rate(?P=long) \* job:assay_predictions:increase(?P=long) >= 10\n"
)


def test_burn_rates_are_those_of_the_workbook() -> None:
    """Google's SRE workbook, chapter 5: windows and factors, and the shares of 30 days' budget they are."""
    found = {
        (
            burn["kind"],
            burn["budget"],
            burn["factor"],
            burn["long"],
            burn["short"],
            rule["labels"]["severity"],
        )
        for rule in ALERTS.values()
        if (burn := BURNS.fullmatch(rule["expr"]))
    }
    workbook = {
        ("14.4", "1h", "5m", "page", 0.02),
        ("6", "6h", "30m", "page", 0.05),
        ("3", "1d", "2h", "ticket", 0.10),
        (None, "3d", "6h", "ticket", 0.10),
    }
    budgets = {"errors": "0.001", "slow": "0.01"}
    assert found == {
        (kind, budget, factor, long, short, severity)
        for kind, budget in budgets.items()
        for factor, long, short, severity, _ in workbook
    }
    for factor, long, short, _, share in workbook:
        lasts = {window: int(window[:-1]) * SECONDS[window[-1]] for window in (long, short)}
        assert float(factor or 1) * lasts[long] / (30 * 86400) == pytest.approx(share)
        assert lasts[long] == 12 * lasts[short]


def test_the_incident_table_has_a_row_for_each_alert() -> None:
    """Of plain text: what Prometheus would fill in is named, and every metric is a metric that is scraped."""
    rows = re.findall(r"^\| `(\w+)` \((\w+) after (\w+)\) \| (.*) \|$", incidents.table(RULES), flags=re.M)
    assert [row[:3] for row in rows] == [
        (name, rule["labels"]["severity"], rule["for"]) for name, rule in ALERTS.items()
    ]
    for _, _, _, cells in rows:
        symptom, metrics, cause, action = re.split(r"(?<!\\) \| ", cells)
        assert all((symptom, metrics, cause, action))
        assert "{{" not in cells
        assert all(
            name in SERIES or name == "up" or name.startswith("kube_") for name in metrics[1:-1].split("`, `")
        )


def test_the_metrics_of_an_alert_are_found_through_what_is_recorded() -> None:
    drift = ALERTS["AssayPredictionsDrift"]["expr"]
    assert "assay_predicted_total" not in drift
    assert incidents.metrics_of(RULES, drift) == ["assay_predicted_total"]
    assert incidents.metrics_of(RULES, ALERTS["AssayNotReady"]["expr"]) == ["assay_model_ready", "up"]


def test_the_cronjobs_that_are_watched_are_those_there_are() -> None:
    component = HOME.parent / "kubernetes" / "components" / "evaluation"
    documents = [d for path in component.glob("*.yaml") for d in yaml.safe_load_all(path.read_text())]
    jobs = {d["metadata"]["name"]: d["spec"]["schedule"] for d in documents if d["kind"] == "CronJob"}
    (recorded,) = (
        rule["expr"] for rule in rules() if rule.get("record", "").startswith("namespace_cronjob:")
    )
    (watched,) = set(re.findall(r'cronjob=~"([^"]+)"', recorded))
    assert (
        {name for name in jobs if re.fullmatch(watched, name)}
        == set(jobs)
        == {"assay-evaluation", "assay-audit"}
    )
    assert jobs["assay-evaluation"].endswith("* * *")  # daily: late after 28 hours
    assert re.search(r"\d+ \d+ \* \* \d$", jobs["assay-audit"])  # weekly: late after 8 days


def test_grafana_has_what_it_needs() -> None:
    """Of Grafana 10's dashboard schema what a file must have to be provisioned."""
    told = dashboard()
    assert re.fullmatch(r"[\w-]{1,40}", told["uid"])
    assert told["schemaVersion"] >= 36  # since 8.3 a data source is {type, uid}
    assert "id" not in told  # or it would be taken for another one's
    names = {variable["name"] for variable in told["templating"]["list"]}
    for panel in told["panels"]:
        assert {"id", "type", "title", "gridPos"} <= set(panel)
        assert panel["type"] in {"row", "timeseries"}
        targets = panel.get("targets", [])
        assert bool(targets) == (panel["type"] == "timeseries")
        assert len({target["refId"] for target in targets}) == len(targets)
        for target in targets:
            used = set(re.findall(r"\$\{?(\w+)", target["expr"] + target["datasource"]["uid"]))
            assert used - {"__rate_interval"} <= names
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept_by(target["expr"]) | {
                "job",
                "model",
                "version",
            }


def test_hurried_rules_are_the_same_rules() -> None:
    assert hurried("rate(x[1h] offset 30m) for: 8m") == "rate(x[15000ms] offset 7500ms) for: 2000ms"
    assert hurried("x[2m] for: 2m") == "x[500ms] for: 1000ms"
    durations = r"(?:\[|offset |for: )\d+"
    assert len(re.findall(durations, hurried(RULES))) == len(re.findall(durations, RULES)) > 30
    assert not re.search(durations + r"[smhdwy]", hurried(RULES).replace("ms", ""))
    assert 60_000 % FASTER == 0


def test_promtool_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    plain = [re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(job|instance|model)", ".*", q)) for q in QUERIES]
    listed = [{"record": f"panel:query:{i}", "expr": query} for i, query in enumerate(plain)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": listed}]}))
    assert not [query for query in plain if "$" in query]
    done = promtool("check", "rules", tmp_path / "panels.yaml")
    assert done.returncode == 0, done.stdout + done.stderr

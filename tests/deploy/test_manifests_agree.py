"""What the manifests say is what the code has: settings, paths, ports, metrics, the order of an end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from models.repository import read_version
from service import telemetry
from service.access import OPEN
from service.exposition import exposition
from service.settings import ServiceSettings
from tests.deploy.rendered import (
    AT_REST,
    CLUSTERS,
    KUBERNETES,
    Document,
    number,
    of_kind,
    overlay,
    settings,
    templates,
    the,
    with_components,
)

PROJECT = KUBERNETES.parents[1]
WHERE = {"service_name": "name", "namespace": "namespace"}  # Prometheus's names of labels, and Kubernetes's
METRICS = {m._name for m in vars(telemetry).values() if isinstance(m, MetricWrapperBase)}


def pod(documents: Sequence[Document]) -> Document:
    spec: Document = the(documents, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_service_takes_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = settings(overlay(name))
    assert set(told) <= {f"ASSAY_{field.upper()}" for field in ServiceSettings.model_fields}
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    read = ServiceSettings()
    assert {f"ASSAY_{field.upper()}" for field in read.model_fields_set} >= set(told)


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_is_held_fits_the_memory(name: str) -> None:
    documents = overlay(name)
    (container,) = pod(documents)["containers"]
    held, most = int(settings(documents)["ASSAY_MAX_BUFFERED_BYTES"]), container["resources"]["limits"]
    assert held >= ServiceSettings.model_fields["max_body_bytes"].default
    decoded = 12 * ServiceSettings.model_fields["max_pixels"].default  # float32, of one run
    assert AT_REST + held + decoded * number(most["cpu"]) <= number(most["memory"])
    assert number(container["resources"]["requests"]["memory"]) >= AT_REST
    assert number(most["cpu"]) == int(
        number(most["cpu"])
    )  # a thread for each; a half would wait for its turn
    assert "ASSAY_RUNS" not in settings(documents)  # read from the quota


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_end_is_given_its_time(name: str) -> None:
    told, spec = settings(overlay(name)), pod(overlay(name))
    (container,) = spec["containers"]
    assert "lifecycle" not in container  # it would wait before the drain, for nothing
    needed = float(told["ASSAY_DRAIN_S"]) + float(told["ASSAY_TIMEOUT_S"])
    assert spec["terminationGracePeriodSeconds"] >= needed + 5
    if name != "dev":  # there is one pod, and whom it would be drained to?
        probe = container["readinessProbe"]
        assert float(told["ASSAY_DRAIN_S"]) >= 2 * probe["periodSeconds"]


@pytest.mark.parametrize("name", CLUSTERS)
def test_paths_and_ports(name: str) -> None:
    documents = overlay(name)
    (container,) = pod(documents)["containers"]
    probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    assert [probe["httpGet"]["path"] for probe in probes] == ["/readyz", "/readyz", "/livez"]
    paths = {probe["httpGet"]["path"] for probe in probes} | scraped(documents)
    assert paths <= OPEN & set(telemetry.ROUTES)  # asked without a key
    assert all(probe["timeoutSeconds"] >= 5 for probe in probes)
    (port,) = container["ports"]
    assert container["args"][container["args"].index("--port") + 1] == str(port["containerPort"])
    assert {probe["httpGet"]["port"] for probe in probes} == {port["name"]}
    service = the(documents, "Service")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert service["metadata"]["name"].startswith("assay")  # the scrape's `job`, which alert rules look for


def scraped(documents: Sequence[Document]) -> set[str]:
    """Where it is scraped: by annotations or by a ServiceMonitor that finds the Service, never by both."""
    annotated = the(documents, "Deployment")["spec"]["template"]["metadata"].get("annotations", {})
    monitors = of_kind(documents, "ServiceMonitor")
    if not monitors:
        (container,) = pod(documents)["containers"]
        assert annotated["prometheus.io/port"] == str(container["ports"][0]["containerPort"])
        return {annotated["prometheus.io/path"]}
    assert annotated == {}
    (endpoint,) = monitors[0]["spec"]["endpoints"]
    service = the(documents, "Service")
    assert monitors[0]["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    return {endpoint["path"]}


def job(documents: Sequence[Document]) -> str:
    """What the Prometheus operator calls the scrape."""
    (endpoint,) = the(documents, "ServiceMonitor")["spec"]["endpoints"]
    service = the(documents, "Service")["metadata"]
    found = {f"__meta_kubernetes_{kind}": service[key] for kind, key in WHERE.items()}
    (rule,) = [rule for rule in endpoint["relabelings"] if rule["targetLabel"] == "job"]
    return str(rule["separator"].join(found[label] for label in rule["sourceLabels"]))


def test_each_namespace_is_a_job_that_the_rules_look_for() -> None:
    """What one of two lacks, the other would hide."""
    assert [job(overlay(name)) for name in ("production", "gpu")] == ["assay/assay", "assay/assay-gpu"]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_what_is_scaled_on_is_measured(tmp_path: Path) -> None:
    hpa = the(with_components(tmp_path, "hpa"), "HorizontalPodAutoscaler")
    found = [metric["pods"]["metric"]["name"] for metric in hpa["spec"]["metrics"] if "pods" in metric]
    adapter = (KUBERNETES / "components" / "hpa" / "kustomization.yaml").read_text()
    found += re.findall(r"seriesQuery: '(\w+)", adapter)
    for name in ("production", "gpu"):
        scaled = the(overlay(name), "ScaledObject")
        queries = [t["metadata"]["query"] for t in scaled["spec"]["triggers"] if t["type"] == "prometheus"]
        assert queries
        found += [word for query in queries for word in re.findall(r"assay_\w+", query)]
        assert all(f'{{namespace="{scaled["metadata"]["namespace"]}"}}' in query for query in queries)
    assert len(found) == 4
    assert set(found) <= METRICS


@pytest.mark.parametrize("name", CLUSTERS)
def test_selectors_find_the_pods(name: str) -> None:
    documents = overlay(name)
    deployment = the(documents, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    assert the(documents, "Service")["spec"]["selector"].items() <= labels
    for budget in of_kind(documents, "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    for spread in pod(documents)["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"].items() <= labels


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_is_written_goes_to_the_scratch_volume(name: str) -> None:
    (container,) = pod(overlay(name))["containers"]
    scratch = [v["name"] for v in pod(overlay(name))["volumes"] if v.get("emptyDir", {}).get("sizeLimit")]
    (place,) = [m["mountPath"] for m in container["volumeMounts"] if m["name"] in scratch]
    told = {variable["name"]: Path(variable["value"]) for variable in container["env"]}
    assert all(told[home].is_relative_to(place) for home in ("BENTOML_HOME", "HOME"))


@pytest.mark.parametrize("name", ["gpu", "production"])
def test_the_rules_are_those_that_promtool_tests(name: str) -> None:
    rules = (PROJECT / "deploy" / "monitoring" / "rules.yaml").read_text()
    assert the(overlay(name), "PrometheusRule")["spec"] == yaml.safe_load(rules)


@pytest.mark.parametrize("name", CLUSTERS)
def test_keys_are_mounted_where_they_are_read(name: str) -> None:
    documents = overlay(name)
    file = settings(documents).get("ASSAY_API_KEYS_FILE")
    secrets = {v["name"]: v["secret"] for v in pod(documents)["volumes"] if "secret" in v}
    if name == "dev":
        assert (file, secrets) == (None, {})
        return
    (container,) = pod(documents)["containers"]
    paths = {
        f"{mount['mountPath']}/{item['path']}"
        for mount in container["volumeMounts"]
        if mount["name"] in secrets and mount["readOnly"]
        for item in secrets[mount["name"]]["items"]
    }
    assert paths == {file}
    assert {s["defaultMode"] & 0o007 for s in secrets.values()} == {0}
    assert of_kind(documents, "Secret") == []  # made by hand, never written down


def test_versions_of_the_images_are_the_project_s() -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    (version,) = re.findall(r'^version = "(.+)"', project, flags=re.M)
    bentos = [PROJECT / "bentofile.yaml", PROJECT / "deploy" / "evaluation" / "bentofile.yaml"]
    names = {yaml.safe_load(path.read_text())["name"] for path in bentos}
    images = {c["image"] for _, t in templates(overlay("production")) for c in t["spec"]["containers"]}
    assert images == {f"{name}:{version}" for name in names}


def test_as_many_versions_are_scraped_as_is_told() -> None:
    card = read_version(PROJECT / "models" / "zoo" / "digits" / "2").card
    labels = tuple(f"class {i}" for i in range(2 * telemetry.MAX_CLASSES))
    telemetry.Meters(card.model_copy(update={"name": "counted", "labels": labels}))
    lines = exposition().decode().splitlines()
    own = sum('model="counted"' in line for line in lines)
    assert own > telemetry.MAX_CLASSES
    # Without those of what other tests asked about.
    always = sum(not re.match("#|.*(model|route)=", line) for line in lines)
    path = KUBERNETES / "components" / "prometheus-operator" / "servicemonitor.yaml"
    (told,) = re.findall(r"(\d+) versions fit", path.read_text())
    routes = 100 * len(telemetry.ROUTES)  # of times, and of a dozen statuses
    assert always + routes + int(told) * own <= yaml.safe_load(path.read_text())["spec"]["sampleLimit"]

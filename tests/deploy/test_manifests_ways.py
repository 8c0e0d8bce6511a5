"""Other ways in and other places for models: the Ingress, a volume, KServe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kubernetes_validate import validate

from service.access import ADMIN, OPEN
from service.settings import ServiceSettings
from service.telemetry import ROUTES
from tests.deploy.custom import CUSTOM
from tests.deploy.rendered import KUBERNETES, Document, overlay, render, settings, the, with_components
from tests.deploy.restricted import violations


def default(name: str) -> float:
    return float(ServiceSettings.model_fields[name].default)


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return the(with_components(tmp_path_factory.mktemp("ingress"), "ingress"), "Ingress")


def lets_through(ingress: Document, path: str) -> bool:
    """By the rules of `pathType`; a prefix is of whole words."""
    (rule,) = ingress["spec"]["rules"]
    return any(
        path == one["path"] or (one["pathType"] == "Prefix" and path.startswith(f"{one['path']}/"))
        for one in rule["http"]["paths"]
    )


def test_clients_come_in_and_nobody_else_s_routes(ingress: Document) -> None:
    inside = {route.replace("{model}", "digits") for route in ROUTES if not lets_through(ingress, route)}
    administered = {f"{ADMIN}digits/load", f"{ADMIN}digits/unload", "/v2/repository/index"}
    pages = {"/", "/docs.json", "/schema.json"}
    assert inside == administered | pages | {"/livez", "/metrics", "/readyz"}
    assert "/metrics" in OPEN  # it asks for no key, so it must not be reached


def test_limits_of_the_ingress_are_behind_ours(ingress: Document) -> None:
    told = {name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    found = re.fullmatch(r"(\d+)m", told["proxy-body-size"])
    assert found is not None
    assert int(found[1]) * 2**20 >= default("max_body_bytes")
    assert float(told["proxy-read-timeout"]) > default("timeout_s")
    assert float(told["proxy-send-timeout"]) > default("timeout_s")
    (rule,) = ingress["spec"]["rules"]
    service = the(overlay("production"), "Service")
    for one in rule["http"]["paths"]:
        backend = one["backend"]["service"]
        assert backend["name"] == service["metadata"]["name"]
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_models_are_read_from_the_volume(tmp_path: Path) -> None:
    documents = with_components(tmp_path, "model-volume")
    spec = the(documents, "Deployment")["spec"]["template"]["spec"]
    (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "models"]
    assert mount["mountPath"] == settings(documents)["ASSAY_MODEL_REPOSITORY"]
    assert mount["readOnly"] is True
    assert float(settings(documents)["ASSAY_POLL_S"]) > 0  # else what is put there is never seen
    claims = [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if v["name"] == "models"]
    assert claims == [the(documents, "PersistentVolumeClaim")["metadata"]["name"]]


def test_kserve() -> None:
    documents = render(KUBERNETES / "kserve")
    for document in documents:
        CUSTOM[document["kind"]].model_validate(document)
    runtime, service = (the(documents, kind) for kind in ("ServingRuntime", "InferenceService"))
    spec, predictor = runtime["spec"], service["spec"]["predictor"]
    (container,) = spec["containers"]
    pod = {"containers": spec["containers"], "volumes": spec["volumes"]}
    for version in ("1.31", "1.37"):
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "assay"}, "spec": pod}
        validate(whole, version, strict=True)
    assert violations(pod) == []
    assert predictor["automountServiceAccountToken"] is False
    assert predictor["model"]["runtime"] == runtime["metadata"]["name"]
    told = predictor["model"]["modelFormat"]
    assert told.items() <= spec["supportedModelFormats"][0].items()
    assert predictor["model"]["protocolVersion"] in spec["protocolVersions"]
    known = {f"ASSAY_{name.upper()}" for name in ServiceSettings.model_fields}
    own = {e["name"]: e["value"] for e in container["env"]}
    assert {name for name in own if name.startswith("ASSAY_")} <= known
    assert (
        predictor["terminationGracePeriodSeconds"] >= float(own["ASSAY_DRAIN_S"]) + default("timeout_s") + 5
    )
    port = container["ports"][0]["containerPort"]
    probes = [container["readinessProbe"]["httpGet"], container["livenessProbe"]["httpGet"]]
    scraped = {
        name.rpartition("/")[2]: value for name, value in spec["annotations"].items() if "prometheus" in name
    }
    assert {probe["port"] for probe in probes} == {port} == {int(scraped["port"])}
    assert {probe["path"] for probe in probes} | {scraped["path"]} == {"/readyz", "/livez", "/metrics"}


def test_kserve_runs_the_same_container() -> None:
    (here,) = the(render(KUBERNETES / "kserve"), "ServingRuntime")["spec"]["containers"]
    (there,) = the(overlay("production"), "Deployment")["spec"]["template"]["spec"]["containers"]
    for name in ("args", "image", "resources"):
        assert here[name] == there[name]
    same = {e["name"]: e["value"] for e in there["env"]}.items()
    assert same <= {e["name"]: e["value"] for e in here["env"]}.items()

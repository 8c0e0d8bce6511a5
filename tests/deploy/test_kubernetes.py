"""The manifests are valid Kubernetes, agree with each other, and ask for no privilege."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

BASE = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "base"
KUBERNETES = "1.33"


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, Any]]:
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    assert kubectl, "kubectl comes with requirements/dev.txt"
    text = subprocess.run([kubectl, "kustomize", BASE], check=True, capture_output=True, text=True).stdout
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def pod(rendered: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = rendered["Deployment"]["spec"]["template"]["spec"]
    return spec


def container(rendered: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (only,) = pod(rendered)["containers"]
    assert isinstance(only, dict)
    return only


def test_everything_is_valid_kubernetes(rendered: dict[str, dict[str, Any]]) -> None:
    kinds = {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }
    assert set(rendered) == kinds
    for document in rendered.values():
        validate(document, KUBERNETES, strict=True)


def test_the_validator_would_notice(rendered: dict[str, dict[str, Any]]) -> None:
    broken = yaml.safe_load(yaml.safe_dump(rendered["Deployment"]))
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(ValidationError):
        validate(broken, KUBERNETES, strict=True)


def test_no_privilege(rendered: dict[str, dict[str, Any]]) -> None:
    assert pod(rendered)["securityContext"]["runAsNonRoot"] is True
    assert pod(rendered)["securityContext"]["runAsUser"] > 0
    assert pod(rendered)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(rendered)["automountServiceAccountToken"] is False
    own = container(rendered)["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_is_written_goes_to_the_scratch_volume(rendered: dict[str, dict[str, Any]]) -> None:
    (mount,) = container(rendered)["volumeMounts"]
    variables = {v["name"]: v["value"] for v in container(rendered)["env"]}
    assert variables["BENTOML_HOME"].startswith(mount["mountPath"])
    (volume,) = pod(rendered)["volumes"]
    assert volume["emptyDir"]["sizeLimit"]


def test_probes_and_drain(rendered: dict[str, dict[str, Any]]) -> None:
    only = container(rendered)
    paths = {name: only[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/livez"}
    settings = rendered["ConfigMap"]["data"]
    drain = float(settings["ASSAY_DRAIN_S"]) + float(settings["ASSAY_TIMEOUT_S"])
    assert float(settings["ASSAY_DRAIN_S"]) > 2 * only["readinessProbe"]["periodSeconds"] - 1
    assert pod(rendered)["terminationGracePeriodSeconds"] > drain


def test_limits_are_set(rendered: dict[str, dict[str, Any]]) -> None:
    resources = container(rendered)["resources"]
    assert resources["limits"]["memory"]
    assert resources["requests"]["cpu"]


def test_selectors_find_the_pods(rendered: dict[str, dict[str, Any]]) -> None:
    labels = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert rendered["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert rendered["Service"]["spec"]["selector"].items() <= labels
    assert rendered["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
    target = rendered["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", rendered["Deployment"]["metadata"]["name"])
    port = rendered["Service"]["spec"]["ports"][0]["targetPort"]
    assert port in {p["name"] for p in container(rendered)["ports"]}


def test_settings_are_settings_of_the_service(rendered: dict[str, dict[str, Any]]) -> None:
    from service.settings import ServiceSettings

    known = {f"ASSAY_{name.upper()}" for name in ServiceSettings.model_fields}
    assert set(rendered["ConfigMap"]["data"]) <= known

"""Every overlay and every component is valid Kubernetes, and asks for no privilege."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import (
    COMPONENTS,
    KUBERNETES,
    OVERLAYS,
    Document,
    of_kind,
    overlay,
    render,
    settings,
    templates,
    the,
    with_components,
)
from tests.deploy.restricted import violations
from tests.deploy.validated import OF_PODMAN, VERSIONS, faults, pods


def check(documents: Sequence[Document], allowed: Sequence[str] = ()) -> None:
    """Valid in every version, without a privilege but what is allowed; a name is given once."""
    assert [fault for document in documents for fault in faults(document)] == [*allowed]
    names = [(d["apiVersion"], d["kind"], d["metadata"]["name"]) for d in documents]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_is_valid(name: str) -> None:
    check(overlay(name), OF_PODMAN if name == "podman" else ())


def test_the_base_is_valid() -> None:
    check(render(KUBERNETES / "base"))


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_valid_by_itself(name: str, tmp_path: Path) -> None:
    check(with_components(tmp_path, name))


def test_overlays_use_every_component_that_is_no_choice() -> None:
    files = [KUBERNETES / "overlays" / name / "kustomization.yaml" for name in OVERLAYS]
    told = [yaml.safe_load(file.read_text()) for file in files]
    used = {Path(one).name for overlay in told for one in overlay.get("components", ())}
    rollouts, models = {"argo-rollouts", "flagger", "gate"}, {"model-store", "model-volume"}
    assert set(COMPONENTS) - used == {"hpa", "ingress", "locust", "ray"} | rollouts | models


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_one_namespace_that_is_restricted(name: str) -> None:
    documents = overlay(name)
    namespace = the(documents, "Namespace")
    own = namespace["metadata"]["name"]
    assert {d["metadata"].get("namespace") for d in documents if d is not namespace} == {own}
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_excess(name: str) -> None:
    for spec in pods(overlay(name)):
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False  # ASSAY_PORT=tcp://... is no setting
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert not container["image"].endswith(":latest")
            assert container["image"].partition(":")[2]


SPEC: list[tuple[str, list[str | int], Any]] = [
    ("hostNetwork", ["hostNetwork"], True),
    ("hostPID", ["hostPID"], True),
    ("volume", ["volumes", 0], {"name": "tmp", "hostPath": {"path": "/tmp"}}),  # noqa: S108
    ("sysctls", ["securityContext", "sysctls"], [{"name": "net.core.somaxconn", "value": "1"}]),
    ("runAsNonRoot", ["securityContext", "runAsNonRoot"], False),
    ("runAsNonRoot is not said", ["securityContext", "runAsNonRoot"], None),
    ("runAsUser", ["securityContext", "runAsUser"], 0),
    ("seccompProfile", ["securityContext", "seccompProfile"], {"type": "Unconfined"}),
    ("seLinuxOptions", ["securityContext", "seLinuxOptions"], {"type": "spc_t"}),
    ("appArmorProfile", ["securityContext", "appArmorProfile"], {"type": "Unconfined"}),
    ("hostProcess", ["securityContext", "windowsOptions"], {"hostProcess": True}),
    ("runAsUser", ["containers", 0, "securityContext", "runAsUser"], 0),
    ("privileged", ["containers", 0, "securityContext", "privileged"], True),
    ("Escalation", ["containers", 0, "securityContext", "allowPrivilegeEscalation"], True),
    ("capabilities", ["containers", 0, "securityContext", "capabilities"], {"drop": ["NET_RAW"]}),
    ("capabilities", ["containers", 0, "securityContext", "capabilities", "add"], ["SYS_ADMIN"]),
    ("procMount", ["containers", 0, "securityContext", "procMount"], "Unmasked"),
    ("hostPort", ["containers", 0, "ports", 0, "hostPort"], 3000),
    ("another host", ["containers", 0, "livenessProbe", "httpGet", "host"], "169.254.169.254"),
    ("allowPrivilegeEscalation", ["initContainers"], [{"name": "first", "image": "x:1"}]),
]


@pytest.mark.parametrize(("told", "path", "value"), SPEC)
def test_the_policy_would_notice(told: str, path: list[str | int], value: Any) -> None:
    spec = copy.deepcopy(the(overlay("production"), "Deployment")["spec"]["template"]["spec"])
    place = spec
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert any(told in found for found in violations(spec)), violations(spec)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("Deployment", "replica"),
        ("NetworkPolicy", "ingres"),
        ("ScaledObject", "minReplicas"),
        ("PrometheusRule", "group"),
    ],
)
def test_validation_would_notice(kind: str, field: str) -> None:
    broken = copy.deepcopy(of_kind(overlay("production"), kind)[0])
    broken["spec"][field] = 1
    assert any(field in fault for fault in faults(broken))


def test_only_one_scales(tmp_path: Path) -> None:
    (tmp_path / "hpa").mkdir()
    (tmp_path / "keda").mkdir()
    by_queue = the(with_components(tmp_path / "hpa", "hpa"), "HorizontalPodAutoscaler")
    assert [metric["type"] for metric in by_queue["spec"]["metrics"]] == ["Resource", "Pods"]
    keda = with_components(tmp_path / "keda", "keda")
    assert of_kind(keda, "HorizontalPodAutoscaler") == []
    target = the(keda, "ScaledObject")["spec"]["scaleTargetRef"]
    assert target["name"] == the(keda, "Deployment")["metadata"]["name"]
    assert "replicas" not in the(keda, "Deployment")["spec"]  # else every apply undoes what was scaled


README = (KUBERNETES / "README.md").read_text(encoding="utf-8")


def test_every_part_is_told() -> None:
    parts = set(re.findall(r"^\| `(?:components/)?([a-z-]+)`", README, flags=re.M))
    assert parts == {"base", "kserve", *OVERLAYS, *COMPONENTS}


def test_an_overlay_of_one_s_own_is_told(tmp_path: Path) -> None:
    """The README's, as it is written there: its images, and the label that an operator looks for."""
    (told,) = re.findall(r"```yaml\n(.+?)```", README, flags=re.S)
    above = os.path.relpath(KUBERNETES / "overlays", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(told.replace("[../", f"[{above}/"))
    documents = render(tmp_path)
    images = [container["image"] for _, t in templates(documents) for container in t["spec"]["containers"]]
    assert len(images) == 3
    assert all(re.fullmatch(r"registry\.example/assay(-evaluation)?:[\d.]+", image) for image in images)
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert the(documents, kind)["metadata"]["labels"]["release"]
    check(documents)


def test_the_time_of_an_end_is_told() -> None:
    documents = overlay("production")
    told = settings(documents)
    grace = the(documents, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    for name, value in [
        ("ASSAY_DRAIN_S", told["ASSAY_DRAIN_S"]),
        ("ASSAY_TIMEOUT_S", told["ASSAY_TIMEOUT_S"]),
    ]:
        assert f"`{name}` ({value})" in README.replace("\n", " ")
    assert f"`terminationGracePeriodSeconds` ({grace})" in README
    assert all(version in README for version in VERSIONS)

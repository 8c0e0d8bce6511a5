"""Argo Rollouts and Flagger run the very gate of components/gate, and hear of it what it says."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import validate

from eval.jobs.asked import Gate
from eval.jobs.edge import FIXED
from eval.jobs.rollouts import Gates
from eval.jobs.settings import JobSettings
from tests.deploy.custom import CUSTOM
from tests.deploy.rendered import KUBERNETES, Document, of_kind, the, with_components
from tests.deploy.restricted import violations
from tests.deploy.test_manifests import check
from tests.deploy.validated import VERSIONS


def render(folder: Path, *names: str) -> list[Document]:
    folder.mkdir(exist_ok=True)
    return list(with_components(folder, *names))


def named(documents: list[Document], kind: str, name: str) -> Document:
    (only,) = (one for one in of_kind(documents, kind) if one["metadata"]["name"] == name)
    return only


@pytest.fixture(scope="module")
def argo(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return render(tmp_path_factory.mktemp("argo"), "ingress", "argo-rollouts")


@pytest.fixture(scope="module")
def flagger(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return render(tmp_path_factory.mktemp("flagger"), "flagger")


def test_argo_runs_the_job_of_the_gate(argo: list[Document], tmp_path: Path) -> None:
    check(argo)
    plain = render(tmp_path, "gate")
    (metric,) = the(argo, "AnalysisTemplate")["spec"]["metrics"]
    spec = metric["provider"]["job"]["spec"]
    assert spec == the(plain, "Job")["spec"]
    for name in ("assay-gate", "assay-gate-rules"):
        assert named(argo, "ConfigMap", name)["data"] == named(plain, "ConfigMap", name)["data"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "gate"}, "spec": spec}
    for version in VERSIONS:
        validate(job, version, strict=True)
    assert violations(spec["template"]["spec"]) == []
    assert spec["template"]["spec"]["containers"][0]["image"].partition(":")[2]
    assert (metric["count"], metric["failureLimit"], metric["inconclusiveLimit"]) == (1, 0, 0)


def test_argo_gates_before_traffic_moves(argo: list[Document]) -> None:
    canary = the(argo, "Rollout")["spec"]["strategy"]["canary"]
    kinds = [next(iter(step)) for step in canary["steps"]]
    assert kinds.index("analysis") < kinds.index("setWeight")
    assert canary["steps"][0] == {"setCanaryScale": {"replicas": 1}}
    assert canary["stableService"] == "assay"
    services = {one["metadata"]["name"]: one["spec"] for one in of_kind(argo, "Service")}
    assert services[canary["canaryService"]] == services[canary["stableService"]]  # Argo narrows both
    assert canary["trafficRouting"]["nginx"]["stableIngress"] == the(argo, "Ingress")["metadata"]["name"]
    (analysis,) = (step["analysis"] for step in canary["steps"] if "analysis" in step)
    assert analysis["templates"] == [{"templateName": the(argo, "AnalysisTemplate")["metadata"]["name"]}]
    settings = named(argo, "ConfigMap", "assay-gate")["data"]
    assert (settings["CANARY"], settings["STABLE"]) == (canary["canaryService"], canary["stableService"])


@pytest.mark.parametrize("scaler", [(), ("keda",)])
def test_the_pods_are_the_rollout_s(scaler: tuple[str, ...], tmp_path: Path) -> None:
    documents = render(tmp_path, *scaler, "argo-rollouts")
    rollout = the(documents, "Rollout")
    assert rollout["spec"]["workloadRef"]["name"] == the(documents, "Deployment")["metadata"]["name"]
    assert "replicas" not in rollout["spec"]  # else every apply undoes what was scaled
    kind = "ScaledObject" if scaler else "HorizontalPodAutoscaler"
    target = the(documents, kind)["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": rollout["apiVersion"], "kind": "Rollout", "name": "assay"}


def test_blue_green_needs_no_ingress(tmp_path: Path) -> None:
    documents = render(tmp_path, "argo-rollouts", "argo-rollouts/blue-green")
    check(documents)
    (kind,) = strategy = the(documents, "Rollout")["spec"]["strategy"]
    assert kind == "blueGreen"
    assert strategy[kind]["prePromotionAnalysis"]["templates"] == [{"templateName": "assay-gate"}]
    assert strategy[kind]["previewService"] == "assay-canary"


def test_keys_reach_every_way(tmp_path: Path) -> None:
    documents = render(tmp_path / "a", "argo-rollouts", "gate/keys")
    (metric,) = the(documents, "AnalysisTemplate")["spec"]["metrics"]
    (container,) = metric["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-1] == "--header=X-API-Key=$ASSAY_KEY"
    server = named(render(tmp_path / "f", "flagger", "gate/keys"), "Deployment", "assay-gates")
    variables = [one["name"] for one in server["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert variables[-1] == "ASSAY_EVAL_SECRET_KEY"


def test_flagger_asks_routes_that_there_are(flagger: list[Document]) -> None:
    check(flagger)
    canary = the(flagger, "Canary")
    hooks = {hook["type"]: hook for hook in canary["spec"]["analysis"]["webhooks"]}
    service = named(flagger, "Service", "assay-gates")
    for kind, hook in hooks.items():
        host, _, path = hook["url"].removeprefix("http://").partition("/")
        assert host == f"{service['metadata']['name']}.assay.svc"
        assert f"/{path}" in FIXED
        assert path.endswith("rollback") is (kind == "rollback")
        assert hook["metadata"] == {"gate": "assay"}
    # Flagger counts a pre-rollout or rollout hook that is not 200 as a failure of the canary: none of those.
    assert set(hooks) == {"confirm-traffic-increase", "confirm-promotion", "rollback"}
    ref = canary["spec"]["targetRef"]
    assert named(flagger, ref["kind"], ref["name"])["apiVersion"] == ref["apiVersion"]
    assert canary["spec"]["service"]["port"] == named(flagger, "Service", "assay")["spec"]["ports"][0]["port"]


def test_the_gate_server_has_the_gate(flagger: list[Document], tmp_path: Path) -> None:
    server = named(flagger, "Deployment", "assay-gates")["spec"]["template"]["spec"]
    (container,) = server["containers"]
    (volume,) = (one for one in server["volumes"] if one["name"] == "gates")
    for source in volume["projected"]["sources"]:
        for name, text in named(flagger, "ConfigMap", source["configMap"]["name"])["data"].items():
            (tmp_path / name).write_text(text)
    gate = Gates(tmp_path).read("assay")
    assert isinstance(gate, Gate)
    assert gate.rules.audit is not None
    canary = the(flagger, "Canary")["metadata"]["name"]
    hosts = [f"http://{canary}-canary.assay.svc", f"http://{canary}-primary.assay.svc"]  # that Flagger makes
    assert gate.urls == hosts
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    told = {one["name"]: one["value"] for one in container["env"]}
    assert told["ASSAY_EVAL_GATES_DIR"] == mounts["gates"]
    assert told["ASSAY_EVAL_HOME"] == mounts["results"]
    ours = {name for name in told if name.startswith("ASSAY_EVAL_")}
    assert ours <= {f"ASSAY_EVAL_{name.upper()}" for name in JobSettings.model_fields}
    assert container["command"][:3] == ["python", "-m", "eval.jobs"]
    assert container["command"][-1] == str(container["ports"][0]["containerPort"])
    assert violations(server) == []
    assert named(flagger, "Deployment", "assay-gates")["spec"]["replicas"] == 1  # one queue, one disk
    policy = the(flagger, "NetworkPolicy")["spec"]
    ((client,),) = (rule["from"] for rule in policy["ingress"])
    assert client["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "flagger-system"
    labels = named(flagger, "Deployment", "assay")["spec"]["template"]["metadata"]["labels"]
    reached = policy["egress"][0]["to"][0]["podSelector"]["matchLabels"]
    assert reached.items() <= labels.items()
    assert "app.kubernetes.io/name" not in reached  # which Flagger changes in the primary


@pytest.mark.parametrize("kind", ["AnalysisTemplate", "Rollout", "Canary"])
def test_a_field_that_is_none_would_be_noticed(
    kind: str, argo: list[Document], flagger: list[Document]
) -> None:
    broken = copy.deepcopy(the([*argo, *flagger] if kind != "Canary" else flagger, kind))
    broken["spec"]["stratgy"] = {}
    with pytest.raises(ValueError, match="stratgy"):
        CUSTOM[kind].model_validate(broken)


def test_the_two_texts_of_the_job_s_settings_are_one() -> None:
    literals = []
    for name in ("gate", "argo-rollouts"):
        told = yaml.safe_load((KUBERNETES / "components" / name / "kustomization.yaml").read_text())
        literals.append(told["configMapGenerator"][0]["literals"])
    assert literals[0] == literals[1]

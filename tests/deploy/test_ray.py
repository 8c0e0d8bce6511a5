"""The audit on a Ray cluster: its pods, whom they reach, and its command, which really runs."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pytest
from kubernetes_validate import ValidationError, validate

from eval.cli import cli
from eval.target import authorise
from tests.deploy.custom import RayJob
from tests.deploy.rendered import KUBERNETES, Document, of_kind, the, with_components
from tests.deploy.restricted import violations
from tests.e2e.processes import ROOT, running_service

CONTAINERFILE = (KUBERNETES / "components" / "ray" / "Containerfile").read_text()
VERSIONS = ("1.31", "1.37")
KEY = "a key that only this test knows"
FEW = "--samples=1 --budget=20 --attacks=square --corruptions= --no-stability --no-curve"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return list(with_components(tmp_path_factory.mktemp("ray"), "evaluation", "network-policy", "ray"))


@pytest.fixture(scope="module")
def job(documents: list[Document]) -> Document:
    return the(documents, "RayJob")


def templates(job: Document) -> list[Document]:
    cluster = job["spec"]["rayClusterSpec"]
    return [one["template"] for one in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_its_pods_are_valid_and_restricted(job: Document) -> None:
    RayJob.model_validate(job)
    for template in templates(job):
        for number in VERSIONS:
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray", **template["metadata"]}}
            validate({**pod, "spec": template["spec"]}, number, strict=True)
        spec = template["spec"]
        assert violations(spec) == []
        assert spec["automountServiceAccountToken"] is False
        assert all(c["securityContext"]["readOnlyRootFilesystem"] is True for c in spec["containers"])
    # A pod that hands the work over would be KubeRay's own, which `restricted` refuses.
    assert job["spec"]["submissionMode"] == "HTTPMode"
    assert job["spec"]["suspend"] is True  # nobody is attacked by being deployed


def test_a_wrong_one_would_be_noticed(job: Document) -> None:
    broken = copy.deepcopy(job)
    broken["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replica"] = 3
    with pytest.raises(ValueError, match="replica"):
        RayJob.model_validate(broken)
    spec = copy.deepcopy(templates(job)[0]["spec"])
    spec["containers"][0]["imagePullPolice"] = "Always"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": spec}
    with pytest.raises(ValidationError):
        validate(pod, VERSIONS[0], strict=True)


def test_its_pods_reach_the_service_and_each_other_alone(documents: list[Document], job: Document) -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in of_kind(documents, "NetworkPolicy")}
    own = policies["assay-audit-ray"]
    (rule,) = policies["assay-service"]["ingress"]
    admitted = [peer["podSelector"]["matchLabels"] for peer in rule["from"] if "podSelector" in peer]
    for template in templates(job):
        labels = template["metadata"]["labels"]
        assert own["podSelector"]["matchLabels"].items() <= labels.items()
        assert any(told.items() <= labels.items() for told in admitted)
    assert own["policyTypes"] == ["Ingress", "Egress"]
    inside, operator = own["ingress"]
    assert inside["from"] == [{"podSelector": own["podSelector"]}]
    ports = {p["name"] for t in templates(job) for c in t["spec"]["containers"] for p in c.get("ports", ())}
    assert {port["port"] for port in operator["ports"]} <= ports
    assert operator["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "kuberay-operator"}


def test_the_command_line_is_understood(job: Document, documents: list[Document]) -> None:
    words = job["spec"]["entrypoint"].replace("$NAMESPACE", "ns").split()
    assert words[:4] == ["python", "-m", "eval", "audit"]
    told = cli.commands["audit"].make_context("audit", words[4:]).params
    assert (told["ray"], told["resume"]) == ("auto", True)  # a second try goes on
    authorise(told["url"])
    head = templates(job)[0]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in head["containers"][0]["volumeMounts"]}
    assert told["out"].is_relative_to(mounts["results"])
    (claim,) = [volume for volume in head["volumes"] if volume["name"] == "results"]
    assert (
        claim["persistentVolumeClaim"]["claimName"]
        == the(documents, "PersistentVolumeClaim")["metadata"]["name"]
    )


def test_the_image_is_of_the_same_ray_and_has_what_is_imported(job: Document) -> None:
    (number,) = re.findall(r"^ARG BASE=.+:([\d.]+)-py311$", CONTAINERFILE, flags=re.M)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == number
    images = {c["image"].partition(":")[0] for t in templates(job) for c in t["spec"]["containers"]}
    assert images == {"assay-ray"}
    copied = re.findall(r"^COPY (models/\S+) ", CONTAINERFILE, flags=re.M)
    folders = {path.removeprefix("models/") for path in copied} - {"*.py"}
    torch_rooms = {"export", "optimise"}  # `assay optimise` and white boxes need more than this image has
    assert _imported() - torch_rooms <= folders


def _imported() -> set[str]:
    """Packages of `models` that `eval` or `models` itself imports."""
    found = set()
    for path in (*(ROOT / "eval").rglob("*.py"), *(ROOT / "models").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("models."):
                found.add(node.module.split(".")[1])
    return {name for name in found if (ROOT / "models" / name).is_dir()}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the `ray` extra")
def test_it_really_runs_on_workers_of_ray(job: Document, tmp_path: Path) -> None:
    """The entrypoint, by a shell as Ray does it, on a cluster of this machine, at a service with keys."""
    keys, models = tmp_path / "keys", tmp_path / "models"
    keys.write_text(f"{KEY}\n")
    models.mkdir()
    (models / "scenes-detector").symlink_to(ROOT / "models" / "zoo" / "scenes-detector")
    out = tmp_path / "assay-audit-ray"
    with running_service(tmp_path / "home", api_keys_file=keys, model_repository=models) as url:
        told = job["spec"]["entrypoint"].replace("http://assay.$NAMESPACE.svc", url)
        told = told.replace("--ray=auto", "--ray=local --workers=2").replace("/results/", f"{tmp_path}/")
        told = f"{told} {FEW} --header='X-API-Key=$ASSAY_KEY'"  # as kustomization.yaml says
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        environment |= {"ASSAY_KEY": KEY, "RAY_USAGE_STATS_ENABLED": "0"}
        done = subprocess.run(told, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True)  # noqa: S602
    assert done.returncode == 0, done.stdout + done.stderr
    report = (out / "report.json").read_text()
    assert json.loads(report)["valid"] is True
    assert KEY not in report
    assert KEY not in json.dumps(job)


def test_the_version_is_one_that_the_extra_allows() -> None:
    try:
        installed = version("ray")
    except PackageNotFoundError:
        pytest.skip("needs the `ray` extra")
    assert f"ray:{installed}-" in CONTAINERFILE

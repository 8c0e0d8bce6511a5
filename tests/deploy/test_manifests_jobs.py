"""The CronJobs' commands are commands of ours, and really run against a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from eval.cli import cli
from eval.target import authorise
from tests.deploy.rendered import (
    CLUSTERS,
    Document,
    filled_in,
    of_kind,
    overlay,
    templates,
    the,
    with_components,
)
from tests.e2e.processes import ROOT, running_service

KEY = "a key that only this test knows"
FEW = {
    "evaluate": ["--limit=3"],
    "audit": ["--samples=1", "--budget=20", "--attacks=square", "--corruptions="],
}


def jobs(name: str) -> dict[str, Document]:
    """Pod spec of each CronJob of an overlay, by its verb."""
    specs = (c["spec"]["jobTemplate"]["spec"]["template"]["spec"] for c in of_kind(overlay(name), "CronJob"))
    return {spec["containers"][0]["args"][0]: spec for spec in specs}


def command(spec: Document, namespace: str, results: Path) -> list[str]:
    """What Kubernetes would start, with its `$(NAME)` filled in, and another disk for the results."""
    (container,) = spec["containers"]
    assert {"command", "workingDir"}.isdisjoint(container)  # the image's: `python -m eval`
    words = filled_in(container, namespace=namespace, job="job-1")
    mount = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "results")
    return [word.replace(f"--out={mount}", f"--out={results}") for word in words]


@pytest.mark.parametrize("verb", sorted(FEW))
@pytest.mark.parametrize("name", CLUSTERS)
def test_the_command_line_is_understood(name: str, verb: str, tmp_path: Path) -> None:
    namespace = the(overlay(name), "Namespace")["metadata"]["name"]
    spec = jobs(name)[verb]
    words = command(spec, namespace, tmp_path)
    told = cli.commands[verb].make_context(verb, words[1:]).params
    assert told["out"] == tmp_path / "job-1"
    assert told["resume"] is True  # a pod that takes over goes on
    assert told["url"] == f"http://{the(overlay(name), 'Service')['metadata']['name']}.{namespace}.svc"
    authorise(told["url"])  # inside the cluster: no host need be named
    variables = {e["name"] for e in spec["containers"][0]["env"] if "secretKeyRef" in e.get("valueFrom", {})}
    assert told["headers"] == tuple(f"X-API-Key=${variable}" for variable in variables)
    assert bool(variables) is (name != "dev")


def test_a_wrong_command_line_would_be_noticed(tmp_path: Path) -> None:
    words = [*command(jobs("dev")["audit"], "assay-dev", tmp_path), "--sweet=quick"]
    with pytest.raises(click.UsageError):
        cli.commands["audit"].make_context("audit", words[1:])


def test_who_uses_the_claim_goes_where_it_is(tmp_path: Path) -> None:
    """A ReadWriteOnce claim is on one node at a time, and on no other."""
    documents = with_components(tmp_path, "evaluation", "locust", "ray")
    head = the(documents, "RayJob")["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    users = [
        template
        for template in [head, *(template for _, template in templates(documents))]
        if any("persistentVolumeClaim" in volume for volume in template["spec"].get("volumes", []))
    ]
    assert len(users) == 5
    for user in users:
        affinity = user["spec"]["affinity"]["podAffinity"]
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        (wanted,) = term["labelSelector"]["matchLabels"].items()
        assert wanted in user["metadata"]["labels"].items()


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_is_tried_again(name: str) -> None:
    """Exit codes 2 and 3 say the same each time; a pod that was evicted is not to blame."""
    for cron in of_kind(overlay(name), "CronJob"):
        job = cron["spec"]["jobTemplate"]["spec"]
        spec = job["template"]["spec"]
        rules = {rule["action"]: rule for rule in job["podFailurePolicy"]["rules"]}
        assert rules["Ignore"]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
        failing = rules["FailJob"]["onExitCodes"]
        assert failing == {
            "containerName": spec["containers"][0]["name"],
            "operator": "In",
            "values": [2, 3],
        }
        assert spec["restartPolicy"] == "Never"  # else there is no such policy
        assert job["backoffLimit"] > 0
        assert job["activeDeadlineSeconds"]
        assert cron["spec"]["concurrencyPolicy"] == "Forbid"
        claim = the(overlay(name), "PersistentVolumeClaim")["metadata"]["name"]
        claims = [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "emptyDir" not in v]
        assert claims == [claim]
        assert cron["spec"].get("suspend", False) is (name == "dev")


@pytest.mark.slow
def test_they_really_run_with_a_key(tmp_path: Path) -> None:
    keys, models = tmp_path / "keys", tmp_path / "models"
    keys.write_text(f"{KEY}\n")
    models.mkdir()
    (models / "scenes-detector").symlink_to(ROOT / "models" / "zoo" / "scenes-detector")

    def run(verb: str, url: str) -> subprocess.CompletedProcess[str]:
        words = command(jobs("production")[verb], "assay", tmp_path / verb)
        words = [url if word == "http://assay.assay.svc" else word for word in words]
        told = [sys.executable, "-m", "eval", *words, *FEW[verb]]
        environment = {**os.environ, "ASSAY_KEY": KEY}
        return subprocess.run(told, cwd=ROOT, env=environment, capture_output=True, text=True)

    with running_service(tmp_path / "home", api_keys_file=keys, model_repository=models) as url:
        for verb in ("evaluate", "audit", "evaluate"):  # the last one finds what the first has recorded
            done = run(verb, url)
            assert done.returncode == 0, done.stdout + done.stderr
            report = (tmp_path / verb / "job-1" / "report.json").read_text()
            assert json.loads(report)["valid"] is True
            assert KEY not in report

"""The Job of components/gate: what it asks, what is tried again, and how good and bad canaries end."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from eval.cli import cli
from eval.comparison.states import known
from eval.data.tables import open_data
from eval.gate.brief import MOST_BYTES
from eval.gate.rules import read_rules
from eval.served import ROOT, served
from eval.target import authorise
from models.card import ModelCard
from tests.deploy.gate_job import (
    NAMESPACE,
    UID,
    Ended,
    container_engine,
    controlled,
    gate_documents,
    judged,
    maps,
    words,
)
from tests.deploy.gate_models import ROLLOUT, SLOW_S, USUAL_S, canaries, rules, slowed
from tests.deploy.rendered import Document, of_kind, the, with_components
from tests.deploy.restricted import violations
from tests.deploy.test_manifests import check


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return list(with_components(tmp_path_factory.mktemp("gate"), "gate"))


@pytest.fixture(scope="module")
def job(documents: list[Document]) -> Document:
    return the(documents, "Job")


def told(job: Document, documents: list[Document]) -> dict[str, object]:
    filled = words(job, documents)
    return dict(cli.commands["gate"].make_context("gate", filled[1:], resilient_parsing=False).params)


def test_the_command_line_is_understood(job: Document, documents: list[Document]) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "command" not in container  # the image's own: python -m eval
    assert words(job, documents)[0] == "gate"
    params = told(job, documents)
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert params["rules"] == Path(mounts["rules"]) / "rollout.yaml"
    assert params["subject"] == f"http://assay-canary.{NAMESPACE}.svc#digits"
    assert params["baseline"] == f"http://assay.{NAMESPACE}.svc#digits"
    assert params["out"] == Path(mounts["results"]) / UID  # of this Job, for whoever takes over
    assert params["resume"] is True
    assert params["message"] == Path(container["terminationMessagePath"])
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert (
        MOST_BYTES == 4096
    )  # https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure
    for side in (params["subject"], params["baseline"]):
        authorise(str(side))  # inside the cluster: no host need be named


def test_its_rules_are_the_shipped_ones(documents: list[Document], tmp_path: Path) -> None:
    text = maps(documents)["assay-gate-rules"]["rollout.yaml"]
    assert text == ROLLOUT.read_text()
    (tmp_path / "rules.yaml").write_text(text)
    found = read_rules(tmp_path / "rules.yaml")
    assert found.audit is not None
    assert found.timed
    assert "errors" in found.require


def test_its_rules_are_about_what_it_asks(documents: list[Document], tmp_path: Path) -> None:
    """The scores are scores of the task of the model that is named, and the data are data of that task."""
    settings = maps(documents)["assay-gate"]
    versions = ROOT / "models" / "zoo" / settings["CANARY_MODEL"]
    card = ModelCard.read(versions / "1" / "card.json")
    (tmp_path / "rules.yaml").write_text(maps(documents)["assay-gate-rules"]["rollout.yaml"])
    found = read_rules(tmp_path / "rules.yaml")
    named = [name for name in (*found.require, *found.against) if not name.startswith(("audit.", "latency."))]
    assert set(named) <= {*known(card.task, card.labels), "errors"}
    data = open_data(settings["DATA"], card.task).in_classes_of(card.labels)
    assert len(data) >= 869  # what a margin of 0.02 wants, docs/rollouts.md


def test_a_key_is_read_from_the_secret(tmp_path: Path) -> None:
    (only,) = of_kind(with_components(tmp_path, "gate", "gate/keys"), "Job")
    (container,) = only["spec"]["template"]["spec"]["containers"]
    assert container["args"][-1] == "--header=X-API-Key=$ASSAY_KEY"
    (key,) = (one for one in container["env"] if one["name"] == "ASSAY_KEY")
    assert key["valueFrom"] == {"secretKeyRef": {"name": "assay-keys", "key": "evaluation"}}


def test_two_versions_behind_one_service(tmp_path: Path) -> None:
    sides = {"CANARY": "assay", "CANARY_MODEL": "digits/2", "STABLE_MODEL": "digits/1"}
    made = gate_documents(tmp_path, ROLLOUT.read_text(), **sides)
    params = told(the(made, "Job"), list(made))
    service = f"http://assay.{NAMESPACE}.svc"
    assert (params["subject"], params["baseline"]) == (f"{service}#digits/2", f"{service}#digits/1")


def test_it_is_valid_and_restricted(documents: list[Document], job: Document) -> None:
    check(documents)
    spec = job["spec"]["template"]["spec"]
    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "evaluation"  # whom the network policies let in


@pytest.mark.parametrize(
    ("ends", "result", "pods"),
    [
        ([0], "Complete", 1),
        ([1, 0], "Failed", 1),  # a failed gate is never tried again
        ([3, 0], "Failed", 1),  # nor one that could not decide
        ([2, 0], "Complete", 2),  # what could not be asked is
        ([2, 2, 137, 0], "Complete", 4),
        ([2, 1, 0], "Failed", 2),
        ([2] * 9, "Failed", 4),  # but not for ever
        ([(1, "DisruptionTarget"), 0], "Complete", 2),
        ([*[(143, "DisruptionTarget")] * 9, 0], "Complete", 10),  # an eviction counts as nothing
        ([(2, "PodReadyToStartContainers"), 0], "Complete", 2),
    ],
)
def test_what_is_tried_again(
    job: Document, ends: list[int | tuple[int, str]], result: str, pods: int
) -> None:
    left = iter(ends)

    def pod(_: Document) -> Ended:
        end = next(left)
        return Ended(end) if isinstance(end, int) else Ended(end[0], end[1:])

    outcome = controlled(job, pod)
    assert (outcome.result, len(outcome.pods)) == (result, pods)


def test_without_its_policy_a_failed_gate_would_be_tried_again(job: Document) -> None:
    changed = copy.deepcopy(job)
    changed["spec"]["podFailurePolicy"]["rules"].pop()
    ends = iter([1, 0])
    assert controlled(changed, lambda _: Ended(next(ends))).codes == [1, 0]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    root = canaries(tmp_path_factory.mktemp("canaries"))
    now = tmp_path_factory.mktemp("stable")
    (now / "digits").symlink_to(root / "digits")
    with served(model_repository=now) as stable, served(model_repository=root) as canary:
        yield stable, canary


SETTINGS = {"STABLE_MODEL": "digits", "DATA": "digits:test", "MAX_QPS": 100_000}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "result", "rule"),
    [
        ("good", "Complete", None),
        ("worse", "Failed", "accuracy"),
        ("fragile", "Failed", "audit.robust_accuracy"),
        ("slow", "Failed", "latency.p50_ms"),
    ],
)
def test_good_and_bad_canaries(
    services: tuple[str, str], tmp_path: Path, model: str, result: str, rule: str | None
) -> None:
    with (
        slowed(services[0], USUAL_S) as stable,
        slowed(services[1], SLOW_S if model == "slow" else USUAL_S) as canary,
    ):
        there = {"assay": stable, "assay-canary": canary}
        name = "good" if model == "slow" else model
        outcome = judged(
            tmp_path / "o", rules(pairs="60"), there, container_engine(), CANARY_MODEL=name, **SETTINGS
        )
    (pod,) = outcome.pods
    assert (outcome.result, pod.code) == (result, 1 if rule else 0), pod.told + pod.message
    first, *others = pod.message.splitlines()
    assert first == f"{name}/1: {'fail' if rule else 'pass'}"
    assert rule is None or any(line.startswith(f"fail: {rule} against digits/1: ") for line in others)
    assert len(others) == 4


@pytest.mark.slow
def test_a_canary_that_is_not_there_is_tried_again_and_never_judged(
    services: tuple[str, str], tmp_path: Path
) -> None:
    there = {"assay": services[0], "assay-canary": "http://127.0.0.1:1"}
    outcome = judged(tmp_path, rules(), there, container_engine(), CANARY_MODEL="good", **SETTINGS)
    assert outcome.result == "Failed"
    assert outcome.codes == [2] * 4  # backoffLimit 3
    assert "could not be asked" in outcome.pods[-1].message
    assert "is the service running?" in outcome.pods[-1].message


@pytest.mark.slow
def test_too_few_images_to_tell_is_said_once(services: tuple[str, str], tmp_path: Path) -> None:
    there = {"assay": services[0], "assay-canary": services[1]}
    few = "against:\n  accuracy: {not_worse_by: 0.0001}\n"
    outcome = judged(tmp_path, few, there, None, CANARY_MODEL="good", **SETTINGS)
    assert (outcome.result, outcome.codes) == ("Failed", [3])
    assert outcome.pods[0].message.startswith("good/1: inconclusive\n")


def test_the_shipped_rules_are_those_of_the_document() -> None:
    text = (ROOT / "docs" / "rollouts.md").read_text()
    block = text.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(block) == yaml.safe_load(ROLLOUT.read_text())

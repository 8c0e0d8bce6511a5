"""What the manifests say of the containers is what the images are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deploy.image.bento import BENTOS
from tests.deploy.rendered import CLUSTERS, KUBERNETES, overlay, templates, the

DEPLOY = KUBERNETES.parent
FILES = {"assay": DEPLOY / "image", "assay-evaluation": DEPLOY / "evaluation"}
TEXTS = {name: (folder / "Containerfile").read_text() for name, folder in FILES.items()}


def said(image: str, directive: str) -> str:
    """The words of a directive of the last stage, which is what is shipped."""
    stage = TEXTS[image].replace("\\\n", "").rpartition("\nFROM ")[2]
    (words,) = re.findall(rf"^{directive} (.+)$", stage, flags=re.M)
    return str(words)


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_user_is_the_image_s(name: str) -> None:
    for _, template in templates(overlay(name)):
        own = template["spec"]["securityContext"]
        for container in template["spec"]["containers"]:
            image = Path(container["image"]).name.partition(":")[0]
            assert said(image, "USER") == f"{own['runAsUser']}:{own['runAsGroup']}"


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_service_is_started_as_the_image_starts_it(name: str) -> None:
    (container,) = the(overlay(name), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "command" not in container
    assert json.loads(said("assay", "ENTRYPOINT")) == ["python", "-m", "service"]
    assert json.loads(said("assay", "CMD")) == container["args"]
    assert int(said("assay", "EXPOSE")) == container["ports"][0]["containerPort"]
    assert said("assay", "STOPSIGNAL") == "SIGTERM"  # the kubelet's, which the service takes for a drain
    variables = dict(re.findall(r"(\w+)=(\S+)", said("assay", "ENV")))
    told = {one["name"]: one["value"] for one in container["env"]}
    assert told.items() <= variables.items()
    assert container["readinessProbe"]["httpGet"]["path"] in said("assay", "HEALTHCHECK")


@pytest.mark.parametrize("name", ["dev", "podman"])
def test_what_runs_here_is_what_was_built_here(name: str) -> None:
    found = {c["image"] for _, template in templates(overlay(name)) for c in template["spec"]["containers"]}
    assert found == {bento.image for bento in BENTOS}
    if name == "dev":
        told = (KUBERNETES / "overlays" / name / "kustomization.yaml").read_text()
        assert all(image in told for image in found)


def test_jobs_are_given_to_the_image_s_program() -> None:
    assert json.loads(said("assay-evaluation", "ENTRYPOINT")) == ["python", "-m", "eval"]
    assert said("assay-evaluation", "WORKDIR") == "/assay"

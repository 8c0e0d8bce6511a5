"""The overlay for podman is production, but for what its comments say."""

from __future__ import annotations

import copy

import pytest

from tests.deploy.rendered import Document, overlay, templates, the


def container(documents: Document) -> Document:
    (only,) = documents["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_it_is_production_when_the_patches_are_taken_back() -> None:
    here, there = copy.deepcopy(overlay("podman")), overlay("production")
    # A claim would be a volume that outlives the Pod, and podman 4 starts no second time where it is.
    there = [d for d in there if d["kind"] != "PersistentVolumeClaim"]
    for _, template in templates(here):
        for one in template["spec"]["containers"]:
            one["image"] = one["image"].removeprefix("localhost/")
    mine, its = the(here, "Deployment"), the(there, "Deployment")
    (port,) = container(mine)["ports"]
    assert (port.pop("hostIP"), port.pop("hostPort")) == ("127.0.0.1", port["containerPort"])
    for probe in ("startupProbe", "livenessProbe"):
        assert probe not in container(mine)
        container(mine)[probe] = container(its)[probe]
    volumes = mine["spec"]["template"]["spec"]["volumes"]
    (keys,) = [number for number, volume in enumerate(volumes) if volume["name"] == "keys"]
    assert volumes[keys]["hostPath"] == {"path": "/etc/assay/keys", "type": "Directory"}
    (volumes[keys],) = [v for v in its["spec"]["template"]["spec"]["volumes"] if v["name"] == "keys"]
    assert [d["metadata"]["name"] for d in here] == [d["metadata"]["name"] for d in there]
    for one, other in zip(here, there, strict=True):
        assert one == other


@pytest.mark.parametrize(
    "what", ["args", "env", "envFrom", "resources", "securityContext", "volumeMounts", "readinessProbe"]
)
def test_it_runs_the_container_of_the_base(what: str) -> None:
    there = container(the(overlay("production"), "Deployment"))
    assert container(the(overlay("podman"), "Deployment"))[what] == there[what]

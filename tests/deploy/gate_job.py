"""A Job as Kubernetes runs it, as far as one machine can: its pod's command, and what follows its exit code.

The pod is a container of the real image where podman and the image are there, else a process with the same
arguments. The controller is the part of Kubernetes' that decides whether another pod is made; it waits for
no back-off.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from deploy.image.engine import Engine, EngineError, find
from tests.deploy.rendered import KUBERNETES, Document, of_kind, render, the
from tests.e2e.processes import ROOT

IMAGE = "localhost/assay-evaluation:0.1.0"
NAMESPACE = "shop"
UID = "0f3c9a1e"
FIELDS = {"metadata.namespace": NAMESPACE, "metadata.labels['batch.kubernetes.io/controller-uid']": UID}
USER = 10001


@dataclass
class Ended:
    """One pod that has ended.

    Attributes:
        conditions: of the pod that are true, such as `DisruptionTarget`.
        message: that it left behind.
    """

    code: int
    conditions: tuple[str, ...] = ()
    message: str = ""
    told: str = ""


@dataclass
class Outcome:
    """A Job that is over; its pods, in the order they ran."""

    result: Literal["Complete", "Failed"]
    pods: list[Ended] = field(default_factory=list)

    @property
    def codes(self) -> list[int]:
        return [pod.code for pod in self.pods]


Pod: TypeAlias = Callable[[Document], Ended]  # runs one pod of a Job to its end


def controlled(job: Document, pod: Pod, most: int = 20) -> Outcome:
    """Pods until one succeeds, a rule fails the Job, or more than `backoffLimit` failed.

    https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
    """
    spec, failures, pods = job["spec"], 0, list[Ended]()
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # else there is no such policy
    while len(pods) < most:
        ended = pod(job)
        pods.append(ended)
        if ended.code == 0:
            return Outcome("Complete", pods)
        action = next((r["action"] for r in spec["podFailurePolicy"]["rules"] if _matches(r, ended)), "Count")
        if action == "FailJob":
            return Outcome("Failed", pods)
        failures += action == "Count"
        if failures > spec["backoffLimit"]:
            return Outcome("Failed", pods)
    raise AssertionError("it would go on for ever")


def _matches(rule: Mapping[str, Any], ended: Ended) -> bool:
    if (codes := rule.get("onExitCodes")) is not None:
        return (ended.code in codes["values"]) is (codes["operator"] == "In")
    return any(one["type"] in ended.conditions and one["status"] == "True" for one in rule["onPodConditions"])


def gate_documents(folder: Path, rules: str, **settings: object) -> Sequence[Document]:
    """The gate as an overlay makes it that gives its own rules and settings."""
    here = os.path.relpath(KUBERNETES, folder.resolve())
    changed: dict[str, dict[str, object]] = {
        "assay-gate-rules": {"rollout.yaml": rules},
        "assay-gate": dict(settings),
    }
    told = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "components": [f"{here}/components/gate"],
        "patches": [
            {"patch": yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                    "data": {key: str(value) for key, value in data.items()},
                }
            )}
            for name, data in changed.items()
        ],
    }  # fmt: skip
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(told))
    return render(folder)


def maps(documents: Sequence[Document]) -> dict[str, dict[str, str]]:
    """Name -> data of the ConfigMaps."""
    return {one["metadata"]["name"]: one["data"] for one in of_kind(documents, "ConfigMap")}


def words(job: Document, documents: Sequence[Document]) -> list[str]:
    """The container's arguments, every `$(NAME)` filled in as Kubernetes does."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    values: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        values |= maps(documents)[source["configMapRef"]["name"]]
    for one in container["env"]:
        path = one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        values[one["name"]] = FIELDS[path] if path else one.get("value", "")
    filled = list[str](container["args"])
    for name, value in values.items():
        filled = [word.replace(f"$({name})", value) for word in filled]
    assert not [word for word in filled if "$(" in word]
    return filled


HASHES = """
import hashlib, json, pathlib
files = pathlib.Path("eval").rglob("*.py")
print(json.dumps({str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}))
"""


@cache
def container_engine() -> Engine | None:
    """What runs the image here; None where there is no engine, no image, or an image of other sources."""
    try:
        engine = find(("podman",))
    except EngineError:
        return None
    if not engine.has_image(IMAGE) or not engine.has_host_network:
        return None
    asked = ("run", "--rm", "--network=none", "--entrypoint=python", IMAGE, "-c", HASHES)
    inside = json.loads(engine.ask(*asked))
    ours = {
        name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
        for name in inside
        if (ROOT / name).is_file()
    }
    return engine if inside == ours else None


def pod_of(documents: Sequence[Document], services: Mapping[str, str], engine: Engine | None) -> Pod:
    """What runs the Job's pod; `services`, name -> address, stand for the cluster's."""

    def run(job: Document) -> Ended:
        filled = words(job, documents)
        for name, url in services.items():
            filled = [word.replace(f"http://{name}.{NAMESPACE}.svc", url) for word in filled]
        with tempfile.TemporaryDirectory() as place:
            return _run(job, documents, filled, Path(place), engine)

    return run


def _run(
    job: Document, documents: Sequence[Document], filled: list[str], place: Path, engine: Engine | None
) -> Ended:
    mounts = dict(_mounts(job, documents, place))
    message = place / "termination-log"
    message.touch(0o666)
    for path in (place, *place.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    inside = {**mounts, "/dev/termination-log": message}
    if engine is not None:
        volumes = [word for there, here in inside.items() for word in ("-v", f"{here}:{there}")]
        hard = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={USER}:{USER}"]
        command = engine.command("run", "--rm", *hard, *volumes, "--env=HOME=/tmp", IMAGE, *filled)
        environment = engine.variables()
    else:
        for there, here in sorted(inside.items(), reverse=True):
            filled = [_moved(word, there, here) for word in filled]
        command, environment = [sys.executable, "-m", "eval", *filled], {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return Ended(done.returncode, message=message.read_text(), told=done.stdout + done.stderr)


def _moved(word: str, there: str, here: Path) -> str:
    option, equals, value = word.rpartition("=")
    return option + equals + str(here) + value.removeprefix(there) if value.startswith(there) else word


def _mounts(job: Document, documents: Sequence[Document], place: Path) -> Iterator[tuple[str, Path]]:
    """Path in the container -> folder here: ConfigMaps with their files, empty ones for the rest."""
    pod = job["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in pod["containers"][0]["volumeMounts"]:
        folder = place / mount["name"]
        folder.mkdir()
        if (source := volumes[mount["name"]].get("configMap")) is not None:
            for name, text in maps(documents)[source["name"]].items():
                (folder / name).write_text(text)
        yield mount["mountPath"], folder


def judged(
    folder: Path, rules: str, services: Mapping[str, str], engine: Engine | None, **settings: object
) -> Outcome:
    """The Job of components/gate, rendered with these rules and settings and run to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = gate_documents(folder, rules, **settings)
    return controlled(the(documents, "Job"), pod_of(documents, services, engine))

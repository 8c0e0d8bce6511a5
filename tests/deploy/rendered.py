"""Manifests as kustomize makes them, and what the tests look for in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
OVERLAYS, COMPONENTS = (
    tuple(sorted(file.parent.name for file in (KUBERNETES / kind).glob("*/kustomization.yaml")))
    for kind in ("overlays", "components")
)
CLUSTERS = tuple(
    name for name in OVERLAYS if name != "podman"
)  # that one is production, but for what is told
AT_REST = 0.3e9  # bytes that the service holds with the whole zoo, loaded and warm; test_pod.py measures it
Document: TypeAlias = dict[str, Any]


@cache
def render(folder: Path) -> Sequence[Document]:
    """Every object of a kustomization. Shared by the tests: copy before you change one."""
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    assert kubectl, "kubectl comes with requirements/dev.txt"
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))  # 40 times as fast


def overlay(name: str) -> Sequence[Document]:
    return render(KUBERNETES / "overlays" / name)


def with_components(folder: Path, *names: str) -> Sequence[Document]:
    """The base and some components, put together in `folder` as an overlay does it."""
    here = os.path.relpath(KUBERNETES, folder.resolve())
    told = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{here}/base"],
        "components": [f"{here}/components/{name}" for name in names],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(told))
    return render(folder)


def of_kind(documents: Sequence[Document], kind: str) -> list[Document]:
    return [d for d in documents if d["kind"] == kind]


def the(documents: Sequence[Document], kind: str) -> Document:
    (only,) = of_kind(documents, kind)
    return only


def templates(documents: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Name and template of every pod that would run."""
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield document["metadata"]["name"], spec["template"]


def settings(documents: Sequence[Document]) -> dict[str, str]:
    (data,) = [d["data"] for d in of_kind(documents, "ConfigMap") if "settings" in d["metadata"]["name"]]
    return dict(data)


def filled_in(container: Document, *, namespace: str, job: str) -> list[str]:
    """The arguments of a Job's container as a kubelet fills in their `$(NAME)`."""
    values = {"metadata.namespace": namespace, "metadata.labels['batch.kubernetes.io/job-name']": job}
    words: list[str] = container["args"]
    for variable in container["env"]:
        if (told := variable.get("valueFrom", {}).get("fieldRef")) is not None:
            words = [word.replace(f"$({variable['name']})", values[told["fieldPath"]]) for word in words]
    assert not [word for word in words if "$(" in word]
    return words


def number(quantity: str) -> float:
    """`512Mi`, `500m` or `2` as a number."""
    units = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
    unit = quantity.lstrip("0123456789.")
    return float(quantity.removesuffix(unit)) * (units[unit] if unit else 1.0)

"""What is wrong with a rendered manifest: by Kubernetes's schemas, by ours of custom resources, by policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubernetes_validate import SchemaNotFoundError, ValidationError, validate

from tests.deploy.custom import CUSTOM
from tests.deploy.rendered import COMPONENTS, KUBERNETES, OVERLAYS, Document, overlay, render, with_components
from tests.deploy.restricted import violations

VERSIONS = ("1.31", "1.37")  # the oldest that has all we use, and the newest
# What the overlay for podman asks of its machine, which has no Service and no Secret. No cluster sees it.
OF_PODMAN = ("volume keys: hostPath", "service: hostPort")


def faults(document: Document) -> list[str]:
    """One line for each thing that is not valid in every version, or that `restricted` would not give."""
    return [*_invalid(document), *(fault for spec in pods(document) for fault in violations(spec))]


def pods(document: Any) -> Iterator[Document]:
    """Every pod that would run, wherever in the document it is described."""
    if isinstance(document, dict):
        if isinstance(document.get("containers"), list):
            yield document
        for value in document.values():
            yield from pods(value)
    elif isinstance(document, list):
        for value in document:
            yield from pods(value)


def every(folder: Path) -> Mapping[str, Sequence[Document]]:
    """All that can be rendered by its name: overlays, the KServe variant, each component on the base."""
    found = {f"overlays/{name}": overlay(name) for name in OVERLAYS}
    found["kserve"] = render(KUBERNETES / "kserve")
    for name in COMPONENTS:
        (folder / name).mkdir()
        found[f"components/{name}"] = with_components(folder / name, name)
    return found


def _invalid(document: Document) -> Iterator[str]:
    model = CUSTOM.get(document["kind"])
    try:
        if model is not None:
            model.model_validate(document)
            return
        for version in VERSIONS:
            validate(document, version, strict=True)
    except (SchemaNotFoundError, ValidationError, ValueError) as error:
        yield f"{document['kind']} {document['metadata']['name']}: {error}"

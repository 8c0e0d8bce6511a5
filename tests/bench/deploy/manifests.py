"""Manifests that are valid, and production's Pod as podman runs it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.deploy.played import READY, STARTUP, patience, playing
from tests.deploy.validated import OF_PODMAN, VERSIONS, every, faults

__all__ = ["measure"]


def measure() -> dict[str, float | int | None]:
    """`manifests.*`: how many are rendered, and documents of them that are not valid; `pod.*`: how it ran."""
    with tempfile.TemporaryDirectory() as work:
        found = every(Path(work))
        invalid = 0
        for name, documents in found.items():
            allowed = OF_PODMAN if name == "overlays/podman" else ()
            for document in documents:
                told = [fault for fault in faults(document) if fault not in allowed]
                invalid += bool(told)
                for fault in told:
                    print(f"{name}: {fault}")
    counted = {
        "manifests.rendered": len(found),
        "manifests.documents": sum(map(len, found.values())),
        "manifests.invalid": invalid,
        "manifests.versions": len(VERSIONS),
    }
    return {**counted, **_pod()}


def _pod() -> dict[str, float | int | None]:
    """Until its own probe is green, what it holds then, how it ends after SIGTERM; null without podman."""
    with tempfile.TemporaryDirectory() as work:
        try:
            with playing(Path(work)) as pod:
                ready_s = pod.until(STARTUP, patience(STARTUP), 200)
                held = pod.look()["held"]
                with pod.stopping():
                    pod.until(READY, patience(READY), 503)
                code = int(pod.told("{{.State.ExitCode}}"))
        except pytest.skip.Exception as absent:
            print(f"pod.*: null, {absent}")
            return dict.fromkeys(("pod.ran", "pod.ready_s", "pod.memory_mb", "pod.drain_exit_code"))
    print(f"the Pod was ready in {ready_s:.1f} s with {held / 1e6:.0f} MB, and ended with {code}")
    return {"pod.ran": 1, "pod.ready_s": ready_s, "pod.memory_mb": held / 1e6, "pod.drain_exit_code": code}

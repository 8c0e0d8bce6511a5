"""Pods of rendered manifests as podman runs them, and what is asked of them from outside and inside."""

from __future__ import annotations

import contextlib
import copy
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from deploy.image.engine import Engine, EngineError, find
from tests.deploy.rendered import Document, filled_in, overlay, templates, the

KEY = "a key that only this test knows"
HEADERS = {"X-API-Key": KEY}
(CONTAINER,) = the(overlay("production"), "Deployment")["spec"]["template"]["spec"]["containers"]
STARTUP, READY, LIVE = (CONTAINER[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness"))
LOOK = """
import json, pathlib
status = dict(line.split(":\\t", 1) for line in open("/proc/1/status") if ":\\t" in line)
cgroups = pathlib.Path("/sys/fs/cgroup")  # version 2, or 1
told = lambda *names: next(path.read_text().split() for n in names if (path := cgroups / n).exists())
words = told("memory.stat", "memory/memory.stat")
held = dict(zip(words[::2], words[1::2]))
try:
    kept = open("/assay/written", "w").name
except OSError as error:
    kept = error.strerror
print(json.dumps({
    "uid": status["Uid"].split(), "gid": status["Gid"].split(), "root": kept,
    **{name: status[name].strip() for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")},
    "memory": told("memory.max", "memory/memory.limit_in_bytes")[0],
    "quota": told("cpu.max", "cpu/cpu.cfs_quota_us")[0],
    "held": int(held.get("total_rss", held.get("anon"))),
    "environment": dict(v.split("=", 1) for v in open("/proc/1/environ").read().split("\\0") if v),
}))
"""
PROCESSES = """
import json, os, pathlib
folders = {int(folder.name): folder for folder in pathlib.Path("/proc").glob("[0-9]*")}
words = {number: (folder / "cmdline").read_text().split("\\0") for number, folder in folders.items()}
print(json.dumps({number: told for number, told in words.items() if number != os.getpid()}))
"""


@dataclass(frozen=True)
class Played:
    """A pod of the service that runs: its container, where it answers, and what it was made of."""

    engine: Engine
    container: str
    url: str
    spec: Document

    def status(self, path: str) -> int:
        """Of a GET without a key by a connection of its own; 0 where nobody answers."""
        try:
            return int(httpx2.get(self.url + path, timeout=5).status_code)
        except httpx2.HTTPError:
            return 0

    def predict(self, route: str, picture: bytes, model: str) -> Any:
        """The answer to a picture, which must be one, by a connection of its own and with the key."""
        files, data = {"image": ("i", picture)}, {"model": model}
        answer = httpx2.post(self.url + route, headers=HEADERS, timeout=30, files=files, data=data)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, probe: Document, seconds: float, *wanted: int) -> float:
        """Seconds that a probe took to give one of these statuses."""
        path, began = probe["httpGet"]["path"], time.monotonic()
        while (found := self.status(path)) not in wanted:
            assert time.monotonic() - began < seconds, f"{path} is {found}, not {wanted}: {self.logs()}"
            time.sleep(0.02)  # asking again, not waiting for luck
        return time.monotonic() - began

    def inside(self, program: str) -> str:
        """What a Python program says in the container; there is nothing else in the image."""
        return self.engine.ask("exec", self.container, "python", "-c", program)

    def look(self) -> dict[str, Any]:
        """User, capabilities, limits and environment of the first process."""
        told: dict[str, Any] = json.loads(self.inside(LOOK))
        return told

    def processes(self) -> dict[str, list[str]]:
        """Command lines by number, as the container counts."""
        told: dict[str, list[str]] = json.loads(self.inside(PROCESSES))
        return told

    def kill(self, module: str) -> None:
        """End the process that runs a module, as the kernel does for want of memory."""
        (number,) = [number for number, words in self.processes().items() if words[1:3] == ["-m", module]]
        self.inside(f"import os; os.kill({number}, 9)")

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """SIGTERM as a kubelet sends it, SIGKILL after the time that the pod is given; waits for the end."""
        grace = str(self.spec["terminationGracePeriodSeconds"])
        words = self.engine.command("stop", "--time", grace, self.container)
        with subprocess.Popen(words, env=self.engine.variables(), stdout=subprocess.DEVNULL) as process:
            yield
        assert process.returncode == 0

    def told(self, template: str) -> str:
        """A field of `podman inspect`."""
        return self.engine.ask("inspect", self.container, "--format", template)

    def logs(self) -> str:
        return _logs(self.engine, self.container)


def patience(probe: Document) -> float:
    """Seconds after which a kubelet gives up; 3 failures are the default."""
    return float(probe["periodSeconds"] * probe.get("failureThreshold", 3))


def engine_with(*images: str) -> Engine:
    """podman, where it has the images; skips with the reason elsewhere."""
    try:
        engine = find(("podman",))
    except EngineError as error:
        pytest.skip(str(error))
    for image in images:
        if not engine.has_image(image):
            pytest.skip(f"podman has no {image}: make image first")
    return engine


def images() -> list[str]:
    """The images of the overlay, the service's first."""
    specs = [template["spec"] for _, template in templates(overlay("podman"))]
    return list(dict.fromkeys(container["image"] for spec in specs for container in spec["containers"]))


@contextlib.contextmanager
def playing(folder: Path) -> Iterator[Played]:
    """The overlay as its README runs it, beside others: with a name, a port and keys of this test."""
    documents = copy.deepcopy(overlay("podman"))
    engine = engine_with(images()[0])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    deployment = the(documents, "Deployment")
    deployment["metadata"]["name"] = f"assay-test-{port}"
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["ports"][0]["hostPort"] = port
    _own(spec, folder, keys="keys")
    # Two pods whose volumes have one name share them in podman 4.
    for named in (*spec["volumes"], *spec["containers"][0]["volumeMounts"]):
        named["name"] += f"-{port}"
    (folder / "keys" / "api").write_text(f"{KEY}\n")
    with _played(engine, documents, folder / "pod.yaml") as container:
        yield Played(engine, container, f"http://127.0.0.1:{port}", spec)


def ran(job: Document, folder: Path, service: Played, more: Sequence[str]) -> tuple[int, str]:
    """Exit code and last words of a pod of a Job, which podman 4.3 does not know, against a service."""
    template = copy.deepcopy(job["spec"]["jobTemplate"]["spec"]["template"])
    spec = template["spec"]
    (container,) = spec["containers"]
    network = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    pause = service.engine.ask("inspect", service.told("{{.Pod}}"), "--format", "{{.InfraContainerID}}")
    address = service.engine.ask("inspect", pause, "--format", network)
    spec["hostAliases"] = [{"ip": address, "hostnames": ["assay.assay.svc"]}]  # there is no DNS of a cluster
    words = filled_in(container, namespace="assay", job="job-1")
    container["args"] = [word.replace("assay.assay.svc", "assay.assay.svc:3000") for word in words] + [*more]
    container["env"] = [{"name": "HOME", "value": "/tmp"}, {"name": "ASSAY_KEY", "value": KEY}]  # noqa: S108
    _own(spec, folder, tmp="job", results="results")
    name = f"{service.spec['containers'][0]['ports'][0]['hostPort']}-job"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"assay-{name}"}, "spec": spec}
    with _played(service.engine, [pod], folder / "job.yaml") as container_id:
        code = int(service.engine.ask("wait", container_id))
        return code, _logs(service.engine, container_id)


def _own(spec: Document, folder: Path, **folders: str) -> None:
    """Folders of this test in the place of some volumes. podman names others after the volume alone."""
    for volume in spec["volumes"]:
        if (name := folders.get(volume["name"])) is not None:
            (folder / name).mkdir(exist_ok=True)
            (folder / name).chmod(0o1777)
            kept = {"name": volume["name"], "hostPath": {"path": str(folder / name), "type": "Directory"}}
            volume.clear()
            volume.update(kept)


@contextlib.contextmanager
def _played(engine: Engine, documents: Sequence[Document], file: Path) -> Iterator[str]:
    """The id of the one container of a pod."""
    file.write_text(yaml.safe_dump_all(documents))
    try:
        told = engine.ask("kube", "play", "--network", "bridge", str(file)).split()
        yield told[told.index("Container:") + 1]
    finally:
        engine.run("kube", "down", str(file), check=False)


def _logs(engine: Engine, container: str) -> str:
    done = engine.run("logs", container, check=False)
    return (done.stdout + done.stderr)[-3000:]

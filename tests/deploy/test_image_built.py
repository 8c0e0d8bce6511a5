"""The images that `make image` built: what is in them, and that the kernel confines what runs."""

from __future__ import annotations

import functools
import json
import re
import uuid
from dataclasses import dataclass

import pytest

from deploy.image.bento import BENTOS, version
from deploy.image.confinement import confinement
from deploy.image.container import Container, Way, running
from deploy.image.engine import RUNNERS, Engine, EngineError, find

SERVICE, EVALUATION = (bento.image for bento in BENTOS)
LISTING = """
import importlib.metadata, importlib.util, json, os, pathlib
root = pathlib.Path("/assay")
files = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
names = sorted(d.metadata["Name"].lower() for d in importlib.metadata.distributions())
programs = [n for f in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin")
            if os.path.isdir(f) for n in os.listdir(f)]
asked = "torch pip setuptools ensurepip sympy sklearn scipy eval service tests deploy models.export".split()
found = [n for n in asked if importlib.util.find_spec(n)]
print(json.dumps({"files": files, "packages": names, "programs": programs, "modules": found,
                  "compiled": importlib.util.cache_from_source("/assay/models/card.py"),
                  "licences": os.listdir("/usr/share/common-licenses"),
                  "user": [os.getuid(), os.getgid()], "environment": dict(os.environ)}))
"""


@dataclass(frozen=True)
class Inside:
    """What LISTING found in an image."""

    files: list[str]
    packages: list[str]
    programs: list[str]
    modules: list[str]
    compiled: str
    licences: list[str]
    user: list[int]
    environment: dict[str, str]


@functools.cache
def engine() -> Engine:
    """One that runs both images; skips with the reason elsewhere."""
    try:
        found = find(RUNNERS)
    except EngineError as error:
        pytest.skip(str(error))
    for image in (SERVICE, EVALUATION):
        if not found.has_image(image):
            pytest.skip(f"{found.name} has no {image}: make image first")
    return found


@functools.cache
def inside(image: str) -> Inside:
    quiet = ["--rm", "--network=none", "--read-only", "--no-healthcheck", "--entrypoint=python"]
    return Inside(**json.loads(engine().ask("run", *quiet, image, "-c", LISTING)))


def configured(image: str, field: str) -> str:
    return engine().ask("inspect", "--type", "image", "--format", field, image)


@pytest.mark.parametrize("image", [SERVICE, EVALUATION])
def test_there_is_nothing_to_break_in_with_and_nothing_to_train_with(image: str) -> None:
    told = inside(image)
    assert set(told.programs) <= {"python", "python3", "python3.11"}
    assert not {
        "torch",
        "pip",
        "setuptools",
        "ensurepip",
        "sympy",
        "sklearn",
        "scipy",
        "tests",
        "deploy",
    } & set(told.modules)
    assert not [file for file in told.files if file.startswith(("models/export/", "tests/", "deploy/"))]
    assert told.user == [10001, 10001]
    assert {"GPL-3", "LGPL-2.1"} <= set(told.licences)  # of GCC's library and of libc
    assert told.compiled.removeprefix("/assay/") in told.files


def test_each_image_has_its_room_and_not_the_others() -> None:
    serving, evaluating = inside(SERVICE), inside(EVALUATION)
    assert {"service/app.py", "models/zoo/digits/2/model.onnx", "LICENSE"} <= set(serving.files)
    assert "service" in serving.modules
    assert "eval" not in serving.modules
    assert {"eval/app.py", "models/card.py", "LICENSE"} <= set(evaluating.files)
    assert "eval" in evaluating.modules
    assert "service" not in evaluating.modules
    assert not [file for file in evaluating.files if file.startswith("models/zoo/")]
    assert "mlxtend" in evaluating.packages
    assert "mlxtend" not in serving.packages


@pytest.mark.parametrize("image", [SERVICE, EVALUATION])
def test_what_the_image_says_of_itself(image: str) -> None:
    labels = json.loads(configured(image, "{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.version"] == version()
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["org.opencontainers.image.revision"])
    assert configured(image, "{{.Config.User}}") == "10001:10001"
    assert configured(image, "{{.Config.WorkingDir}}") == "/assay"
    assert configured(image, "{{.Config.StopSignal}}") == "SIGTERM"


@pytest.mark.parametrize("image", [SERVICE, EVALUATION])
def test_nothing_of_the_machine_that_built_it_is_in_it(image: str) -> None:
    told = configured(image, "{{json .Config}}") + engine().ask("history", "--no-trunc", image)
    assert not re.search(r"pip\.conf|PIP_|authorities|proxy|://[^/\s]*@", told, re.IGNORECASE)
    assert not [key for key in inside(image).environment if key.startswith(("PIP_", "HTTP", "ASSAY_API"))]


def test_the_evaluation_image_is_the_command() -> None:
    told = engine().ask("run", "--rm", "--network=none", "--read-only", EVALUATION, "--version")
    assert told == f"assay, version {version()}"
    refused = engine().run(
        "run", "--rm", "--network=none", "--read-only", EVALUATION, "evaluate", check=False
    )
    assert refused.returncode == 2


def test_sigterm_ends_a_measurement_although_it_is_process_1() -> None:
    name = f"assay-test-{uuid.uuid4().hex[:8]}"
    waiting = "import signal, sys; print('here', flush=True); signal.pause()"
    try:
        options = ["--network=none", "--read-only", "--entrypoint=python"]
        engine().run("run", "--detach", f"--name={name}", *options, EVALUATION, "-c", waiting)
        told = (engine().ask("logs", name) for _ in range(500))
        assert any("here" in lines for lines in told)
        engine().run("kill", "--signal=TERM", name)
        assert engine().run("wait", name, timeout=20).stdout.strip() == "143"
    finally:
        engine().run("rm", "--force", name, check=False)


@pytest.mark.slow
def test_the_kernel_confines_it_and_the_probe_sees_where_it_does_not() -> None:
    with running(engine(), SERVICE, {"ASSAY_VERSIONS": "latest"}) as container:
        assert container.ready() > 0
        assert container.is_healthy(SERVICE)
        assert confinement(container).wrong() == []
        assert len(container.processes()) in (0, 3)  # the command, BentoML's arbiter, a worker
    assert engine().run("inspect", "--type", "container", container.name, check=False).returncode != 0
    name = f"{container.name}-free"
    options = ["--network=none", "--no-healthcheck", "--user=0:0", "--entrypoint=python"]
    wait = ["-c", "import signal; signal.pause()"]
    try:
        engine().run("run", "--detach", f"--name={name}", *options, SERVICE, *wait)
        free = Container(engine(), name, Way(0), 0.0)
        told = {reason.partition(" ")[0] for reason in confinement(free).wrong()}
    finally:
        engine().run("kill", name, check=False)
        engine().run("rm", "--force", name, check=False)
    assert {"user", "group", "capabilities", "no_new_privileges", "read_only", "memory_limit"} <= told

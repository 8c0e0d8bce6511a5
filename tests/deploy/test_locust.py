"""Load from inside the cluster: who leads, who asks, what their image has, whom they may speak with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.image.engine import RUNNERS, EngineError, find
from tests.deploy.loaded import free_port
from tests.deploy.rendered import Document, filled_in, of_kind, templates, the, with_components
from tests.deploy.restricted import violations
from tests.deploy.stalling import Stalling, stalling
from tests.e2e.processes import ROOT

CONTAINERFILE = (ROOT / "deploy" / "load" / "Containerfile").read_text()
IMAGE = "localhost/assay-load:0.1.0"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return list(with_components(tmp_path_factory.mktemp("locust"), "evaluation", "network-policy", "locust"))


def jobs(documents: list[Document]) -> dict[str, Document]:
    """The Job of each CronJob of ours, by name."""
    ours = [c for c in of_kind(documents, "CronJob") if c["metadata"]["name"].startswith("assay-load")]
    assert all(c["spec"]["suspend"] is True for c in ours)  # nobody is loaded by being deployed
    return {c["metadata"]["name"]: c["spec"]["jobTemplate"]["spec"] for c in ours}


def words(job: Document, url: str, results: Path, port: int) -> list[str]:
    """What the pod would start, but for the host, the place of the results and the port."""
    (container,) = job["template"]["spec"]["containers"]
    entry = re.findall(r"^ENTRYPOINT (.+)$", CONTAINERFILE, flags=re.M)[0]
    told = [*container.get("command", json.loads(entry)), *filled_in(container, namespace="ns", job="run-1")]
    changed = {"http://assay.ns.svc": url, "/results/": f"{results}/", "=assay-load": "=127.0.0.1"}
    for old, new in changed.items():
        told = [word.replace(old, new) for word in told]
    if "--master" in told:
        told += ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
    if "--worker" in told:
        told += ["--master-port", str(port)]
    return [sys.executable if word == "python" else word for word in told]


def run(told: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(told, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_master_and_workers_run_as_they_are_told(documents: list[Document], tmp_path: Path) -> None:
    """The commands of the manifests, as processes: two workers ask, the master sums up and judges."""
    told, port = jobs(documents), free_port()
    count = told["assay-load-workers"]["parallelism"]
    assert told["assay-load-workers"]["completions"] == count
    with stalling(Stalling()) as server:
        lead = words(told["assay-load"], server.url, tmp_path, port)
        assert f"--expect-workers={count}" in lead
        short = [word for word in lead if not word.startswith("--run-time")]
        hands = [run(words(told["assay-load-workers"], "", tmp_path, port)) for _ in range(count)]
        master = run([*short, "--run-time=4s", "--max-lag-ms=60000", "--slo-p99-ms=60000", "Classifier"])
        said, _ = master.communicate(timeout=60)
        ended = [hand.communicate(timeout=60) and hand.returncode for hand in hands]
        figures = json.loads((tmp_path / "run-1.json").read_text())
    assert (master.returncode, ended) == (0, [0] * count), said
    assert figures["workers"] == count
    assert figures["requests"] == server.asked
    assert figures["rate"] == 40
    assert (tmp_path / "run-1_stats.csv").exists()
    assert (tmp_path / "run-1.html").exists()


@pytest.mark.slow
def test_the_search_runs_as_it_is_told(documents: list[Document], tmp_path: Path) -> None:
    with stalling(Stalling(status=500)) as server:
        told = words(jobs(documents)["assay-load-search"], server.url, tmp_path, 0)
        told += ["--seconds=1", "--low=150", "--max-lag-ms=60000", "Classifier"]
        done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True)
    found = json.loads((tmp_path / "run-1" / "search.json").read_text())
    assert found["rate"] is None
    assert done.returncode == found["verdict"]["code"] != 0, done.stdout + done.stderr  # the Job fails
    assert "not even 150/s" in done.stdout


def test_a_verdict_is_not_asked_for_again(documents: list[Document]) -> None:
    told = jobs(documents)
    for name in ("assay-load", "assay-load-search"):
        rules = {rule["action"]: rule for rule in told[name]["podFailurePolicy"]["rules"]}
        assert told[name]["backoffLimit"] == 0
        assert rules["Ignore"]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
        (container,) = told[name]["template"]["spec"]["containers"]
        assert rules["FailJob"]["onExitCodes"]["containerName"] == container["name"]
        claim = the(documents, "PersistentVolumeClaim")["metadata"]["name"]
        volumes = told[name]["template"]["spec"]["volumes"]
        assert claim in {v.get("persistentVolumeClaim", {}).get("claimName") for v in volumes}


def pods(documents: list[Document]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in templates(documents) if name.startswith("assay-load")}


def test_no_privilege_and_the_service_lets_them_in(documents: list[Document]) -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in of_kind(documents, "NetworkPolicy")}
    (rule,) = policies["assay-service"]["ingress"]
    admitted = [peer["podSelector"]["matchLabels"] for peer in rule["from"] if "podSelector" in peer]
    own = policies["assay-load"]
    for pod in pods(documents).values():
        assert violations(pod["spec"]) == []
        assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        labels = pod["metadata"]["labels"]
        assert any(told.items() <= labels.items() for told in admitted)
        assert own["podSelector"]["matchLabels"].items() <= labels.items()
    reached = [peer["podSelector"]["matchLabels"] for rule in own["egress"] for peer in rule["to"]]
    service = next(t for name, t in templates(documents) if name == "assay")["metadata"]["labels"]
    assert any(told.items() <= service.items() for told in reached)


def test_workers_find_who_leads(documents: list[Document]) -> None:
    service = next(s for s in of_kind(documents, "Service") if s["metadata"]["name"] == "assay-load")
    wanted = service["spec"]["selector"].items()
    found = {name for name, pod in pods(documents).items() if wanted <= pod["metadata"]["labels"].items()}
    assert found == {"assay-load"}
    assert "clusterIP" not in service["spec"]  # without an address there is no name while nobody leads
    (port,) = service["spec"]["ports"]
    (own,) = pods(documents)["assay-load"]["spec"]["containers"][0]["ports"]
    assert (port["targetPort"], port["port"], own["containerPort"]) == (own["name"], 5557, 5557)  # Locust's
    (container,) = pods(documents)["assay-load-workers"]["spec"]["containers"]
    assert f"--master-host={service['metadata']['name']}" in container["args"]


def test_the_image_has_every_source_it_needs(tmp_path: Path) -> None:
    """What the Containerfile copies is enough, and knows nothing of the rest of the project."""
    for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, flags=re.M):
        *sources, target = line.split()
        if not target.startswith("/build/src/"):
            continue
        place = tmp_path / target.removeprefix("/build/src/")
        place.mkdir(parents=True, exist_ok=True)
        for pattern in sources:
            found = list(ROOT.glob(pattern))
            assert found, pattern
            for file in found:
                shutil.copy(file, place)
    told = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [Path(line) for line in done.stdout.split()]
    assert len(found) > 10
    assert [path for path in found if not path.is_relative_to(tmp_path)] == []


IMPORTED = """
import sys
import deploy.load.locustfile, deploy.load.__main__
for name, module in sys.modules.items():
    if name.partition(".")[0] in ("deploy", "models", "eval", "service") and module.__file__:
        print(module.__file__)
"""


def test_the_image_runs_without_a_root_that_can_be_written() -> None:
    try:
        engine = find(RUNNERS)
    except EngineError as error:
        pytest.skip(str(error))
    if not engine.has_image(IMAGE):
        pytest.skip(f"{IMAGE} is not built: deploy/load/Containerfile says how")
    narrow = ["--rm", "--read-only", "--tmpfs=/tmp:size=16m", "--cap-drop=ALL", "--network=none"]
    assert "Classifier" in engine.ask("run", *narrow, IMAGE, "--list")
    search = engine.ask("run", *narrow, "--entrypoint=python", IMAGE, "-m", "deploy.load", "--help")
    assert "--slo-p99-ms" in search

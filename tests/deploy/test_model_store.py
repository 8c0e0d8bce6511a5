"""Models from an object store: all of a version or nothing, and nothing but what the index says."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models.repository import versions
from tests.deploy.rendered import KUBERNETES, Document, of_kind, settings, the, with_components
from tests.deploy.restricted import violations
from tests.e2e.processes import ROOT

HERE = KUBERNETES / "components" / "model-store"
PROGRAM = HERE / "pull.py"
NAMES = ("card.json", "golden.npz", "model.onnx")
MAIN = runpy.run_path(str(PROGRAM))["main"]
VERSION = ROOT / "models" / "zoo" / "digits" / "1"


@dataclass
class Store:
    """A web server of a folder. While there is a `cut`, the model ends there, and then cannot be had."""

    folder: Path
    cut: int = 0
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    url: str = ""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with an ETag and ranges, as object stores have them."""

    store: Store

    def do_GET(self) -> None:
        store, wanted = self.store, self.headers.get("Range")
        model = self.path.endswith(".onnx")
        gone = store.cut and self.path in store.asked and model
        store.asked.append(self.path)
        path = Path(self.translate_path(self.path))
        if gone or not path.is_file():
            self.send_error(404)
            return
        body = path.read_bytes()
        whole, start, tag = len(body), 0, f'"{hashlib.sha256(body).hexdigest()}"'
        if wanted and self.headers.get("If-Range") == tag:
            store.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[start : store.cut] if model and store.cut else body[start:])

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with `digits/1` in it and its index, as the program writes it."""
    folder = tmp_path / "store"
    (folder / "digits" / "1").mkdir(parents=True)
    for name in (*NAMES, "reference.npz"):  # the last is not served
        shutil.copy(VERSION / name, folder / "digits" / "1")
    found = Store(folder)
    kind = type("OwnHandler", (Handler,), {"store": found})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(kind, directory=str(folder))
    ) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        (folder / "index.json").write_text(program("index", folder).stdout)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Done:
    """How the program ended."""

    returncode: int
    stdout: str
    stderr: str


def program(*words: str | Path, **environment: str) -> Done:
    """Run it here; it is in no package, as in the pod."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = MAIN([str(word) for word in words], environment)
    return Done(code, out.getvalue(), err.getvalue())


def pull(store: Store, to: Path, **environment: str) -> Done:
    told = {"MODEL_INDEX": f"{store.url}/index.json?signature=secret", **environment}
    return program("pull", to, **told)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def changed_index(store: Store, **changes: object) -> None:
    """The first file of the index is another."""
    path = store.folder / "index.json"
    told = json.loads(path.read_text())
    told["files"][0] |= changes
    path.write_text(json.dumps(told))


def test_what_the_index_names_is_there(store: Store, tmp_path: Path) -> None:
    done = pull(store, tmp_path / "models")
    assert (done.returncode, done.stdout) == (0, "digits/1\n"), done.stderr
    assert files(tmp_path / "models") == {f"digits/1/{name}": (VERSION / name).read_bytes() for name in NAMES}
    assert [v.card.name for v in versions(tmp_path / "models")] == ["digits"]
    before = len(store.asked)
    assert pull(store, tmp_path / "models").returncode == 0
    assert store.asked[before:] == ["/index.json?signature=secret"]  # nothing twice


def test_it_runs_as_the_pod_runs_it(store: Store, tmp_path: Path) -> None:
    """By a path, in another folder, with nothing but PYTHONPATH to find the sources."""
    environment = {"PYTHONPATH": str(ROOT), "MODEL_INDEX": f"{store.url}/index.json", "PATH": os.defpath}
    told = [sys.executable, str(PROGRAM), "pull", str(tmp_path / "models")]
    done = subprocess.run(told, cwd="/", env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "digits/1\n"), done.stderr


def test_a_file_that_is_another_is_refused(store: Store, tmp_path: Path) -> None:
    model = store.folder / "digits" / "1" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    done = pull(store, tmp_path / "models")
    assert done.returncode == 1
    assert "must have a sha256 of" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert not (tmp_path / "models" / "digits").exists()  # what was right of it is not served either
    assert versions(tmp_path / "models") == []


def test_a_cut_pull_serves_nothing_and_goes_on(store: Store, tmp_path: Path) -> None:
    store.cut = (VERSION / "model.onnx").stat().st_size // 2
    broken = pull(store, tmp_path / "models")
    assert broken.returncode == 1
    assert "404" in broken.stderr
    assert versions(tmp_path / "models") == []
    half, store.cut = store.cut, 0
    done = pull(store, tmp_path / "models")
    assert done.returncode == 0, done.stderr
    assert store.ranges == [f"bytes={half}-"]  # the other half alone was asked for
    assert len([path for path in store.asked if path.endswith("card.json")]) == 1  # what was there stayed
    assert files(tmp_path / "models")["digits/1/model.onnx"] == (VERSION / "model.onnx").read_bytes()


def test_what_a_cut_pull_left_is_looked_at_again(store: Store, tmp_path: Path) -> None:
    """The card was there when the pull was cut; the index names another one now."""
    store.cut = 1000
    assert pull(store, tmp_path / "models").returncode == 1
    store.cut, card = 0, store.folder / "digits" / "1" / "card.json"
    card.write_text(card.read_text() + "\n")
    (store.folder / "index.json").write_text(program("index", store.folder).stdout)
    done = pull(store, tmp_path / "models")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "models")["digits/1/card.json"] == card.read_bytes()


def test_a_version_that_changed_is_replaced_whole(store: Store, tmp_path: Path) -> None:
    assert pull(store, tmp_path / "models").returncode == 0
    card = store.folder / "digits" / "1" / "card.json"
    card.write_text(card.read_text() + "\n")
    (store.folder / "index.json").write_text(program("index", store.folder).stdout)
    assert pull(store, tmp_path / "models").returncode == 0
    assert files(tmp_path / "models")["digits/1/card.json"] == card.read_bytes()
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["digits"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"path": "../../etc/1/card.json"}, "files.0.path"),
        ({"path": "digits/1/../card.json"}, "files.0.path"),
        ({"path": "digits/1/.card.json"}, "files.0.path"),
        ({"path": "digits/2/card.json"}, "must have all of digits/2, got no model.onnx"),
        ({"sha256": "0" * 64}, "must have a sha256 of"),
        ({"size": 10}, "must have 10 bytes"),
        ({"url": "http://203.0.113.1/card.json"}, "the address must be https"),
        ({"url": "file:///etc/passwd"}, "the address must be https"),
        ({"mode": 0o777}, "files.0.mode"),
    ],
)
def test_an_index_is_not_believed(
    store: Store, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    changed_index(store, **changes)
    done = pull(store, tmp_path / "models")
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.startswith("Error: ")
    assert not (tmp_path / "models" / "digits").exists()


def test_what_signs_an_address_is_told_to_nobody(store: Store, tmp_path: Path) -> None:
    changed_index(store, url=f"{store.url}/nothing?signature=secret")
    for name in ("index.json", "other.json"):
        done = pull(store, tmp_path / "models", MODEL_INDEX=f"{store.url}/{name}?signature=secret")
        assert done.returncode == 1
        assert "404" in done.stderr
        assert "secret" not in done.stderr


def test_a_folder_that_is_no_repository_has_no_index(tmp_path: Path) -> None:
    (tmp_path / "digits" / "1").mkdir(parents=True)
    (tmp_path / "digits" / "1" / "card.json").write_text("{}")
    done = program("index", tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_an_index_may_be_pinned(store: Store, tmp_path: Path) -> None:
    right = hashlib.sha256((store.folder / "index.json").read_bytes()).hexdigest()
    refused = pull(store, tmp_path / "models", MODEL_INDEX_SHA256="0" * 64)
    assert (refused.returncode, "the index must have the sha256" in refused.stderr) == (1, True)
    assert pull(store, tmp_path / "models", MODEL_INDEX_SHA256=right).returncode == 0


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return list(with_components(tmp_path_factory.mktemp("store"), "network-policy", "model-store"))


def test_the_pod_copies_where_the_service_reads(documents: list[Document]) -> None:
    spec = the(documents, "Deployment")["spec"]["template"]["spec"]
    assert violations(spec) == []
    (first,), (service,) = spec["initContainers"], spec["containers"]
    mounts = [{m["name"]: m for m in container["volumeMounts"]} for container in (first, service)]
    repository = settings(documents)["ASSAY_MODEL_REPOSITORY"]
    assert {m["models"]["mountPath"] for m in mounts} == {repository, first["command"][-1]} == {repository}
    assert mounts[1]["models"]["readOnly"] is True
    maps = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    (script,) = [v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "pull"]
    assert maps[script] == {PROGRAM.name: PROGRAM.read_text()}
    assert first["command"][1] == f"{mounts[0]['pull']['mountPath']}/{PROGRAM.name}"
    assert {v["name"] for v in first["env"]} >= {"MODEL_INDEX", "MODEL_INDEX_SHA256"}
    assert first["securityContext"]["readOnlyRootFilesystem"] is True
    workdir = [line for line in CONTAINERFILE.splitlines() if line.startswith("WORKDIR")]
    assert workdir == [f"WORKDIR {next(v['value'] for v in first['env'] if v['name'] == 'PYTHONPATH')}"]


CONTAINERFILE = (ROOT / "deploy" / "evaluation" / "Containerfile").read_text()


def test_the_pod_reaches_the_store_alone(documents: list[Document]) -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in of_kind(documents, "NetworkPolicy")}
    own = policies["assay-model-store"]
    labels = the(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert own["podSelector"]["matchLabels"].items() <= labels.items()
    assert own["policyTypes"] == ["Egress"]
    peers = [peer["namespaceSelector"]["matchLabels"] for rule in own["egress"] for peer in rule["to"]]
    reached = {peer["kubernetes.io/metadata.name"] for peer in peers}
    assert reached == {"model-store", "kube-system"}

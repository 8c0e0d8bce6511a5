"""The Open Inference Protocol's model repository over HTTP, and who may use it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_oip import told
from tests.contract.test_service import assert_error
from tests.contract.v2 import infer

ADMIN, ASKING = "an-admin-key-of-tests", "an-asking-key-of-tests"
BATCH = np.zeros((2, 3, 8, 8), np.float32)


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of this module's own, which it may break."""
    return Path(shutil.copytree(repository, tmp_path_factory.mktemp("oip") / "models"))


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    """Asks with the admin key unless a test says otherwise."""
    admin, asking = folder.parent / "admin", folder.parent / "asking"
    admin.write_text(f"{ADMIN}  # of nobody\n")
    asking.write_text(f"{ASKING}\n")
    keys: dict[str, Any] = {"admin_keys_file": admin, "api_keys_file": asking}
    with started(folder, headers={"x-api-key": ADMIN}, poll_s=0, **keys) as client, documented(client):
        yield client


def manage(client: TestClient, path: str, body: Any = None, **headers: str) -> Any:
    content = b"" if body is None else json.dumps(body).encode()
    return client.post(f"/v2/repository/{path}", content=content, headers=headers)


def test_the_index_lists_every_version_and_needs_no_body(client: TestClient) -> None:
    index = manage(client, "index").json()
    assert {"name": "lamp", "version": "2", "state": "READY", "reason": ""} in index
    assert len(index) == 4
    assert manage(client, "index", {"ready": True}).json() == index


def test_a_model_is_unloaded_and_loaded_again(client: TestClient) -> None:
    assert manage(client, "models/shade/unload").json() == {}
    assert_error(client.get("/v2/models/shade/ready"), 404, "unknown_model")
    assert "shade" not in {m["name"] for m in manage(client, "index").json()}
    assert_error(manage(client, "models/shade/unload"), 404, "unknown_model")
    assert manage(client, "models/shade/load", {}).json() == {}
    assert told(client, "/v2/models/shade/ready")["ready"] is True
    assert_error(manage(client, "models/nothing/load"), 404, "unknown_model")


def test_a_load_can_say_which_versions(client: TestClient) -> None:
    def versions(policy: Any) -> list[str]:
        config = json.dumps({"version_policy": policy})
        assert manage(client, "models/lamp/load", {"parameters": {"config": config}}).status_code == 200
        found: list[str] = told(client, "/v2/models/lamp")["versions"]
        return found

    assert versions({"specific": {"versions": [1]}}) == ["1"]
    assert versions({"latest": {"num_versions": 1}}) == ["2"]
    assert versions({"all": {}}) == ["1", "2"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"parameters": [1]},
        {"parameters": {"file:1/model.onnx": "AAAA"}},
        {"parameters": {"config": '{"version_policy": {"all": {}}}', "file:1/model.onnx": "AAAA"}},
        {"parameters": {"config": '{"version_policy": {"all": {}}, "max_batch_size": 64}'}},
        {"parameters": {"config": "{"}},
        {"parameters": {"config": 1}},
        {"parameters": {"config": "{}"}},
        {"parameters": {"config": '{"version_policy": {"specific": {"versions": [0]}}}'}},
        {"parameters": {"config": '{"version_policy": {"specific": {"versions": []}}}'}},
        {"parameters": {"config": '{"version_policy": {"latest": {"num_versions": 2}}}'}},
    ],
)
def test_a_load_that_asks_for_anything_else_is_refused(client: TestClient, body: Any) -> None:
    assert_error(manage(client, "models/lamp/load", body), 400, "bad_request")
    assert told(client, "/v2/models/lamp")["versions"] == ["1", "2"]


def test_a_version_that_does_not_prove_itself_is_not_loaded_and_says_why(
    client: TestClient, folder: Path
) -> None:
    graph = folder / "frame" / "1" / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1])
    assert_error(manage(client, "models/frame/load"), 422, "not_loaded")
    row = next(m for m in manage(client, "index").json() if m["name"] == "frame")
    assert row["state"] == "READY"  # what was served is served on
    assert "sha256" in row["reason"]
    assert infer(client, "frame", BATCH).outputs["boxes"].shape == (2, 1, 4)
    graph.write_bytes(whole)
    assert manage(client, "models/frame/load").json() == {}
    assert next(m for m in manage(client, "index").json() if m["name"] == "frame")["reason"] == ""


def test_a_new_version_that_fails_is_listed_and_harms_no_other(client: TestClient, folder: Path) -> None:
    new = shutil.copytree(folder / "lamp" / "2", folder / "lamp" / "3")
    try:
        assert_error(manage(client, "models/lamp/load"), 422, "not_loaded")
        index = {(m["name"], m["version"]): m for m in manage(client, "index").json()}
        assert index["lamp", "3"]["state"] == "UNAVAILABLE"
        assert "must lie in" in index["lamp", "3"]["reason"]
        assert ("lamp", "3") not in {
            (m["name"], m["version"]) for m in manage(client, "index", {"ready": True}).json()
        }
        assert told(client, "/v2/models/lamp")["versions"] == ["1", "2"]
        for rest in ("", "/ready", "/config", "/stats"):
            assert_error(client.get(f"/v2/models/lamp/versions/3{rest}"), 503, "not_ready")
        assert infer(client, "lamp", BATCH).json["model_version"] == "2"
        assert len(told(client, "/v2/models/lamp/stats")["model_stats"]) == 2
    finally:
        shutil.rmtree(new)
    assert manage(client, "models/lamp/load").status_code == 200
    assert {m["version"] for m in manage(client, "index").json()} == {"1", "2"}


KEYS = {
    "none": ({"x-api-key": ""}, 401),
    "unknown": ({"x-api-key": "a-key-that-nobody-has"}, 401),
    "asking": ({"x-api-key": ASKING}, 403),
    "asking, as a bearer": ({"x-api-key": "", "authorization": f"Bearer {ASKING}"}, 403),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("verb", ["load", "unload"])
def test_only_an_admin_key_loads_and_unloads(client: TestClient, verb: str, name: str) -> None:
    headers, status = KEYS[name]
    response = manage(client, f"models/lamp/{verb}", **headers)
    assert_error(response, status, {401: "no_key", 403: "not_allowed"}[status])
    assert ("www-authenticate" in response.headers) is (status == 401)
    assert told(client, "/v2/models/lamp")["versions"] == ["1", "2"]


# `Access` reads the path and so do the routes: they must read the same.
UNLOADS = [
    "/v2x/repository/models/lamp/unload",
    "/v2/%72epository/models/lamp/unload",
    "/v2/%2572epository/models/lamp/unload",
    "/v2/%252572epository/models/lamp/unload",
    "/v2/repository%2fmodels/lamp/unload",
    "/v2/./repository/models/lamp/unload",
    "/v2//repository/models/lamp/unload",
    "/v2/repository/models/lamp/unload/",
    "/V2/repository/models/lamp/unload",
]


@pytest.mark.parametrize("path", UNLOADS)
def test_no_spelling_of_the_path_unloads_without_an_admin_key(client: TestClient, path: str) -> None:
    for key, statuses in (("", {401}), (ASKING, {403, 404})):
        assert client.post(path, headers={"x-api-key": key}).status_code in statuses
    assert told(client, "/v2/models/lamp")["versions"] == ["1", "2"]


@pytest.mark.parametrize("path", ["/v2", "/v2/models/lamp", "/v2/models/lamp/ready", "/v2/models/stats"])
def test_a_key_is_needed_to_look_and_either_kind_will_do(client: TestClient, path: str) -> None:
    assert_error(client.get(path, headers={"x-api-key": ""}), 401, "no_key")
    for key in (ASKING, ADMIN):
        assert client.get(path, headers={"x-api-key": key}).status_code == 200


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/livez", "/readyz", "/metrics"])
def test_probes_carry_no_key(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"x-api-key": ""}).status_code == 200

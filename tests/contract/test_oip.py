"""The Open Inference Protocol's routes but infer: health, metadata, config, stats, repository."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from models.decoding import encode_png
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error
from tests.contract.v2 import infer, send

ADMIN, ASKING = "an-admin-key-of-tests", "an-asking-key-of-tests"
BEARER = {"authorization": f"Bearer {ADMIN}"}
BATCH = np.zeros((2, 3, 8, 8), np.float32)


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of this module's own, which it may break."""
    return Path(shutil.copytree(repository, tmp_path_factory.mktemp("oip") / "models"))


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    keys = folder.parent / "keys"
    keys.write_text(f"{ADMIN}  # of nobody\n")
    with started(folder, admin_keys_file=keys, poll_s=0) as client, documented(client):
        yield client


def told(client: TestClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def manage(client: TestClient, path: str, body: Any = None, headers: Mapping[str, str] = BEARER) -> Any:
    content = b"" if body is None else json.dumps(body).encode()
    return client.post(f"/v2/repository/{path}", content=content, headers=dict(headers))


def test_the_server_says_what_it_is_and_can(client: TestClient) -> None:
    for path in ("/v2", "/v2/"):
        body = told(client, path)
        assert body["name"] == "assay"
        assert isinstance(body["version"], str)
        assert set(body["extensions"]) == {
            "binary_tensor_data",
            "classification",
            "model_configuration",
            "model_repository",
            "statistics",
        }


def test_health(client: TestClient) -> None:
    assert told(client, "/v2/health/live") == {"live": True}
    assert told(client, "/v2/health/ready") == {"ready": True}
    assert told(client, "/v2/models/lamp/ready") == {"name": "lamp", "ready": True}
    assert client.head("/v2/health/live").status_code == 200


def test_metadata_names_the_graphs_ports_and_the_answers(client: TestClient) -> None:
    body = told(client, "/v2/models/lamp")
    assert (body["name"], body["platform"], body["versions"]) == ("lamp", "onnxruntime_onnx", ["1", "2"])
    assert body["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, 3, 8, 8]}]
    assert body["outputs"] == [
        {"name": "logits", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "answer.scores", "datatype": "FP32", "shape": [-1, 2]},
    ]
    outputs = told(client, "/v2/models/frame")["outputs"]
    assert [(o["name"], o["datatype"], o["shape"]) for o in outputs] == [
        ("boxes", "FP32", [-1, 1, 4]),
        ("scores", "FP32", [-1, 1, 1]),
        ("answer.boxes", "FP32", [-1, 4]),
        ("answer.scores", "FP32", [-1]),
        ("answer.labels", "INT64", [-1]),
        ("answer.images", "INT64", [-1]),
    ]
    assert told(client, "/v2/models/shade")["outputs"][-1] == {
        "name": "answer.labels",
        "datatype": "UINT8",
        "shape": [-1, -1, -1],
    }


@pytest.mark.parametrize("rest", ["", "/ready", "/config", "/stats"])
def test_a_version_in_the_path_is_the_one_that_is_told_of(client: TestClient, rest: str) -> None:
    assert told(client, f"/v2/models/lamp/versions/1{rest}")
    for version in ("3", "0", "x", "-1", "1.0", "9" * 30, "", "٣"):
        assert_error(client.get(f"/v2/models/lamp/versions/{version}{rest}"), 404, "unknown_model")


def test_a_version_in_the_path_answers(client: TestClient) -> None:
    assert infer(client, "lamp", BATCH).json["model_version"] == "2"  # the latest
    for version in ("1", "2"):
        assert infer(client, f"lamp/versions/{version}", BATCH).json["model_version"] == version
    assert_error(send(client, "lamp/versions/3", BATCH), 404, "unknown_model")


def test_config_says_what_clients_of_triton_read(client: TestClient) -> None:
    body = told(client, "/v2/models/lamp/config")
    assert (body["name"], body["max_batch_size"]) == ("lamp", 4)
    assert body["input"] == [{"name": "images", "data_type": "TYPE_FP32", "dims": [3, 8, 8]}]
    assert body["output"] == [{"name": "logits", "data_type": "TYPE_FP32", "dims": [2]}]
    assert body["dynamic_batching"] == {"max_queue_delay_microseconds": 0}


def stats_of(client: TestClient, path: str = "/v2/models/lamp/versions/1/stats") -> dict[str, Any]:
    (body,) = told(client, path)["model_stats"]
    assert isinstance(body, dict)
    return body


def test_stats_move_by_what_was_asked(client: TestClient) -> None:
    before = stats_of(client)
    infer(client, "lamp/versions/1", BATCH)  # two images, one piece, one run
    light = encode_png(np.full((10, 20, 3), 230, np.uint8))
    infer(client, "lamp/versions/1", [light])
    assert_error(send(client, "lamp/versions/1", [b"no picture"]), 422, "undecodable_image")
    infer(client, "lamp/versions/2", BATCH)  # another version's
    after = stats_of(client)
    assert (after["name"], after["version"]) == ("lamp", "1")
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["execution_count"] - before["execution_count"] == 2
    assert after["last_inference"] >= before["last_inference"]
    moved = {
        name: after["inference_stats"][name]["count"] - before["inference_stats"][name]["count"]
        for name in after["inference_stats"]
    }
    stages = dict.fromkeys(("queue", "compute_input", "compute_infer", "compute_output"), 2)
    assert moved == {"success": 2, "fail": 1, **stages, "cache_hit": 0, "cache_miss": 0}
    parts = sum(after["inference_stats"][name]["ns"] for name in stages)
    assert after["inference_stats"]["success"]["ns"] == pytest.approx(parts, abs=10)
    runs = {b["batch_size"]: b["compute_infer"]["count"] for b in after["batch_stats"]}
    assert runs.keys() >= {1, 2}
    assert sum(runs.values()) == after["execution_count"]


def test_stats_of_all_are_of_every_version_that_answers(client: TestClient) -> None:
    every = told(client, "/v2/models/stats")["model_stats"]
    assert [(m["name"], m["version"]) for m in every] == [
        ("frame", "1"),
        ("lamp", "1"),
        ("lamp", "2"),
        ("shade", "1"),
    ]
    own = told(client, "/v2/models/lamp/stats")["model_stats"]
    assert [m["version"] for m in own] == ["1", "2"]


def test_the_index_lists_every_version_and_needs_no_body(client: TestClient) -> None:
    index = manage(client, "index", headers={}).json()
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
        {"parameters": []},
        {"parameters": {"file:1/model.onnx": "AAAA"}},
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


UNLOADS = [
    "/v2/repository/models/lamp/unload",
    "/v2x/repository/models/lamp/unload",
    "/v2/%72epository/models/lamp/unload",
    "/v2/%2572epository/models/lamp/unload",
    "/v2/repository%2fmodels/lamp/unload",
    "/v2/./repository/models/lamp/unload",
    "/v2//repository/models/lamp/unload",
    "/v2/repository/models/lamp/unload/",
]


@pytest.mark.parametrize("path", UNLOADS)
def test_no_spelling_of_a_path_unloads_without_an_admin_key(client: TestClient, path: str) -> None:
    assert client.post(path).status_code in (401, 404)
    assert client.post(path, headers={"x-api-key": ASKING}).status_code in (401, 404)
    assert told(client, "/v2/models/lamp")["versions"] == ["1", "2"]


@pytest.mark.parametrize(
    "path",
    [
        *("/v2/models", "/v2/models/", "/v2/models//ready", "/v2/models/lamp/", "/v2/models/lamp/nothing"),
        *("/v2/models/lamp/versions", "/v2/models/lamp/versions/1/nothing", "/v2/health", "/v2/health/x"),
        *("/v2x/models/lamp", "/v2x", "/v2/trace/setting", "/v2/systemsharedmemory/status"),
    ],
)
def test_unknown_paths_are_not_served(client: TestClient, path: str) -> None:
    assert_error(client.get(path), 404, "unknown_route")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("POST", path) for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/stats")],
        *[("DELETE", f"/v2/models/lamp{rest}") for rest in ("", "/ready", "/config", "/stats", "/infer")],
        *[("GET", path) for path in ("/v2/models/lamp/infer", "/v2/repository/index")],
    ],
)
def test_wrong_methods_are_told_apart_from_unknown_paths(client: TestClient, method: str, path: str) -> None:
    assert_error(client.request(method, path), 405, "wrong_method")


@pytest.mark.parametrize("rest", ["", "/ready", "/config", "/stats"])
def test_an_unknown_model_is_named_with_those_there_are(client: TestClient, rest: str) -> None:
    response = client.get(f"/v2/models/nothing{rest}")
    assert_error(response, 404, "unknown_model")
    assert "frame, lamp, shade" in response.json()["error"]


def test_administration_is_off_without_a_file_of_keys(folder: Path) -> None:
    with started(folder, poll_s=0) as client, documented(client):
        assert_error(manage(client, "models/lamp/unload"), 403, "not_allowed")
        assert manage(client, "index").status_code == 200

"""The Open Inference Protocol's routes but infer and repository: health, metadata, config, stats."""

from __future__ import annotations

from collections.abc import Iterator
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

BATCH = np.zeros((2, 3, 8, 8), np.float32)


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[TestClient]:
    with started(repository, poll_s=0) as client, documented(client):
        yield client


def told(client: TestClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


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


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_administration_is_off_without_a_file_of_keys(client: TestClient, verb: str) -> None:
    assert_error(client.post(f"/v2/repository/models/lamp/{verb}"), 403, "not_allowed")
    assert told(client, "/v2/models/lamp")["versions"] == ["1", "2"]
    assert client.post("/v2/repository/index").status_code == 200

"""The Open Inference Protocol as others speak it: NVIDIA's own client against a live process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from models.decoding import decode
from models.repository import open_version, read_version
from models.results import Classification
from tests.e2e.triton import KEY, files, given, jpeg, tensor


@pytest.fixture
def client(triton_host: str) -> Iterator[Any]:
    with InferenceServerClient(triton_host) as client:
        yield client


def test_it_finds_the_server_alive_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("lamp")
    assert client.is_model_ready("lamp", "1")
    assert not client.is_model_ready("nothing")
    assert not client.is_model_ready("lamp", "9")


def test_it_reads_metadata_config_and_statistics(client: Any) -> None:
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    told = client.get_model_metadata("echo-float16", "1")
    assert told["inputs"] == [{"name": "images", "datatype": "FP16", "shape": [-1, 3, 8, 8]}]
    config = client.get_model_config("echo-float16")
    assert config["input"][0]["data_type"] == "TYPE_FP16"
    assert config["max_batch_size"] == 4
    before = client.get_inference_statistics("echo-float16")["model_stats"][0]
    client.infer("echo-float16", [given(tensor("float16"))])
    after = client.get_inference_statistics("echo-float16", "1")["model_stats"][0]
    assert after["inference_count"] == before["inference_count"] + 2
    assert after["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    assert len(client.get_inference_statistics()["model_stats"]) == len(client.get_model_repository_index())


def test_it_loads_and_unloads_with_an_admin_key(client: Any) -> None:
    assert {"name": "text", "version": "1", "state": "READY", "reason": ""} in (
        client.get_model_repository_index()
    )
    with pytest.raises(InferenceServerException) as refused:
        client.unload_model("text")
    assert refused.value.status() == "401"
    client.unload_model("text", headers=KEY)
    assert not client.is_model_ready("text")
    client.load_model("text", headers=KEY)
    assert client.is_model_ready("text")
    policy = json.dumps({"version_policy": {"specific": {"versions": [1]}}})
    client.load_model("lamp", headers=KEY, config=policy)
    assert client.get_model_metadata("lamp")["versions"] == ["1"]
    client.load_model("lamp", headers=KEY, config=json.dumps({"version_policy": {"all": {}}}))
    assert client.get_model_metadata("lamp")["versions"] == ["1", "2"]
    with pytest.raises(InferenceServerException, match="files come from the folder"):
        client.load_model("lamp", headers=KEY, config="{}", files={"file:1/model.onnx": b"graph"})


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int32", "int64"])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_a_tensor_comes_back_bit_by_bit(client: Any, dtype: str, binary: bool) -> None:
    sent = tensor(dtype)
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("echo", "truth")]
    told = client.infer(f"echo-{dtype}", [given(sent, binary=binary)], outputs=outputs)
    got = told.as_numpy("echo")
    assert got.tobytes() == sent.tobytes()
    if binary:  # of JSON the client makes the type it likes
        assert got.dtype == sent.dtype
    truth = told.as_numpy("truth")
    assert truth.dtype == np.bool_
    assert np.array_equal(truth, sent.astype(bool))


def test_text_comes_back_as_bytes(client: Any) -> None:
    for binary in (True, False):
        outputs = [InferRequestedOutput("text", binary_data=binary)]
        told = client.infer("text", [given(np.ones((2, 3, 8, 8), np.float32))], outputs=outputs)
        assert told.as_numpy("text").shape == (2, 1)
        assert told.as_numpy("text").ravel().tolist() == ([b"1", b"1"] if binary else ["1", "1"])


def test_one_output_as_bytes_and_one_as_json(client: Any) -> None:
    asked = [InferRequestedOutput("scores", binary_data=False), InferRequestedOutput("boxes")]
    mixed = client.infer("frame", [given(tensor())], outputs=asked)
    plain = client.infer("frame", [given(tensor())])  # none named: all, as bytes
    assert [o["name"] for o in plain.get_response()["outputs"]] == ["boxes", "scores"]
    assert "data" in mixed.get_output("scores")
    assert "data" not in mixed.get_output("boxes")
    for name in ("boxes", "scores"):
        assert np.array_equal(mixed.as_numpy(name).astype(np.float32), plain.as_numpy(name))


def test_jpeg_files_are_bytes_in_an_array_of_objects(client: Any, triton_root: Path) -> None:
    pictures = [jpeg(seed) for seed in range(6)]
    told = client.infer("lamp", [given(files(*pictures))])
    wanted = open_version(read_version(triton_root / "lamp" / "2")).predict([decode(p) for p in pictures])
    scores = [w.scores for w in wanted if isinstance(w, Classification)]
    np.testing.assert_allclose(told.as_numpy("answer.scores"), scores, rtol=1e-6)
    (alone,) = client.infer("lamp", [given(files(pictures[0]))]).as_numpy("answer.scores")
    assert np.array_equal(alone, scores[0])


def test_nothing_found_has_a_shape(client: Any) -> None:
    dark = np.zeros((1, 10, 20, 3), np.uint8)
    told = client.infer("frame", [given(dark)])
    assert told.as_numpy("answer.boxes").shape == (0, 4)
    assert told.as_numpy("answer.images").shape == (0,)


def test_the_best_classes_are_named(client: Any) -> None:
    asked = [InferRequestedOutput("logits", class_count=1)]
    told = client.infer("lamp", [given(np.ones((2, 3, 8, 8), np.float32))], outputs=asked)
    assert told.as_numpy("logits").tolist() == [[b"4.000000:1:light"]] * 2


def unlike(name: str) -> tuple[str, Any]:
    wrong = given(tensor())
    cases: dict[str, tuple[str, Any]] = {
        "model": ("nothing", wrong),
        "name": ("lamp", given(tensor(), name="other")),
        "type": ("lamp", given(tensor("float64"))),
        "shape": ("lamp", given(np.zeros((1, 3, 9, 9), np.float32))),
        "bytes": ("lamp", wrong.set_shape([3, 3, 8, 8])),
        "picture": ("lamp", given(files(b"no picture"))),
        "numbers": ("lamp", given(np.full((1, 3, 8, 8), np.nan, np.float32))),
    }
    return cases[name]


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("model", "404", "model must be one of"),
        ("name", "400", "the inputs must be images, got other"),
        ("type", "400", "must be FP32 .*, got FP64"),
        ("shape", "400", r"got FP32 \[1, 3, 9, 9\]"),
        ("bytes", "400", "must have 2304 bytes, got 1536"),
        ("picture", "422", "an image cannot be read"),
        ("numbers", "422", "must be finite"),
    ],
)
def test_errors_are_its_exceptions_with_our_words(client: Any, name: str, status: str, message: str) -> None:
    model, sent = unlike(name)
    with pytest.raises(InferenceServerException, match=message) as refused:
        client.infer(model, [sent])
    assert refused.value.status() == status
    assert client.is_server_ready()


def test_an_unknown_output_is_an_exception(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="outputs must be some of logits") as refused:
        client.infer("lamp", [given(tensor())], outputs=[InferRequestedOutput("nothing")])
    assert refused.value.status() == "400"

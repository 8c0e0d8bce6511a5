"""Tensors of the Open Inference Protocol: JSON and binary, in and out, and every type a graph may have."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st
from starlette.testclient import TestClient

from models.results import Array
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error
from tests.contract.v2 import LENGTH, NAMES, described, infer, post, raw, read, send

DTYPES = ["float32", "float16", "float64", "uint8", "int32", "int64"]


@pytest.fixture(scope="module")
def client(typed_root: Path) -> Iterator[TestClient]:
    with started(typed_root, poll_s=0) as client, documented(client):
        yield client


def tensor(dtype: str = "float32", count: int = 2, seed: int = 0) -> Array:
    levels = np.random.default_rng(seed).uniform(0, 120, (count, 3, 8, 8))
    return levels.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_a_tensor_of_the_graphs_own_type_comes_back_exactly(
    client: TestClient, dtype: str, binary: bool
) -> None:
    sent = tensor(dtype)
    outputs = [{"name": "echo", "parameters": {"binary_data": binary}}]
    told = infer(client, f"echo-{dtype}", sent, binary=binary, outputs=outputs)
    assert told.outputs["echo"].dtype == dtype
    assert np.array_equal(told.outputs["echo"], sent)
    assert told.json["outputs"][0]["datatype"] == NAMES[dtype]
    assert told.binary == ["echo"] * binary


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_comes_back_in_any_way(client: TestClient, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    elements = {"allow_nan": False, "allow_infinity": False} if "float" in dtype else {}
    values = numpy_st.from_dtype(np.dtype(dtype), **elements)  # type: ignore[arg-type]  # its overloads
    sent = data.draw(numpy_st.arrays(dtype, (1, 3, 8, 8), elements=values))
    way, back = data.draw(st.booleans()), data.draw(st.booleans())
    outputs = [{"name": "echo", "parameters": {"binary_data": back}}]
    got = infer(client, f"echo-{dtype}", sent, binary=way, outputs=outputs).outputs["echo"]
    assert got.tobytes() == sent.tobytes()


def test_a_graphs_other_outputs_keep_their_own_types(client: TestClient) -> None:
    sent = tensor("int64").clip(0, 1)
    for binary in (True, False):
        told = infer(client, "echo-int64", sent, parameters={"binary_data_output": binary}).outputs
        assert list(told) == ["logits", "echo", "truth", "whole", "log"]  # the card's order
        assert [told[n].dtype.name for n in told] == ["float32", "int64", "bool", "uint8", "float32"]
        assert np.array_equal(told["truth"], sent.astype(bool))


def test_text_that_a_graph_gives_is_bytes(client: TestClient) -> None:
    sent = np.full((2, 3, 8, 8), 1.5, np.float32)
    for binary in (True, False):
        outputs = [{"name": "text", "parameters": {"binary_data": binary}}]
        told = infer(client, "text", sent, outputs=outputs)
        assert told.outputs["text"] == [b"1.5", b"1.5"]
        assert told.json["outputs"][0]["shape"] == [2, 1]
    ranked = [{"name": "text", "parameters": {"classification": 1}}]
    assert_error(send(client, "text", sent, outputs=ranked), 400, "bad_request")


def test_nested_and_flat_json_are_the_same(client: TestClient) -> None:
    sent = tensor(count=1)
    nested = infer(client, "lamp", sent, binary=False)
    partly = sent.reshape(3, 64).tolist()
    for data in (sent.ravel().tolist(), partly):
        told = read(post(client, "lamp", {"inputs": [{**described(sent), "data": data}]}))
        assert told.json == nested.json
    assert nested.json == {
        "model_name": "lamp",
        "model_version": "2",
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [1, 2], "data": [*told.outputs["logits"][0]]}
        ],
    }


def test_json_and_binary_are_the_same_numbers(client: TestClient) -> None:
    sent = tensor()
    answers = [
        infer(client, "frame", sent, binary=way, parameters={"binary_data_output": back}).outputs
        for way in (True, False)
        for back in (True, False)
    ]
    for answer in answers[1:]:
        assert list(answer) == ["boxes", "scores"]
        assert all(np.array_equal(answer[name], answers[0][name]) for name in answer)


@pytest.mark.parametrize("every", [None, True, False])
@pytest.mark.parametrize("own", [None, True, False])
def test_an_outputs_own_word_wins_over_the_requests(
    client: TestClient, own: bool | None, every: bool | None
) -> None:
    first: dict[str, Any] = {"name": "scores"}
    if own is not None:
        first["parameters"] = {"binary_data": own}
    parameters = {} if every is None else {"binary_data_output": every}
    told = infer(client, "frame", tensor(), outputs=[first, {"name": "boxes"}], parameters=parameters)
    assert list(told.outputs) == ["scores", "boxes"]  # in the order they were asked for
    wanted = {"scores": bool(every) if own is None else own, "boxes": bool(every)}
    assert told.binary == [name for name, binary in wanted.items() if binary]


def test_two_outputs_one_as_bytes_and_one_as_json(client: TestClient) -> None:
    outputs = [{"name": "boxes", "parameters": {"binary_data": True}}, {"name": "scores"}]
    mixed = infer(client, "frame", tensor(), outputs=outputs)
    plain = infer(client, "frame", tensor())
    assert mixed.binary == ["boxes"]
    assert all(np.array_equal(mixed.outputs[name], plain.outputs[name]) for name in plain.outputs)


def test_answers_and_the_graphs_outputs_can_be_asked_for_together(client: TestClient) -> None:
    outputs = [{"name": "answer.scores"}, {"name": "logits", "parameters": {"binary_data": True}}]
    told = infer(client, "lamp", tensor(), outputs=outputs).outputs
    odds = np.exp(told["logits"].astype(np.float64))
    np.testing.assert_allclose(told["answer.scores"], odds / odds.sum(axis=1, keepdims=True), rtol=1e-6)


def test_more_rows_than_a_batch_come_back_in_order(client: TestClient) -> None:
    sent = np.arange(1, 8, dtype=np.float32)[:, None, None, None] * np.ones((1, 3, 8, 8), np.float32)
    assert np.array_equal(infer(client, "echo-float32", sent).outputs["echo"], sent)


def test_the_length_of_the_json_in_front_changes_no_bit(client: TestClient) -> None:
    """onnxruntime rounds sums by where in memory they begin."""
    sent = tensor(count=1)
    scores = {infer(client, "frame", sent, id="x" * i).outputs["scores"].item() for i in range(33)}
    assert len(scores) == 1


@pytest.mark.parametrize("told", ["id-1", "", "ü" * 900, '"\\\n'])
def test_the_id_is_given_back(client: TestClient, told: str) -> None:
    assert infer(client, "lamp", tensor(), id=told).json["id"] == told
    assert "id" not in infer(client, "lamp", tensor()).json


def test_what_is_not_known_is_let_pass(client: TestClient) -> None:
    told = infer(
        client,
        "lamp",
        tensor(),
        tensor={"nothing": 1},
        parameters={"priority": 3, "sequence_id": 7, "other": {"deep": [1]}},
        outputs=[{"name": "logits", "parameters": {"other": 1}, "more": None}],
        whatever=None,
    )
    assert list(told.outputs) == ["logits"]


@pytest.mark.parametrize("timeout", [0, 60_000_000, 2**63])
def test_a_timeout_that_is_long_enough_changes_nothing(client: TestClient, timeout: int) -> None:
    assert infer(client, "lamp", tensor(), parameters={"timeout": timeout}).outputs


def test_the_best_classes_are_named(client: TestClient) -> None:
    sent = np.stack([np.zeros((3, 8, 8)), np.ones((3, 8, 8))]).astype(np.float32)
    for binary in (True, False):
        outputs = [{"name": "logits", "parameters": {"classification": 2, "binary_data": binary}}]
        told = infer(client, "lamp", sent, outputs=outputs)
        assert told.json["outputs"][0]["shape"] == [2, 2]
        assert told.outputs["logits"] == [
            *(b"4.000000:0:dim", b"-4.000000:1:light"),
            *(b"4.000000:1:light", b"-4.000000:0:dim"),
        ]
    many = [{"name": "answer.scores", "parameters": {"classification": 1000}}]
    assert len(infer(client, "lamp", sent, outputs=many).outputs["answer.scores"]) == 4  # all there are


def test_unsigned_scores_are_ranked_too(client: TestClient) -> None:
    sent = np.stack([np.full((3, 8, 8), level) for level in (0.0, 0.5)]).astype(np.float32)
    outputs = [{"name": "whole", "parameters": {"classification": 2}}]
    told = infer(client, "echo-float32", sent, outputs=outputs).outputs["whole"]
    assert told == [b"0.000000:0:some", b"0.000000:1:twice", b"1.000000:1:twice", b"0.000000:0:some"]


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate without its header": lambda data: zlib.compress(data)[2:-4],
    "identity": lambda data: data,
}


@pytest.mark.parametrize("name", COMPRESS)
def test_a_request_may_be_compressed(client: TestClient, name: str) -> None:
    sent = tensor()
    data = raw(sent)
    head = {"inputs": [{**described(sent), "parameters": {"binary_data_size": len(data)}}]}
    text = json.dumps(head).encode()
    # The length of the JSON is the one before compression.
    headers = {"content-encoding": name.split()[0], LENGTH: str(len(text))}
    body = COMPRESS[name](text + data)
    response = client.post("/v2/models/lamp/infer", content=body, headers=headers)
    assert read(response).json == infer(client, "lamp", sent).json


@pytest.mark.parametrize("name", ["gzip", "deflate", "gzip, deflate", "br", "identity", "GZIP "])
def test_an_answer_is_compressed_for_who_names_one_way(client: TestClient, name: str) -> None:
    sent = tensor()
    for binary in (True, False):
        outputs = [{"name": "echo", "parameters": {"binary_data": binary}}]
        data = {"inputs": [{**described(sent), "data": sent.ravel().tolist()}], "outputs": outputs}
        response = post(client, "echo-float32", data, headers={"accept-encoding": name})
        way = name.strip().lower()
        assert response.headers.get("content-encoding") == (way if way in ("gzip", "deflate") else None)
        assert np.array_equal(read(response).outputs["echo"], sent)  # the client has decompressed it
    small = [{"name": "logits"}]
    response = send(client, "echo-float32", sent, outputs=small)
    assert "content-encoding" not in response.headers


def test_a_request_of_nothing_but_bytes_is_one_row(client: TestClient) -> None:
    sent = tensor(count=1)
    for headers in ({LENGTH: "0"}, {LENGTH: "0", "content-type": "application/octet-stream"}):
        told = read(client.post("/v2/models/frame/infer", content=raw(sent), headers=headers))
        assert told.binary == ["boxes", "scores"]
        plain = infer(client, "frame", sent).outputs
        assert all(np.array_equal(told.outputs[name], plain[name]) for name in plain)

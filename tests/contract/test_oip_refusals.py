"""What the Open Inference Protocol refuses, and that the service answers the next caller as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error
from tests.contract.v2 import described, infer, post, send

PATH = "/v2/models/lamp/infer"
ROW = np.zeros((1, 3, 8, 8), np.float32)
INPUT = {**described(ROW), "data": ROW.ravel().tolist()}
NAN = np.full_like(ROW, np.nan)


@pytest.fixture(scope="module")
def client(typed_root: Path) -> Iterator[TestClient]:
    with started(typed_root, max_images=8, poll_s=0) as client, documented(client):
        yield client


@pytest.fixture(autouse=True)
def healthy_after(client: TestClient) -> Iterator[None]:
    yield
    assert infer(client, "lamp", ROW).outputs["logits"].tolist() == [[4.0, -4.0]]


def values(*numbers: Any) -> list[Any]:
    """Data of the right size that begins with these."""
    return [*numbers, *[0] * (ROW.size - len(numbers))]


def shaped(*shape: Any) -> dict[str, Any]:
    return {**INPUT, "shape": list(shape)}


INPUTS: dict[str, tuple[Any, str]] = {
    "another name": ({**INPUT, "name": "nothing"}, "bad_tensor"),
    "no name": ({k: v for k, v in INPUT.items() if k != "name"}, "bad_request"),
    "a number for a name": ({**INPUT, "name": 1}, "bad_request"),
    "an endless name": ({**INPUT, "name": "x" * 1000}, "bad_request"),
    "no shape": ({k: v for k, v in INPUT.items() if k != "shape"}, "bad_request"),
    "a shape of text": (shaped("1", 3, 8, 8), "bad_request"),
    "a shape of halves": (shaped(1.0, 3, 8, 8), "bad_request"),
    "an empty shape": (shaped(), "bad_tensor"),
    "a negative shape": (shaped(-1, 3, 8, 8), "bad_tensor"),
    "another shape": (shaped(1, 8, 8, 3), "bad_tensor"),
    "fewer dimensions": (shaped(1, 192), "bad_tensor"),
    "nine dimensions": (shaped(1, 1, 1, 1, 1, 1, 3, 8, 8), "bad_tensor"),
    "99 dimensions": (shaped(*[1] * 99), "bad_request"),
    "a shape of too much": (shaped(2, 3, 8, 8), "bad_tensor"),
    "a shape beyond memory": (shaped(2**62, 2**62, 8, 8), "bad_tensor"),
    "another type": ({**INPUT, "datatype": "FP64"}, "bad_tensor"),
    "an unknown type": ({**INPUT, "datatype": "FP8"}, "bad_tensor"),
    "a type that is not read": ({**INPUT, "datatype": "BF16"}, "bad_tensor"),
    "text for numbers": ({**INPUT, "data": values("0")}, "bad_tensor"),
    "truth for numbers": ({**INPUT, "data": values(True)}, "bad_tensor"),
    "nothing for a number": ({**INPUT, "data": values(None)}, "bad_tensor"),
    "an object for a number": ({**INPUT, "data": values({})}, "bad_tensor"),
    "more than the type holds": ({**INPUT, "data": values(1e39)}, "bad_tensor"),
    "uneven nesting": ({**INPUT, "data": [[0.0], [0.0] * 191]}, "bad_tensor"),
    "half nesting": ({**INPUT, "data": values([0.0])}, "bad_tensor"),
    "no data": ({k: v for k, v in INPUT.items() if k != "data"}, "bad_tensor"),
    "an object for data": ({**INPUT, "data": {}}, "bad_tensor"),
    "one value less": ({**INPUT, "data": values()[1:]}, "bad_tensor"),
    "one value more": ({**INPUT, "data": [*values(), 0]}, "bad_tensor"),
    "numbers for BYTES": ({"name": "images", "datatype": "BYTES", "shape": [1], "data": [1]}, "bad_tensor"),
    "shared memory": (
        {**described(ROW), "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 768}},
        "bad_tensor",
    ),
    "a list for parameters": ({**INPUT, "parameters": []}, "bad_request"),
    "not an object": ([], "bad_request"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_are_refused(client: TestClient, name: str) -> None:
    told, code = INPUTS[name]
    assert_error(post(client, "lamp", {"inputs": [told]}), 400, code)


def test_no_rows_are_no_image(client: TestClient) -> None:
    for sent in (ROW[:0], np.zeros((0, 9, 9, 3), np.uint8)):
        for binary in (True, False):
            assert_error(send(client, "lamp", sent, binary=binary), 422, "no_image")


TIMEOUTS: list[Any] = [-1, 1.5, "1", True, [1], {}]
COUNTS: list[Any] = [-1, 1001, 1.0, "2", True, []]
REQUESTS: dict[str, Any] = {
    "no inputs": {},
    "an empty list of inputs": {"inputs": []},
    "nothing for inputs": {"inputs": None},
    "two inputs": {"inputs": [INPUT, INPUT]},
    "a list": [],
    "a number": 7,
    "a number for an id": {"inputs": [INPUT], "id": 7},
    "an endless id": {"inputs": [INPUT], "id": "x" * 2000},
    "an unknown output": {"inputs": [INPUT], "outputs": [{"name": "nothing"}]},
    "the input for an output": {"inputs": [INPUT], "outputs": [{"name": "images"}]},
    "an output twice": {"inputs": [INPUT], "outputs": [{"name": "logits"}, {"name": "logits"}]},
    "text for outputs": {"inputs": [INPUT], "outputs": ["logits"]},
    "65 outputs": {"inputs": [INPUT], "outputs": [{"name": f"o{i}"} for i in range(65)]},
    **{
        f"a timeout of {timeout!r}": {"inputs": [INPUT], "parameters": {"timeout": timeout}}
        for timeout in TIMEOUTS
    },
    **{
        f"{best!r} best classes": {
            "inputs": [INPUT],
            "outputs": [{"name": "logits", "parameters": {"classification": best}}],
        }
        for best in COUNTS
    },
}


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_that_are_refused(client: TestClient, name: str) -> None:
    response = post(client, "lamp", REQUESTS[name])
    assert_error(response, 400, "bad_tensor" if name == "two inputs" else "bad_request")


def test_only_scores_are_ranked(client: TestClient) -> None:
    for model, output in (("frame", "answer.scores"), ("frame", "scores"), ("shade", "logits")):
        asked = [{"name": output, "parameters": {"classification": 1}}]
        assert_error(send(client, model, ROW, outputs=asked), 400, "bad_request")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tensor_must_be_finite(client: TestClient, value: float) -> None:
    for dtype in ("float32", "float16", "float64"):
        sent = ROW.astype(dtype)
        sent[0, 1, 2, 3] = value
        assert_error(send(client, f"echo-{dtype}", sent), 422, "not_finite")


def test_what_a_graph_makes_infinite_is_given_as_bytes_only(client: TestClient) -> None:
    for number in (0.0, -1.0):  # the logarithm of it is minus infinity, or no number
        sent = np.full_like(ROW, number)
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.log(np.float32(number))
        for parameters in ({}, {"classification": 1}, {"classification": 1, "binary_data": True}):
            outputs = [{"name": "log", "parameters": parameters}]
            assert_error(send(client, "echo-float32", sent, outputs=outputs), 422, "not_finite")
        outputs = [{"name": "log", "parameters": {"binary_data": True}}]
        got = infer(client, "echo-float32", sent, outputs=outputs).outputs["log"]
        assert np.array_equal(got[0, 0], wanted, equal_nan=True)
        asked = [{"name": "answer.scores", "parameters": {"binary_data": True}}]
        assert_error(send(client, "echo-float32", sent, outputs=asked), 422, "not_finite")

"""Bodies the Open Inference Protocol's infer cannot read, and what any value in any place does to it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service import infer_request
from service.app import _current
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_oip_refusals import INPUT, PATH, ROW, values
from tests.contract.test_service import assert_error
from tests.contract.v2 import LENGTH, described, infer, post, raw, read


@pytest.fixture(scope="module")
def client(typed_root: Path) -> Iterator[TestClient]:
    with started(typed_root, max_body_bytes=300_000, poll_s=0) as client, documented(client):
        yield client


@pytest.fixture(autouse=True)
def healthy_after(client: TestClient) -> Iterator[None]:
    yield
    assert infer(client, "lamp", ROW).outputs["logits"].tolist() == [[4.0, -4.0]]


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{",
    "two values": b"{}{}",
    "NaN": json.dumps({"inputs": [{**INPUT, "data": values(float("nan"))}]}).encode(),
    "infinity": json.dumps({"inputs": [{**INPUT, "data": values(float("inf"))}]}).encode(),
    "no UTF-8": b'{"id": "\xff", "inputs": []}',
    "half a pair of surrogates": b'{"id": "\\ud800", "inputs": []}',
    "a mark in front": b"\xef\xbb\xbf{}",
    "100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "100,000 deep and open": b'{"inputs":' * 10_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_refused(client: TestClient, name: str) -> None:
    assert_error(client.post(PATH, content=BODIES[name]), 400, "bad_request")


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [9, 200, 900, 1010])
def test_nesting_where_a_value_belongs_is_refused(client: TestClient, depth: int) -> None:
    """As deep as the reader of JSON allows, which is deeper than Python can write."""
    row = json.dumps(INPUT)
    for told in (
        row.replace(json.dumps(INPUT["data"]), nested(depth)),
        row + '], "parameters": {"timeout": ' + nested(depth) + '}, "x": [1',
        row + '], "outputs": [{"name": "logits", "parameters": {"classification": ' + nested(depth) + "}}",
        row[:-1] + ', "parameters": {"binary_data_size": ' + nested(depth) + "}}",
    ):
        assert client.post(PATH, content='{"inputs": [' + told + "]}").status_code == 400


def test_of_a_key_given_twice_the_last_counts(client: TestClient) -> None:
    row = json.dumps(INPUT)
    told = client.post(PATH, content='{"id": "a", "inputs": [], "inputs": [' + row + '], "id": "b"}')
    assert read(told).json["id"] == "b"


HEADERS = ["-1", "1e2", "x", "+5", " ", "0x10", "٣", "9" * 30, "99999", "00", "5", "1"]


@pytest.mark.parametrize("told", HEADERS)
def test_lengths_of_the_json_that_are_refused(client: TestClient, told: str) -> None:
    body = json.dumps({"inputs": [INPUT]})
    response = client.post(PATH, content=body, headers={LENGTH.encode(): told.encode()})
    assert_error(response, 400, "bad_request")


@pytest.mark.parametrize("size", [0, 767, 769, -768, 768.0, "768", True, None])
def test_sizes_of_the_bytes_that_are_refused(client: TestClient, size: Any) -> None:
    tensor = {**described(ROW), "parameters": {"binary_data_size": size}}
    assert_error(post(client, "lamp", {"inputs": [tensor]}, raw(ROW)), 400, "bad_request")


def test_bytes_must_be_as_many_as_the_shape_says(client: TestClient) -> None:
    for data in (raw(ROW)[:-1], raw(ROW) + b"\0", b""):
        tensor = {**described(ROW), "parameters": {"binary_data_size": len(data)}}
        assert_error(post(client, "lamp", {"inputs": [tensor]}, data), 400, "bad_tensor")


def test_a_tensor_has_data_or_bytes(client: TestClient) -> None:
    both = {**INPUT, "parameters": {"binary_data_size": 768}}
    assert_error(post(client, "lamp", {"inputs": [both]}, raw(ROW)), 400, "bad_request")
    assert_error(post(client, "lamp", {"inputs": [INPUT]}, raw(ROW)), 400, "bad_request")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_what_a_body_becomes_is_limited(client: TestClient, pack: Any) -> None:
    headers = {"content-encoding": pack.__module__.replace("zlib", "deflate")}
    bomb = client.post(PATH, content=pack(bytes(300_001)), headers=headers)
    assert_error(bomb, 413, "too_large")
    packed = pack(json.dumps({"inputs": [INPUT]}).encode())
    for broken in (packed[:-9], packed + b"x", b"", packed[4:]):
        assert_error(client.post(PATH, content=broken, headers=headers), 400, "bad_request")
    for other in ("br", "gzip, gzip", "x" * 200):
        refused = client.post(PATH, content=packed, headers={"content-encoding": other})
        assert_error(refused, 415, "unsupported_body")


def test_memory_is_given_back_whatever_became_of_a_request(client: TestClient) -> None:
    running = _current()
    assert running is not None
    good = json.dumps({"inputs": [INPUT]}).encode()
    for content, status in (
        (good, 200),
        (good[:-1], 400),
        ((good[i : i + 99] for i in range(0, len(good), 99)), 200),
        ((bytes(100_000) for _ in range(4)), 413),
    ):
        assert client.post(PATH, content=content).status_code == status
        assert running.memory.used == 0
    packed = client.post(PATH, content=gzip.compress(good), headers={"content-encoding": "gzip"})
    assert packed.status_code == 200
    assert running.memory.used == 0


def test_a_service_whose_memory_is_full_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    running = _current()
    assert running is not None
    monkeypatch.setattr(running.memory, "most", 1000)
    response = post(client, "lamp", {"inputs": [INPUT], "x": "y" * 1000})
    assert_error(response, 503, "out_of_memory")
    assert int(response.headers["retry-after"]) > 0
    assert running.memory.used == 0


def test_large_json_is_sent_elsewhere(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer_request, "MAX_JSON_BYTES", 1000)
    long = {"inputs": [INPUT], "x": "y" * 1000}
    assert_error(post(client, "lamp", long), 400, "bad_request")


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["name", "datatype", "shape", "data", "parameters", "id", "outputs", "inputs"]), _json)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_in_any_place_is_a_bug(client: TestClient, key: str, value: Any) -> None:
    inner = key in ("name", "datatype", "shape", "data")
    told = {"inputs": [{**INPUT, key: value}]} if inner else {"inputs": [INPUT], key: value}
    assert post(client, "lamp", told).status_code in (200, 400, 413, 422)

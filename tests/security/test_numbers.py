"""A13: numbers and shapes that a reader trips over."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from tests.security.attack import (
    HEAD,
    LIGHT,
    MB,
    Answer,
    assert_refused,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    send_all,
)

VALUES = 192  # of lamp's input
HALF = [0.5] * VALUES
REFUSED = {400, 413, 422}
DATA: list[list[Any]] = [[], HALF, [[]], [""], [[[[0]]]]]


def question(**changed: Any) -> dict[str, Any]:
    """A request that is right but for what is changed."""
    told = {"name": "images", "datatype": "FP32", "shape": [1, 3, 8, 8], "data": HALF, **changed}
    return {"inputs": [{name: value for name, value in told.items() if value is not None}]}


def asked(url: str, body: str | dict[str, Any]) -> Answer:
    return send(url, infer("lamp", (body if isinstance(body, str) else json.dumps(body)).encode()))


def binary(shape: list[int], data: bytes, datatype: str = "FP32") -> bytes:
    told = question(shape=shape, datatype=datatype, data=None, parameters={"binary_data_size": len(data)})
    head = json.dumps(told).encode()
    return infer("lamp", head + data, f"{HEAD}: {len(head)}")


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "UINT8", "INT64", "UINT64", "BOOL", "BYTES"])
@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "nan", "1e", "0x1", "01"]
)
def test_what_is_no_number_in_json_is_refused(url: str, value: str, datatype: str) -> None:
    """A13: never read as null, never as infinity."""
    data = ",".join([value] * VALUES)
    body = f'{{"inputs":[{{"name":"images","datatype":"{datatype}","shape":[1,3,8,8],"data":[{data}]}}]}}'
    assert_refused(asked(url, body), 400, "bad_request")


@pytest.mark.parametrize("value", [None, True, "1", {}, [], 1e39, -1e300, 10**30])
def test_another_value_is_refused_or_exact(url: str, value: Any) -> None:
    """A13: what float32 cannot hold is not made infinite, what is no number is not made one."""
    answer = asked(url, question(data=[value] * VALUES))
    if value == 10**30:  # float32 holds it, and the graph can say so
        assert answer.status == 200
        assert answer.json["outputs"][0]["data"][1] > 1e30
    else:
        assert_refused(answer, 400, "bad_tensor")


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800001, 0x7F800000, 0xFF800000])
def test_bytes_that_are_no_number_are_refused(url: str, bits: int) -> None:
    """A13: quiet and signalling NaN and both infinities, one among many."""
    data = struct.pack("<f", 0.5) * (VALUES - 1) + struct.pack("<I", bits)
    assert_refused(send(url, binary([1, 3, 8, 8], data)), 422, "not_finite")
    raw = send(url, infer("lamp", data, f"{HEAD}: 0"))
    assert_refused(raw, 422, "not_finite")


@pytest.mark.parametrize("number", [-0.0, 5e-324, 1e-45, 1.1754942e-38, 3.4028234e38])
def test_small_and_large_numbers_are_answered(url: str, number: float) -> None:
    """A13: denormal and negative zero are numbers; the mean of the largest is none, and that is said."""
    for request in (
        infer("lamp", json.dumps(question(data=[number] * VALUES)).encode()),
        binary([1, 3, 8, 8], struct.pack("<f", number) * VALUES),
    ):
        answer = send(url, request)
        assert answer.status == 200 or (answer.status, answer.code) == (422, "not_finite"), answer


SHAPES: list[list[Any]] = [
    [],
    [0],
    [192],
    [3, 8, 8],
    [1, 3, 8, 8, 1],
    [1] * 9,
    [1] * 17,
    [0, 3, 8, 8],
    [1, 0, 8, 8],
    [-1, 3, 8, 8],
    [1, -3, -8, 8],
    [-(2**63), 3, 8, 8],
    [1, 3, 8, 2**31],
    [2**62, 4],
    [2**64 - 1],
    [2**64, 3, 8, 8],
    [10**30],
    [0, 2**62, 2**62],
    [0, 2**64 - 1],
    [2**32, 2**32, 0],
    [0] * 8,
    [1.0, 3, 8, 8],
    [1.5, 3, 8, 8],
    [True, 3, 8, 8],
    ["1", 3, 8, 8],
    [None],
    [[1, 3, 8, 8]],
]


@pytest.mark.parametrize("datatype", ["FP32", "UINT8", "BYTES", "BOOL", "FP64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_shape_that_does_not_fit_is_refused(url: str, shape: list[Any], datatype: str) -> None:
    """A13: of another rank, of nothing, negative, or of more values than can be counted."""
    requests = [
        infer("lamp", json.dumps(question(shape=shape, datatype=datatype, data=data)).encode())
        for data in DATA
    ]
    requests += [binary(shape, data, datatype) for data in (b"", bytes(4), bytes(VALUES * 4))]
    with grows_at_most(10 * MB, url):
        for answer in send_all(url, requests):
            assert answer.status in REFUSED, answer
            assert_refused(answer, answer.status, answer.code or "")


@pytest.mark.parametrize(
    "datatype", ["", "fp32", "FLOAT", "BF16", "OBJECT", "object", "<f4", "O", "V99999999"]
)
def test_another_datatype_is_refused(url: str, datatype: str) -> None:
    """A13: names are looked up in a table, never handed to a library."""
    assert_refused(asked(url, question(datatype=datatype)), 400, "bad_tensor")
    assert_refused(send(url, binary([1, 3, 8, 8], bytes(768), datatype)), 400, "bad_tensor")


def test_elements_without_number_are_refused_unmade(url: str) -> None:
    """A13: a megabyte of empty BYTES elements would be 240,000 objects of two hundred bytes."""
    count = 240_000
    with grows_at_most(15 * MB, url), healthy_neighbour(url, slowest_s=0.7):
        answer = send(url, binary([count], bytes(4 * count), "BYTES"))
        assert_refused(answer, 413, "too_many_images")
        text = asked(url, question(datatype="BYTES", shape=[count], data=[""] * count))
        assert_refused(text, 413, "too_many_images")


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "0x10", "+5", "99999999999999999999", "9" * 5000, "\xb2", "5,5"]
)
def test_a_length_of_the_json_part_that_is_none_is_refused(url: str, length: str) -> None:
    """A13: the header of the binary extension."""
    body = json.dumps(question()).encode()
    assert_refused(send(url, infer("lamp", body, f"{HEAD}: {length}")), 400, "bad_request")


@pytest.mark.parametrize("value", [-1, 2**64, 1.5, True, "1", [], {}, "9" * 1000])
@pytest.mark.parametrize("name", ["timeout", "classification"])
def test_a_setting_that_is_no_number_is_refused(url: str, name: str, value: Any) -> None:
    """A13."""
    told = question()
    if name == "timeout":
        told["parameters"] = {name: value}
    else:
        told["outputs"] = [{"name": "logits", "parameters": {name: value}}]
    assert_refused(asked(url, told), 400, "bad_request")


@pytest.mark.parametrize("query", ["top_k=1e400", "top_k=-1", "top_k=NaN", "top_k=٣", "top_k=" + "9" * 5000])
def test_a_number_in_a_query_is_checked(url: str, query: str) -> None:
    """A13: on the typed routes."""
    from urllib.parse import quote

    answer = send(url, post(f"/classify?model=lamp&{quote(query, safe='=')}", LIGHT))
    assert_refused(answer, 422, "bad_parameter")


@pytest.mark.parametrize("query", ["version=0", "version=-1", "version=1e0", "version=" + "9" * 5000])
def test_a_version_in_a_query_is_checked(url: str, query: str) -> None:
    """A13."""
    assert_refused(send(url, post(f"/classify?model=lamp&{query}", LIGHT)), 422, "bad_parameter")

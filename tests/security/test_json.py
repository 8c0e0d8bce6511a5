"""A14: JSON that a reader trips over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.security.attack import (
    MB,
    assert_refused,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    send_all,
)
from tests.security.test_numbers import HALF, REFUSED, asked, question


def nested(depth: int, inside: str = "1", kind: str = "[]") -> str:
    first, last = ("[", "]") if kind == "[]" else ('{"a":', "}")
    return first * depth + inside + last * depth


@pytest.mark.parametrize("depth", [50, 500, 980, 1015, 1024, 10_000, 400_000])
@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_deep_json_is_refused_wherever_it_is(url: str, depth: int, kind: str) -> None:
    """A14: in every place that is read, or shown in a message."""
    deep = nested(depth, kind=kind)
    if len(deep) > 900_000:
        deep = deep[: 900_000 - depth]
    half = json.dumps(HALF)
    told = '{"name":"images","datatype":"FP32","shape":[1,3,8,8],"data":'
    bodies = [
        deep,
        f'{{"inputs":[{told}{deep}}}]}}',
        f'{{"inputs":[{deep}]}}',
        f'{{"parameters":{{"timeout":{deep}}},"inputs":[{told}{half}}}]}}',
        f'{{"id":{deep},"inputs":[{told}{half}}}]}}',
        f'{{"outputs":[{{"name":"logits","parameters":{{"classification":{deep}}}}}],"inputs":[{told}{half}}}]}}',
        f'{{"inputs":[{{"name":"images","datatype":"FP32","shape":[{deep}],"data":{half}}}]}}',
        f'{{"inputs":[{{"name":{deep},"datatype":"FP32","shape":[1],"data":{half}}}]}}',
        f'{{"inputs":[{told}null,"parameters":{{"binary_data_size":{deep}}}}}]}}',
        f'{{"inputs":[{told[:-7]}"parameters":{{"binary_data_size":{deep}}}}}]}}',
    ]
    with grows_at_most(25 * MB, url):
        for answer in send_all(url, [infer("lamp", body.encode()) for body in bodies]):
            assert answer.status in REFUSED, answer
            assert_refused(answer, answer.status, answer.code or "")
    index = send(url, post("/v2/repository/index", deep.encode(), kind="application/json"))
    assert index.status in (200, 400, 413), index  # a shallow object is an object


TEXTS = {
    "half a pair": b'{"id":"\\ud800"}',
    "the other half": b'{"id":"\\udc00\\ud800"}',
    "a raw half": b'{"id":"\xed\xa0\x80"}',
    "no unicode": b'{"id":"\xff\xfe"}',
    "an overlong slash": b'{"id":"\xc0\xaf"}',
    "a mark in front": b"\xef\xbb\xbf{}",
    "sixteen bits": "{}".encode("utf-16"),
    "a raw control": b'{"id":"\x01"}',
    "a raw zero": b'{"id":"a\0b"}',
    "two documents": b"{}{}",
    "half a document": b'{"inputs":[',
    "a comment": b"{/* */}",
    "single quotes": b"{'inputs':[]}",
    "a comma too many": b'{"inputs":[],}',
    "only a number": b"1e999",
    "null": b"null",
    "nothing": b"",
    "spaces": b" " * 900_000,
    "a long name": b'{"' + b"a" * 900_000 + b'":1}',
    "many names": b"{" + b",".join(b'"%d":1' % i for i in range(60_000)) + b"}",
    "the same name": b"{" + b",".join([b'"inputs":1'] * 60_000) + b"}",
    "many inputs": b'{"inputs":[' + b"{}," * 200_000 + b"{}]}",
    "many shapes": b'{"inputs":[{"name":"images","datatype":"FP32","shape":[' + b"[]," * 200_000 + b"1]}]}",
    "many outputs": b'{"inputs":[{}],"outputs":[' + b"{}," * 200_000 + b"{}]}",
    "many lists": b'{"inputs":[{"name":"images","datatype":"FP32","shape":[1],"data":['
    + b"[]," * 200_000
    + b"[]]}]}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_request_is_refused(url: str, name: str) -> None:
    """A14: at once, and without taking many times its own size."""
    with grows_at_most(32 * MB, url), healthy_neighbour(url, slowest_s=0.7):
        answer = send(url, infer("lamp", TEXTS[name]))
        assert_refused(answer, 400, answer.code or "")
        index = send(url, post("/v2/repository/index", TEXTS[name], kind="application/json"))
        assert index.status in (200, 400, 413), index  # an object with any names is one


def test_a_text_of_the_repository_is_short(url: str) -> None:
    """A14: everybody may ask for the index; thirty megabytes of lists were a gigabyte when parsed."""
    for body in (b"[" + b"[]," * 300_000 + b"[]]", b'{"parameters":{"config":"' + b"x" * 900_000 + b'"}}'):
        with grows_at_most(10 * MB, url):
            assert_refused(send(url, post("/v2/repository/index", body)), 413, "too_large")


@pytest.mark.parametrize("name", ["id", "inputs", "outputs", "parameters"])
def test_a_name_given_twice_is_read_once(url: str, name: str) -> None:
    """A14: the last one counts, for everything; never half of one and half of the other."""
    good: dict[str, Any] = {"id": "x", "outputs": [], "parameters": {}, **question()}
    bad = {"id": 1, "inputs": [], "outputs": 1, "parameters": 1}[name]
    rest = json.dumps(good)[1:]
    assert asked(url, f'{{"{name}":{json.dumps(bad)},{rest}').status == 200
    assert_refused(asked(url, f'{json.dumps(good)[:-1]},"{name}":{json.dumps(bad)}}}'), 400, "bad_request")


@pytest.mark.parametrize(
    "text", ["a\u0000b", "\u202e", "<script>", "\U0001f600", "__proto__", "%s%n", "{{7*7}}"]
)
def test_a_strange_id_comes_back_as_it_is(url: str, text: str) -> None:
    """A14: as JSON, and in no header."""
    answer = asked(url, {"id": text, "__proto__": {}, **question()})
    assert (answer.status, answer.json["id"]) == (200, text)

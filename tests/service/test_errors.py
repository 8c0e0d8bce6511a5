"""Every error is on the drawn tree, has a code of its own, and one shape."""

from __future__ import annotations

import re

import orjson
import pytest

from service import errors
from service.errors import ServiceError, error_body, error_response, restated


def tree(cls: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [cls, *(s for c in cls.__subclasses__() for s in tree(c))]


@pytest.mark.parametrize("cls", tree())
def test_one_shape(cls: type[ServiceError]) -> None:
    body = error_body(cls("why"), "id")
    assert {**body, "error": ""} == {"error": "", "code": cls.code, "status": cls.status, "request_id": "id"}
    assert error_response(cls("why"), "id").status_code == cls.status


def test_codes_are_unique() -> None:
    codes = [cls.code for cls in tree()]
    assert len(codes) == len(set(codes))


def test_the_drawing_is_the_tree() -> None:
    told = set(re.findall(r"(\w+) +(\d{3}) (\w+)$", errors.__doc__ or "", flags=re.M))
    assert told == {(cls.__name__, str(cls.status), cls.code) for cls in tree()}


def test_a_bug_keeps_its_words_to_itself() -> None:
    assert "secret" not in str(error_body(ServiceError("secret"), "id"))


def test_trying_again_is_suggested_where_it_helps() -> None:
    assert error_response(errors.Overloaded("full"), "id").headers["retry-after"] == "1"
    assert "retry-after" not in error_response(errors.NoImage("none"), "id").headers


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (400, b'{"error": "no"}', "bad_request", "no"),
        (400, b'[{"error": "no"}]', "bad_request", "no"),
        (400, b'{"error": "no", "detail": [1]}', "bad_request", "no"),
        (404, b"Not Found", "unknown_route", "Not Found"),
        (429, b'{"error": "Too many requests"}', "overloaded", "Too many requests"),
        (418, b"", "bad_request", "not well-formed"),
        (502, b"\xff\xfe", "internal", ""),
    ],
)
def test_foreign_bodies_are_restated(status: int, body: bytes, code: str, words: str) -> None:
    error = restated(status, body)
    assert error is not None
    assert error.code == code
    assert words in str(error)


def test_our_own_body_passes() -> None:
    assert restated(422, orjson.dumps(error_body(errors.NoImage("none"), "id"))) is None

"""The OpenAPI document is one, and says what the service does.

That every status which is seen stands in it is watched wherever the other tests of this folder ask;
see `tests.contract.documented`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.errors import ServiceError
from tests.contract.documented import complaint, documented
from tests.contract.running import started
from tests.contract.test_service import assert_error

TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}  # JSON Schema's
VERBS = {"get", "post", "put", "delete", "head", "options", "patch", "trace"}


@pytest.fixture(scope="module")
def document(repository: Path) -> Any:
    with started(repository, poll_s=0) as client:
        return client.get("/docs.json").json()


def objects(told: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(told, dict):
        yield told
        for value in told.values():
            yield from objects(value)
    elif isinstance(told, list):
        for value in told:
            yield from objects(value)


def operations(document: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def test_it_is_of_the_version_whose_schemas_it_has(document: Any) -> None:
    assert document["openapi"] == "3.1.0"  # the first that knows null, const and prefixItems
    assert {"title", "version"} <= document["info"].keys()
    for told in objects(document):
        if isinstance(told.get("type"), str):
            assert told["type"] in TYPES, told


def test_every_reference_leads_somewhere(document: Any) -> None:
    found = [told["$ref"] for told in objects(document) if "$ref" in told]
    assert found
    for reference in found:
        place = document
        assert reference.startswith("#/")
        for word in reference[2:].split("/"):
            place = place[word]
        assert isinstance(place, dict)


def test_every_route_is_described(document: Any) -> None:
    names = []
    for path, verb, operation in operations(document):
        assert verb in VERBS
        assert path.startswith("/")
        assert "200" in operation["responses"], path
        assert all(answer["description"].strip() for answer in operation["responses"].values())
        told = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert told == set(re.findall(r"\{(\w+)\}", path)), path
        assert ("requestBody" in operation) is (verb == "post")
        names.append(operation.get("operationId"))
    given = [name for name in names if name is not None]
    assert len(given) == len(set(given))


def test_every_failure_has_the_one_body(document: Any) -> None:
    schema = document["components"]["schemas"]["ErrorBody"]
    assert set(schema["required"]) == {"error", "code", "status", "request_id"}
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status[0] in "45":
                told = answer["content"]["application/json"]["schema"]
                assert told == {"$ref": "#/components/schemas/ErrorBody"}, (path, status)


def tree(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield kind
    for sub in kind.__subclasses__():
        yield from tree(sub)


def test_the_document_has_the_statuses_that_can_be_raised_and_no_others(document: Any) -> None:
    raised = {str(kind.status) for kind in tree(ServiceError)}
    told = {s for _, _, operation in operations(document) for s in operation["responses"] if s[0] in "45"}
    assert told == raised
    for path in ("/classify", "/v2/models/{model}/infer"):
        answers = document["paths"][path]["post"]["responses"]
        # What only happens under load, or to slow clients, and so is not seen by these tests.
        assert {"408", "429", "503", "504"} <= answers.keys()
    assert "409" in document["paths"]["/detect"]["post"]["responses"]
    assert "403" in document["paths"]["/v2/repository/models/{model}/load"]["post"]["responses"]


@pytest.mark.parametrize("version", ["", "/versions/{version}"])
def test_a_route_with_a_version_says_the_same_as_without(document: Any, version: str) -> None:
    for rest in ("", "/infer", "/ready", "/config", "/stats"):
        plain = document["paths"][f"/v2/models/{{model}}{rest}"]
        versioned = document["paths"][f"/v2/models/{{model}}{version}{rest}"]
        assert [o["responses"] for o in plain.values()] == [o["responses"] for o in versioned.values()]


def test_files_may_be_sent_as_a_form_or_raw(document: Any) -> None:
    for path in ("/classify", "/detect", "/segment"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert {"multipart/form-data", "image/*"} <= content.keys()
        items = content["multipart/form-data"]["schema"]["properties"]["image"]["items"]
        assert (items["type"], items["format"]) == ("string", "binary")


def test_what_is_not_ready_says_so_as_documented(tmp_path: Path) -> None:
    """Alive, with an empty repository."""
    with started(tmp_path, until="/livez", poll_s=0) as client, documented(client):
        for path in ("/readyz", "/v2/health/ready", "/v2/models/lamp", "/v2/models/lamp/ready"):
            response = client.get(path)
            assert_error(response, 503, "not_ready")
            assert int(response.headers["retry-after"]) > 0
        for path in ("/v2/models/lamp/infer", "/classify"):
            told = client.post(path, content=b"x", headers={"content-type": "image/png"})
            assert told.status_code in (422, 503), path
        assert client.get("/v2/models/stats").json() == {"model_stats": []}
        assert client.post("/v2/repository/index").json() == []
        assert client.get("/livez").status_code == client.get("/v2/health/live").status_code == 200


PATHS: dict[str, Any] = {
    "/a": {"get": {"responses": {"200": {}, "405": {}}}},
    "/b/{x}/c": {"post": {"responses": {"404": {}}}},
}
COMPLAINTS = [
    ("GET", "/a", 200, False),
    ("HEAD", "/a", 200, False),
    ("GET", "/a/", 200, False),
    ("GET", "/a", 500, True),
    ("DELETE", "/a", 405, False),
    ("DELETE", "/a", 200, False),
    ("POST", "/b/1/c", 404, False),
    ("POST", "/b/1/c", 200, True),
    ("POST", "/b/1/2/c", 200, True),
    ("GET", "/nothing", 404, False),
    ("GET", "/nothing", 405, True),
]


@pytest.mark.parametrize(("method", "path", "status", "complains"), COMPLAINTS)
def test_the_watch_complains_of_what_is_not_documented(
    method: str, path: str, status: int, complains: bool
) -> None:
    assert (complaint(PATHS, method, path, status) is not None) is complains


def test_the_watch_looks_at_every_answer(repository: Path) -> None:
    with started(repository, poll_s=0) as client:
        watch = documented(client)
        watch.__enter__()
        client.get("/schema.json")
        with pytest.raises(AssertionError, match=r"GET /schema\.json gave 200, but the path is not"):
            watch.__exit__(None, None, None)
        assert client.event_hooks["response"] == []

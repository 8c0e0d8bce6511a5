"""The document against the routes, the errors, and real answers."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.jobs.desk import Desk
from eval.jobs.errors import tree
from eval.jobs.routes import application
from tests.eval.jobs.asking import body, desk_at
from tests.eval.jobs.http import client_of, finish, post

jsonschema: Any = importlib.import_module("jsonschema")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = desk_at(tmp_path / "home")
    yield made
    made.runner.close()


def test_the_document_tells_every_route_error_and_field(desk: Desk) -> None:
    client = client_of(desk)
    told = client.get("/v1/openapi.json").json()
    assert told == client.get("/docs.json").json()
    routes = {route.path for route in application(lambda: None).routes}  # type: ignore[attr-defined]
    assert set(told["paths"]) == routes - {"/metrics", "/docs.json", "/v1/openapi.json"}
    assert set(told["components"]["schemas"]["ErrorBody"]["properties"]["code"]["enum"]) == {
        c.code for c in tree()
    }
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert references <= set(told["components"]["schemas"])


def test_answers_are_as_the_document_says(desk: Desk) -> None:
    client = client_of(desk)
    components = client.get("/v1/openapi.json").json()["components"]

    def fits(told: Any, schema: str) -> None:
        whole = {"$ref": f"#/components/schemas/{schema}", "components": components}
        jsonschema.Draft202012Validator(whole).validate(told)

    made = post(client, body("m"))
    fits(made.json(), "Job")
    finish(desk, made.json()["id"])
    fits(client.get(made.headers["location"]).json(), "Job")
    fits(client.get("/v1/jobs").json(), "Page")
    fits(client.get("/nix").json(), "ErrorBody")
    fits(json.loads(body("m", limit=3)), "Evaluation")
    for wrong in (body("m", limit=0), body("m", other=1), body("m", url="http://a@b")):
        with pytest.raises(jsonschema.ValidationError):
            fits(json.loads(wrong), "Evaluation")

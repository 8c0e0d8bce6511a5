"""The OpenAPI document of the evaluation service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from eval.jobs.asked import ASKED
from eval.jobs.errors import JobError, tree
from eval.jobs.rollouts import Revision
from eval.jobs.states import KINDS, STATES, Kind
from eval.jobs.status import END, REPORTS

__all__ = ["PATHS", "document"]

PATHS: Mapping[Kind, str] = {
    "evaluation": "/v1/evaluations",
    "audit": "/v1/audits",
    "comparison": "/v1/comparisons",
    "gate": "/v1/gates",
}
REFERENCE = "#/components/schemas/"
TEXT = {"type": ["string", "null"]}
STAMP = {"type": ["string", "null"], "format": "date-time"}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body again give the same job, not another.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}
JOB = {
    "type": "object",
    "required": [
        "id",
        "kind",
        "state",
        "verdict",
        "why",
        "asked",
        "created",
        "started",
        "ended",
        "attempts",
        "links",
    ],
    "properties": {
        "id": ID["schema"],
        "kind": {"enum": list(KINDS)},
        "state": {"enum": list(STATES)},
        "verdict": {
            "enum": ["valid", "not valid", "pass", "fail", "could not be asked", "inconclusive", None]
        },
        "why": {**TEXT, "description": "Of a job that failed, or waits again."},
        "asked": {"type": "object"},
        "created": STAMP,
        "started": STAMP,
        "ended": STAMP,
        "attempts": {"type": "integer", "minimum": 0},
        "links": {"type": "object"},
        "progress": {
            "type": ["object", "null"],
            "properties": {name: {"type": "integer"} for name in ("done", "total", "errors")},
        },
        "eta_s": {"type": ["number", "null"]},
        "log": {"type": "array", "items": {"type": "string"}, "description": "Last lines of its stderr."},
    },
}
PAGE = {
    "type": "object",
    "required": ["jobs", "next"],
    "properties": {"jobs": {"type": "array", "items": {"$ref": REFERENCE + "Job"}}, "next": TEXT},
}
ERROR = {
    "type": "object",
    "required": ["error", "code", "status", "request_id"],
    "properties": {
        "error": {"type": "string"},
        "code": {"enum": sorted({cls.code for cls in tree()})},
        "status": {"type": "integer"},
        "request_id": {"type": "string"},
    },
}


@cache
def document() -> bytes:
    """The whole document as JSON."""
    models: list[type[BaseModel]] = [*ASKED.values(), Revision]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE + "{model}"
    )
    components = {**schemas["$defs"], "Job": JOB, "Page": PAGE, "ErrorBody": ERROR}
    keys = {
        "key": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Assay evaluation",
            "version": "1",
            "description": "Evaluations and audits of live endpoints as jobs. A job is a run of the `assay` "
            "command; its report is the one the command writes.",
        },
        "paths": {**_submitting(), **_rollouts(), **_looking()},
        "components": {"schemas": components, "securitySchemes": keys},
        "security": [{}, {"key": []}, {"header": []}],
    }
    return json.dumps(whole, allow_nan=False).encode()


def _submitting() -> dict[str, Any]:
    told: dict[str, Any] = {}
    for kind, model in ASKED.items():
        schema = {"$ref": REFERENCE + model.__name__}
        told[PATHS[kind]] = {
            "post": {
                "summary": (model.__doc__ or "").strip().splitlines()[0],
                "operationId": f"submit_{kind}",
                "parameters": [IDEMPOTENCY],
                "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
                "responses": {
                    "202": _answer("Queued; Location is where it is.", "Job"),
                    "200": _answer("It was there already, from the same Idempotency-Key.", "Job"),
                    **_failures(400, 401, 403, 405, 408, 409, 413, 415, 422, 429),
                },
            }
        }
    return told


def _rollouts() -> dict[str, Any]:
    """What a rollout asks, in the words of Flagger's webhooks."""
    schema = {"$ref": REFERENCE + Revision.__name__}
    told: dict[str, Any] = {}
    for path, words, good, statuses in (
        ("/v1/rollouts", "May this revision go on? Begins its gate, once.", "Its gate passed.", (412, 425)),
        ("/v1/rollouts/rollback", "Must this revision go back?", "Its gate failed, or stayed open.", (425,)),
    ):
        told[path] = {
            "post": {
                "summary": words,
                "operationId": path[4:].replace("/", "_"),
                "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
                "responses": {
                    "200": _answer(good, "Job"),
                    **_failures(400, 401, 403, 405, 408, 409, 413, 415, 422, 429, *statuses),
                },
            }
        }
    return told


def _looking() -> dict[str, Any]:
    one = "/v1/jobs/{id}"
    whole = {"type": "integer", "minimum": 1}
    query: list[Any] = [
        {"name": "state", "in": "query", "schema": {"enum": list(STATES)}},
        {"name": "limit", "in": "query", "schema": {**whole, "maximum": 200, "default": 50}},
        {"name": "before", "in": "query", "description": "`next` of the page before.", "schema": whole},
    ]
    gone = {"204": {"description": "Gone, and its reports."}}
    told: dict[str, Any] = {
        "/v1/jobs": {
            "get": _route("Jobs, the newest first.", {"200": _answer("A page.", "Page")}, 422, query)
        },
        one: {
            "get": _route(
                "State, progress, time to go, last words.", {"200": _answer("It.", "Job")}, 404, [ID]
            ),
            "delete": _route("Forget a job that has ended.", gone, 409, [ID]),
        },
        f"{one}/cancel": {"post": _route("End a job.", {"202": _answer("It ends.", "Job")}, 409, [ID])},
        "/v1/data": {"get": _route("Names of data.", {"200": {"description": "Names."}}, 405, [])},
    }
    for suffix, media in REPORTS.items():
        good = {"200": {"description": "It.", "content": {media.partition(";")[0]: {}}}}
        told[f"{one}/report{END[suffix]}"] = {
            "get": _route("What a job that is done found.", good, 409, [ID])
        }
    return told


def _route(words: str, good: dict[str, Any], status: int, parameters: list[Any]) -> dict[str, Any]:
    also = (404,) if ID in parameters else ()
    return {
        "summary": words,
        "parameters": parameters,
        "responses": {**good, **_failures(401, 405, status, *also)},
    }


def _answer(words: str, schema: str) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": {"$ref": REFERENCE + schema}}}}


def _failures(*statuses: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status in sorted({*statuses, JobError.status, 503}):
        words = " ".join(cls.__doc__ or "" for cls in tree()[1:] if cls.status == status)
        told[str(status)] = _answer(words or "A bug; the log knows why.", "ErrorBody")
    return told

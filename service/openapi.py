"""The OpenAPI document: BentoML's, with the routes and the statuses it does not know.

BentoML says 3.0 of schemas that are 3.1's (null, const, prefixItems), and gives files a type that
OpenAPI has not had since 2.0; both are put right here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from models.card import TaskName
from service.errors import ServiceError
from service.oip import VERSION
from service.shapes import ANSWERS, REQUESTS, schemas
from service.typed import PARAMETERS

__all__ = ["document"]

MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
NUMBER = {
    "name": "version",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
}
ASKING = (400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504)
LOOKING = (400, 401, 404, 405, 431, 500, 503)
ADMIN = (400, 401, 403, 404, 408, 413, 415, 422, 431, 500, 503)
PROBING = (400, 431, 500, 503)  # no key is needed
# path -> (method, what it does, the statuses it can fail with)
ROUTES: Mapping[str, tuple[str, str, tuple[int, ...]]] = {
    "/livez": ("get", "200 while the process answers.", PROBING),
    "/healthz": ("get", "The same as /livez.", PROBING),
    "/readyz": ("get", "200 while requests should be sent here.", PROBING),
    "/docs.json": ("get", "This document.", LOOKING),
    "/models": ("get", "What is served: task, labels, input, digest, claims, state.", LOOKING),
    "/metrics": ("get", "Prometheus metrics.", PROBING),
    "/v2": ("get", "Name, version, extensions.", LOOKING),
    "/v2/health/live": ("get", "200 while the process answers.", PROBING),
    "/v2/health/ready": ("get", "200 while requests should be sent here.", PROBING),
    "/v2/models/{model}": ("get", "Inputs and outputs.", LOOKING),
    "/v2/models/{model}/ready": ("get", "200 while the model answers.", LOOKING),
    "/v2/models/{model}/config": ("get", "Configuration, in Triton's words.", LOOKING),
    "/v2/models/{model}/stats": ("get", "Counts and times since it went live.", LOOKING),
    "/v2/models/stats": ("get", "Counts and times of every model.", LOOKING),
    "/v2/models/{model}/infer": ("post", "Inference; JSON, then binary tensors.", ASKING),
    "/v2/repository/index": ("post", "Every version and its state.", ADMIN),
    "/v2/repository/models/{model}/load": ("post", "Load what is in the folder. Needs an admin key.", ADMIN),
    "/v2/repository/models/{model}/unload": ("post", "Stop serving a model. Needs an admin key.", ADMIN),
}
TYPED: Mapping[str, TaskName] = {
    "/classify": "classification",
    "/detect": "detection",
    "/segment": "segmentation",
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
TEXT = {"text/plain": {"schema": {"type": "string"}}}
# One picture of two pixels, which every model takes whose input has this name.
EXAMPLE = {
    "inputs": [
        {"name": "images", "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [0, 0, 0, 255, 255, 255]}
    ]
}
REFERENCE = "#/components/schemas/"
INFO = {
    "title": "Assay",
    "version": VERSION,
    "description": "Vision models for classification, detection and segmentation: typed routes, and the "
    "Open Inference Protocol v2. Every failure on every route has the one shape `ErrorBody`.",
}


def document(bento: Mapping[str, Any]) -> bytes:
    """The whole document as JSON.

    Args:
        bento: what BentoML says of its own routes.
    """
    paths: dict[str, Any] = {}
    for path, task in TYPED.items():
        post = bento["paths"][path]["post"]
        good = {
            str(status): {**told, "content": {**told["content"], "image/png": BINARY}}  # the answer drawn
            for status, told in post["responses"].items()
            if str(status)[0] == "2"
        }
        content = {**post["requestBody"]["content"], "image/*": BINARY, "application/octet-stream": BINARY}
        paths[path] = {
            "post": {
                **post,
                "parameters": _query(task),
                "requestBody": {"required": True, "content": content},
                "responses": {**good, **_failures((*ASKING, 405, 409))},
            }
        }
    for path, (method, words, statuses) in ROUTES.items():
        told: dict[str, Any] = {"summary": words, "tags": ["Assay"]}
        told["parameters"] = [MODEL] if "{model}" in path else []
        told["responses"] = {"200": _answer(path), **_failures((*statuses, 405))}
        if method == "post":
            told["requestBody"] = _body(path)
        paths[path] = {method: told}
        if path.startswith("/v2/models/{model}"):
            versioned = path.replace("{model}", "{model}/versions/{version}")
            paths[versioned] = {method: {**told, "parameters": [MODEL, NUMBER]}}
    every = {**bento.get("components", {}).get("schemas", {}), **schemas()}
    components = {**bento.get("components", {}), "schemas": every}
    whole = {**bento, "openapi": "3.1.0", "info": INFO, "servers": [{"url": "/"}]}
    whole |= {"paths": paths, "components": components}
    return orjson.dumps(_mended(whole), option=orjson.OPT_NON_STR_KEYS)


def _query(task: TaskName) -> list[dict[str, Any]]:
    """The parameters, which a query may hold as well as a form; there, nothing is null."""
    told = []
    for name, schema in PARAMETERS[task].model_json_schema()["properties"].items():
        kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
        plain = {key: value for key, value in kinds[0].items() if key not in ("title", "description")}
        words = schema.get("description", "")
        told.append({"name": name, "in": "query", "required": False, "description": words, "schema": plain})
    return told


def _answer(path: str) -> dict[str, Any]:
    """What a route answers when all is well."""
    if path in ANSWERS:
        schema = {"$ref": REFERENCE + ANSWERS[path].__name__}
        content: dict[str, Any] = {"application/json": {"schema": schema}}
        if path.endswith("/infer"):
            content["application/octet-stream"] = BINARY  # JSON, then the tensors it gives the sizes of
    else:
        content = {"application/json": {"schema": {"type": "object"}}} if path == "/docs.json" else TEXT
    return {"description": "Done.", "content": content}


def _mended(told: Any) -> Any:
    """The same, files being strings."""
    if isinstance(told, list):
        return [_mended(value) for value in told]
    if not isinstance(told, dict):
        return told
    mended = {key: _mended(value) for key, value in told.items()}
    return {**mended, "type": "string"} if mended.get("type") == "file" else mended


def _body(path: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE + REQUESTS[path].__name__}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if path.endswith("/infer"):
        content["application/json"]["example"] = EXAMPLE
        content |= {"application/octet-stream": BINARY, "image/*": BINARY}
    return {"required": path.endswith("/infer"), "content": content}


def _failures(statuses: tuple[int, ...]) -> dict[str, Any]:
    """The one error body for each status, with the words of its error classes."""
    schema = {"application/json": {"schema": {"$ref": REFERENCE + "ErrorBody"}}}
    told: dict[str, Any] = {}
    for status in sorted(set(statuses)):
        words = " ".join(c.__doc__ or "" for c in _tree(ServiceError)[1:] if c.status == status)
        told[str(status)] = {"description": words or "A bug; the log knows why.", "content": schema}
    return told


def _tree(cls: type[ServiceError]) -> list[type[ServiceError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in _tree(sub))]

"""The OpenAPI document: BentoML's, with the routes and the statuses it does not know.

BentoML says 3.0 of schemas that are 3.1's (null, const, prefixItems), and gives files a type that
OpenAPI has not had since 2.0; both are put right here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from models.wire import ErrorBody
from service.errors import ServiceError

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
TYPED = ("/classify", "/detect", "/segment")
BINARY = {"schema": {"type": "string", "format": "binary"}}


def document(bento: Mapping[str, Any]) -> bytes:
    """The whole document as JSON.

    Args:
        bento: what BentoML says of its own routes.
    """
    paths: dict[str, Any] = {path: dict(item) for path, item in bento["paths"].items()}
    for path in TYPED:
        post = paths[path]["post"]
        good = {status: answer for status, answer in post["responses"].items() if str(status)[0] == "2"}
        post["responses"] = {**good, **_failures((*ASKING, 405, 409))}
        post["requestBody"]["content"]["image/*"] = BINARY
    for path, (method, words, statuses) in ROUTES.items():
        parameters = [MODEL] if "{model}" in path else []
        told: dict[str, Any] = {"summary": words, "tags": ["Assay"], "parameters": parameters}
        told["responses"] = {"200": {"description": "Done."}, **_failures((*statuses, 405))}
        if method == "post":
            told["requestBody"] = _body(path)
        paths[path] = {method: told}
        if path.startswith("/v2/models/{model}"):
            versioned = path.replace("{model}", "{model}/versions/{version}")
            paths[versioned] = {method: {**told, "parameters": [MODEL, NUMBER]}}
    schemas = {**bento.get("components", {}).get("schemas", {}), "AssayError": ErrorBody.model_json_schema()}
    components = {**bento.get("components", {}), "schemas": schemas}
    told = _mended({**bento, "openapi": "3.1.0", "paths": paths, "components": components})
    return orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS)


def _mended(told: Any) -> Any:
    """The same, files being strings."""
    if isinstance(told, list):
        return [_mended(value) for value in told]
    if not isinstance(told, dict):
        return told
    mended = {key: _mended(value) for key, value in told.items()}
    return {**mended, "type": "string"} if mended.get("type") == "file" else mended


def _body(path: str) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if path.endswith("/infer"):
        content |= {"application/octet-stream": BINARY, "image/*": BINARY}
    return {"required": path.endswith("/infer"), "content": content}


def _failures(statuses: tuple[int, ...]) -> dict[str, Any]:
    """The one error body for each status, with the words of its error classes."""
    schema = {"application/json": {"schema": {"$ref": "#/components/schemas/AssayError"}}}
    told: dict[str, Any] = {}
    for status in sorted(set(statuses)):
        words = " ".join(c.__doc__ or "" for c in _tree(ServiceError) if c.status == status)
        told[str(status)] = {"description": words, "content": schema}
    return told


def _tree(cls: type[ServiceError]) -> list[type[ServiceError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in _tree(sub))]

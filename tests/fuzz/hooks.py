"""For schemathesis, in its own environment: uploads are pictures mostly, or nothing is answered."""

from __future__ import annotations

import base64
from typing import Any

import schemathesis  # type: ignore[import-not-found]  # only in .venv-fuzz
from hypothesis import strategies as st

# A PNG of 2 x 2 grey pixels, written out: the environment has nothing that draws.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGM8wcDEwAAAA/oAzIAKlEUAAAAASUVORK5CYII="
)
uploads = st.one_of(st.just(PICTURE), st.just(PICTURE), st.binary(max_size=200))

schemathesis.openapi.media_type("image/*", uploads, aliases=["application/octet-stream"])
schemathesis.openapi.format("binary", uploads)

# A parameter may be given once only, in the query or in the form; what is drawn has it in both, mostly.
MODELS = {"/classify": "lamp", "/detect": "frame", "/segment": "shade"}


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_query(context: Any, query: Any) -> Any:
    """Of every other request to a typed route, the query names a model that is served, and nothing else."""
    path = context.operation.path
    return {"model": MODELS[path]} if path in MODELS and len(repr(query)) % 2 else query


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_body(context: Any, body: Any) -> Any:
    """Of every other form, only the files are left."""
    if context.operation.path not in MODELS or not isinstance(body, dict) or len(repr(body)) % 2:
        return body
    return {name: value for name, value in body.items() if name == "image"}

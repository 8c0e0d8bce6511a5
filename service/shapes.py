"""What the routes beside the typed ones answer, as OpenAPI tells it; handlers write the same dicts unchecked.

Source: Open Inference Protocol v2 (`open_inference_rest.yaml`) and Triton's extensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.json_schema import models_json_schema

from models.card import Claim, TaskName
from models.wire import ErrorBody

__all__ = ["ANSWERS", "REQUESTS", "schemas"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InputSize(_Shape):
    """Pixels of a graph's input."""

    height: int
    width: int


class ServedVersion(_Shape):
    """One version; all but who it is and how it is doing is missing where its card could not be read."""

    name: str
    version: int
    state: Literal["loading", "ready", "failed"]
    error: str | None
    task: TaskName | None = None
    description: str | None = None
    labels: list[str] | None = None
    licence: str | None = None
    sha256: str | None = None
    claims: list[Claim] | None = None
    max_batch: int | None = None
    input: InputSize | None = None


class Served(_Shape):
    """`GET /models`."""

    models: list[ServedVersion]
    error: str | None


class Live(_Shape):
    """`GET /v2/health/live`."""

    live: Literal[True]


class Ready(_Shape):
    """`GET /v2/health/ready`."""

    ready: Literal[True]


class ModelReady(_Shape):
    """`GET /v2/models/{model}/ready`."""

    name: str
    ready: Literal[True]


class ServerMetadata(_Shape):
    """`GET /v2`."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(_Shape):
    """An input or an output; -1 where any size goes."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Shape):
    """`GET /v2/models/{model}`."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfig(_Shape):
    """An input or an output in Triton's words, without the first size."""

    name: str
    data_type: str
    dims: list[int]


class DynamicBatching(_Shape):
    """How long an image may wait for others."""

    max_queue_delay_microseconds: int


class ModelConfig(_Shape):
    """`GET /v2/models/{model}/config`."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[TensorConfig]
    output: list[TensorConfig]
    dynamic_batching: DynamicBatching


class Duration(_Shape):
    """How often, and nanoseconds of all together."""

    count: int = Field(ge=0)
    ns: int = Field(ge=0)


class InferenceStatistics(_Shape):
    """Of requests' items; the cache is one that is not here."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class BatchStatistics(_Shape):
    """Of runs of one size."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class VersionStatistics(_Shape):
    """One version, since it went live."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferenceStatistics
    batch_stats: list[BatchStatistics]


class Statistics(_Shape):
    """`GET /v2/models/{model}/stats`."""

    model_stats: list[VersionStatistics]


class _Told(BaseModel):
    """Parts of a request; unknown keys are let pass, as the protocol asks."""

    model_config = ConfigDict(extra="allow")


class RequestInput(_Told):
    """A tensor; `data` is nested or flat, and missing where `parameters.binary_data_size` is given."""

    name: str = Field(max_length=256)
    datatype: str = Field(max_length=16)
    shape: list[int] = Field(max_length=16)
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class RequestOutput(_Told):
    """An output that is wanted; `parameters` may say `binary_data` or `classification`."""

    name: str = Field(max_length=256)
    parameters: dict[str, Any] = {}


class InferRequest(_Told):
    """`POST /v2/models/{model}/infer`."""

    id: str | None = Field(None, max_length=1024)
    parameters: dict[str, Any] = {}
    inputs: list[RequestInput] = Field(min_length=1, max_length=64)
    outputs: list[RequestOutput] = Field([], max_length=64)


class BinarySize(_Shape):
    """Bytes of the tensor behind the JSON."""

    binary_data_size: int


class ResponseOutput(_Shape):
    """A tensor, flat; or as bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float | bool | str] | None = None
    parameters: BinarySize | None = None


class InferAnswer(_Shape):
    """What `POST /v2/models/{model}/infer` answers."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseOutput]


class IndexRequest(_Told):
    """`POST /v2/repository/index`; with `ready`, only what answers is listed."""

    ready: bool = False


class IndexEntry(_Shape):
    """One version and its state."""

    name: str
    version: str
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str


class Index(RootModel[list[IndexEntry]]):
    """What `POST /v2/repository/index` answers."""


class LoadParameters(_Told):
    """`config` is Triton's model configuration as text; a `version_policy` in it is heeded."""

    config: str | None = None


class LoadRequest(_Told):
    """`POST /v2/repository/models/{model}/load` and `unload`; the body may be empty."""

    parameters: LoadParameters | None = None


class Done(_Shape):
    """An empty object."""


ANSWERS: Mapping[str, type[BaseModel]] = {
    "/models": Served,
    "/v2": ServerMetadata,
    "/v2/health/live": Live,
    "/v2/health/ready": Ready,
    "/v2/models/{model}": ModelMetadata,
    "/v2/models/{model}/ready": ModelReady,
    "/v2/models/{model}/config": ModelConfig,
    "/v2/models/{model}/stats": Statistics,
    "/v2/models/stats": Statistics,
    "/v2/models/{model}/infer": InferAnswer,
    "/v2/repository/index": Index,
    "/v2/repository/models/{model}/load": Done,
    "/v2/repository/models/{model}/unload": Done,
}
REQUESTS: Mapping[str, type[BaseModel]] = {
    "/v2/models/{model}/infer": InferRequest,
    "/v2/repository/index": IndexRequest,
    "/v2/repository/models/{model}/load": LoadRequest,
    "/v2/repository/models/{model}/unload": LoadRequest,
}


def schemas() -> dict[str, Any]:
    """JSON schemas of all of them by class name, for `#/components/schemas/`."""
    every = [(shape, "validation") for shape in {*ANSWERS.values(), *REQUESTS.values(), ErrorBody}]
    _, told = models_json_schema(every, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return dict(told["$defs"])

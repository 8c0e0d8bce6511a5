"""The Open Inference Protocol v2 under `/v2`, all but infer: health, metadata, config, stats, repository.

Source: `specification/protocol/inference_rest.md` of the protocol, and Triton's extensions model
configuration, statistics and model repository.

Differences: not ready is 503, not 400, because Kubernetes reads it; errors have our one body, whose
`error` is the text that clients of the protocol read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from models.columns import ports_of
from models.ports import Port
from models.tensors import datatype_of
from service.body import read_body
from service.calls import Call, Reply, json_reply
from service.errors import BadRequest, NotReady, TooLarge, UnknownModel, UnknownRoute
from service.registry import Live
from service.running import Running

__all__ = [
    "EXTENSIONS",
    "model_config",
    "model_metadata",
    "model_stats",
    "repository",
    "server",
    "version_of",
]

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")
VERSION = "0.1.0"
MAX_OBJECT_BYTES = 65_536  # of what is asked of the repository: a few words


def server() -> Reply:
    """`GET /v2`."""
    return json_reply({"name": "assay", "version": VERSION, "extensions": list(EXTENSIONS)})


def _told(port: Port) -> dict[str, Any]:
    return {"name": port.name, "datatype": datatype_of(np.empty(0, port.dtype)), "shape": _shape(port)}


def _shape(port: Port) -> list[int]:
    return list(port.shape)


def model_metadata(running: Running, live: Live) -> Reply:
    """`GET /v2/models/{model}`."""
    own = [other for other in running.registry.all if other.seen.name == live.card.name]
    return json_reply(
        {
            "name": live.card.name,
            "versions": [str(other.seen.number) for other in own if other.state == "ready"],
            "platform": "onnxruntime_onnx",
            "inputs": [_told(port) for port in live.inputs],
            "outputs": [_told(port) for port in (*live.outputs, *ports_of(live.card))],
        }
    )


def model_config(live: Live) -> Reply:
    """`GET /v2/models/{model}/config`, in Triton's words."""

    def io(ports: Sequence[Port]) -> list[dict[str, Any]]:
        return [
            {"name": p.name, "data_type": f"TYPE_{_type(p)}", "dims": _shape(p)[1:] or [-1]} for p in ports
        ]

    return json_reply(
        {
            "name": live.card.name,
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "max_batch_size": live.card.max_batch,
            "input": io(live.inputs),
            "output": io(live.outputs),
            "dynamic_batching": {"max_queue_delay_microseconds": int(live.queue.delay_s * 1e6)},
        }
    )


def _type(port: Port) -> str:
    name = datatype_of(np.empty(0, port.dtype))
    return "STRING" if name == "BYTES" else name


def model_stats(lives: Sequence[Live]) -> Reply:
    """`GET /v2/models/{model}/stats` and `/v2/models/stats`."""
    return json_reply(
        {
            "model_stats": [
                {"name": live.seen.name, "version": str(live.seen.number), **live.stats.told()}
                for live in lives
                if live.state == "ready"
            ]
        }
    )


STATES = {"ready": "READY", "loading": "LOADING", "failed": "UNAVAILABLE"}


async def repository(running: Running, call: Call, words: Sequence[str]) -> Reply:
    """`POST /v2/repository/index`, `.../models/{model}/load`, `.../models/{model}/unload`.

    Raises:
        ServiceError: 400, 404, 422, or 503 with several workers, which do not know of each other.
    """
    told = _object(await read_body(call, running.settings, running.memory))
    if list(words) == ["index"]:
        index = [
            {
                "name": live.seen.name,
                "version": str(live.seen.number),
                "state": STATES[live.state],
                "reason": live.error or "",
            }
            for live in running.registry.all
            if live.state == "ready" or told.get("ready") is not True
        ]
        return json_reply(index)  # the protocol's one answer that is a list
    if running.settings.workers > 1:
        raise NotReady("with several workers, models are loaded from the folder, not over HTTP")
    name, verb = words[1], words[2]
    if verb == "load":
        await asyncio.to_thread(running.registry.load, name, _policy(told))
    elif verb == "unload":
        await asyncio.to_thread(running.registry.unload, name)
    else:
        raise UnknownRoute(f"a model is loaded or unloaded, not {verb[:40]!r}")
    return Reply(b"{}")


def _object(body: bytes) -> Mapping[str, Any]:
    if len(body) > MAX_OBJECT_BYTES:  # parsed, a body may take thirty times its bytes
        raise TooLarge(f"the body must have at most {MAX_OBJECT_BYTES} bytes, got {len(body)}")
    try:
        told = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body must be JSON: {error}") from error
    if not isinstance(told, dict):
        raise BadRequest("the body must be a JSON object")
    return told


def _policy(told: Mapping[str, Any]) -> str | None:
    """The version policy in `parameters.config`, Triton's way of saying it; other settings are refused."""
    parameters = told.get("parameters") or {}
    if not isinstance(parameters, dict) or not parameters.keys() <= {"config", "unload_dependents"}:
        raise BadRequest("a load can set a version_policy and nothing else; files come from the folder")
    config = parameters.get("config")
    if config is None:
        return None
    settings = _object(config.encode() if isinstance(config, str) else b"[]")
    policy = settings.get("version_policy") if settings.keys() <= {"name", "version_policy"} else None
    match policy:
        case {"latest": {"num_versions": 1}}:
            return "latest"
        case {"all": {}}:
            return "all"
        case {"specific": {"versions": [*numbers]}} if numbers and all(
            type(n) is int and n > 0 for n in numbers
        ):
            return ",".join(map(str, numbers))
    raise BadRequest(
        'config must hold nothing but a version_policy, and that must be {"latest": {"num_versions": 1}}, '
        '{"all": {}} or {"specific": {"versions": [...]}}'
    )


def version_of(word: str) -> int:
    """A version in a path. Raises UnknownModel."""
    if not (word.isascii() and word.isdecimal() and len(word) <= 9):
        raise UnknownModel(f"a version must be a number, got {word[:40]!r}")
    return int(word)

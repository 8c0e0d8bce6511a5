"""Bodies of the Open Inference Protocol v2: one input tensor out, named output tensors back.

Source: `specification/protocol/inference_rest.md` of the protocol and its binary tensor data extension.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from eval.errors import EndpointError
from eval.remote.reply import Reply
from models.results import Array
from models.tensors import Blob, Tensor, datatype_of, read_json, read_raw, write_raw

__all__ = ["LENGTH", "read_outputs", "written"]

LENGTH = "inference-header-content-length"


def written(
    name: str,
    values: Array | Sequence[bytes],
    *,
    binary: bool,
    shape: Sequence[int] | None = None,
    outputs: Sequence[str] = (),
) -> tuple[bytes, dict[str, str]]:
    """A request with one input tensor: its body, and the headers that say what it is.

    Args:
        values: an array, or BYTES elements; these go into JSON as base64.
        binary: send and ask for raw bytes behind the JSON.
        shape: of BYTES elements where it is not `(N,)`.
        outputs: the tensors to give; all by default.
    """
    array = isinstance(values, np.ndarray)
    told: dict[str, Any] = {
        "name": name,
        "datatype": datatype_of(values) if isinstance(values, np.ndarray) else "BYTES",
        "shape": list(values.shape) if isinstance(values, np.ndarray) else list(shape or (len(values),)),
    }
    request: dict[str, Any] = {"inputs": [told]}
    if outputs:
        request["outputs"] = [{"name": o, "parameters": {"binary_data": binary}} for o in outputs]
    if not binary:
        if isinstance(values, np.ndarray):
            told["data"] = np.ascontiguousarray(values).ravel()
        else:
            told["parameters"] = {"content_type": "base64"}
            told["data"] = [base64.b64encode(value).decode() for value in values]
        return orjson.dumps(request, option=orjson.OPT_SERIALIZE_NUMPY), {"content-type": "application/json"}
    raw = write_raw(values if array else list[Blob](values))
    told["parameters"] = {"binary_data_size": len(raw)}
    request["parameters"] = {"binary_data_output": True}
    head = orjson.dumps(request)
    return head + raw, {"content-type": "application/octet-stream", LENGTH: str(len(head))}


def read_outputs(reply: Reply, named: tuple[str | None, str | None] = (None, None)) -> dict[str, Array]:
    """The output tensors by name.

    Args:
        named: the model and version that must have answered, where the answer tells; many servers have
            other names for them there.

    Raises:
        EndpointError: no answer of the protocol, of another model, or a tensor that is not what it says.
    """
    where = reply.url.path
    try:
        length = reply.headers.get(LENGTH)
        size = len(reply.body) if length is None else int(length)
        head, rest = reply.body[:size], memoryview(reply.body)[size:]
        answer, arrays = orjson.loads(head), {}
        found = answer["outputs"]
        for key, name in zip(("model_name", "model_version"), named, strict=True):
            if name is not None and str(answer.get(key, name)) != name:
                raise ValueError(f"{key} must be {name}, got {str(answer[key])[:40]!r}")
        for told in found:
            tensor, rest = _tensor(told, rest)
            if isinstance(tensor.values, np.ndarray):
                arrays[tensor.name] = tensor.values
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EndpointError(
            f"{where} gave an answer that cannot be read: {type(error).__name__}: {str(error)[:300]}"
        ) from error
    return arrays


def _tensor(told: Mapping[str, Any], rest: memoryview) -> tuple[Tensor, memoryview]:
    """One output, and the bytes behind it. Raises KeyError, TypeError, ValueError."""
    name, datatype = str(told["name"]), str(told["datatype"])
    shape = tuple(int(side) for side in told["shape"])
    size = (told.get("parameters") or {}).get("binary_data_size")
    if size is None:
        return read_json(name, datatype, shape, told["data"]), rest
    if type(size) is not int or not 0 <= size <= len(rest):
        raise ValueError(f"binary_data_size of {name!r} must be 0 to {len(rest)}")
    return read_raw(name, datatype, shape, rest[:size]), rest[size:]

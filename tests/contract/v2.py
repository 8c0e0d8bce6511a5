"""Requests and answers of the Open Inference Protocol by hand: from its text, not from our code."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from starlette.testclient import TestClient

LENGTH = "inference-header-content-length"
NAMES = {
    "bool": "BOOL",
    **{f"{u}int{b}": f"{u.upper()}INT{b}" for u in ("", "u") for b in (8, 16, 32, 64)},
    **{f"float{b}": f"FP{b}" for b in (16, 32, 64)},
}
TYPES = {name: dtype for dtype, name in NAMES.items()}
Values: TypeAlias = "np.ndarray | Sequence[bytes]"


def raw(values: Values) -> bytes:
    """The binary tensor data extension: little-endian and row-major; BYTES after their lengths."""
    if isinstance(values, np.ndarray):
        return values.astype(values.dtype.newbyteorder("<")).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def described(values: Values, name: str = "images") -> dict[str, Any]:
    """Name, datatype and shape of a tensor."""
    if isinstance(values, np.ndarray):
        return {"name": name, "datatype": NAMES[values.dtype.name], "shape": list(values.shape)}
    return {"name": name, "datatype": "BYTES", "shape": [len(values)]}


def post(
    client: TestClient,
    model: str,
    told: Mapping[str, Any],
    behind: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Send a request: JSON, and bytes behind it where there are any."""
    head = json.dumps(told).encode()
    more = dict(headers or {})
    if behind is not None:
        more[LENGTH] = str(len(head))
    return client.post(f"/v2/models/{model}/infer", content=head + (behind or b""), headers=more)


def send(client: TestClient, model: str, values: Values, *, binary: bool = True, **told: Any) -> Any:
    """Send one tensor; `told` are the request's other keys. The input's own keys go into `tensor`."""
    tensor = {**described(values), **told.pop("tensor", {})}
    if binary:
        data = raw(values)
        tensor["parameters"] = {"binary_data_size": len(data)}
        return post(client, model, {**told, "inputs": [tensor]}, data)
    tensor["data"] = np.asarray(values).tolist()
    return post(client, model, {**told, "inputs": [tensor]})


@dataclass(frozen=True)
class Told:
    """An answer, read.

    Attributes:
        json: its JSON part.
        outputs: arrays by name, in the order of the answer; BYTES as a list of bytes.
        binary: names of those that came as bytes.
    """

    json: dict[str, Any]
    outputs: dict[str, Any]
    binary: list[str]


def read(response: Any) -> Told:
    """An answer that must be good and must say exactly what it holds."""
    assert response.status_code == 200, response.text
    size = response.headers.get(LENGTH)
    body: bytes = response.content
    kind = "application/json" if size is None else "application/octet-stream"
    assert response.headers["content-type"] == kind
    told = json.loads(body[: int(size)] if size is not None else body)
    behind = body[int(size) :] if size is not None else b""
    outputs: dict[str, Any] = {}
    binary = []
    for output in told["outputs"]:
        name = output["name"]
        length = output.get("parameters", {}).get("binary_data_size")
        assert (length is None) is ("data" in output)
        if length is None:
            outputs[name] = _from_json(output)
        else:
            binary.append(name)
            assert length <= len(behind)
            outputs[name] = _from_bytes(output, behind[:length])
            behind = behind[length:]
    assert behind == b""
    assert (size is not None) is bool(binary)
    return Told(told, outputs, binary)


def _from_json(output: Mapping[str, Any]) -> Any:
    if output["datatype"] == "BYTES":
        assert len(output["data"]) == int(np.prod(output["shape"]))
        return [text.encode() for text in output["data"]]
    return np.array(output["data"], TYPES[output["datatype"]]).reshape(output["shape"])


def _from_bytes(output: Mapping[str, Any], data: bytes) -> Any:
    if output["datatype"] != "BYTES":
        return np.frombuffer(data, TYPES[output["datatype"]]).reshape(output["shape"])
    elements = []
    while data:
        (length,) = struct.unpack("<I", data[:4])
        elements.append(data[4 : 4 + length])
        data = data[4 + length :]
    assert len(elements) == int(np.prod(output["shape"]))
    return elements


def infer(client: TestClient, model: str, values: Values, *, binary: bool = True, **told: Any) -> Told:
    """Send one tensor and read the answer."""
    return read(send(client, model, values, binary=binary, **told))

"""What is asked and what came back, for every server: Assay's two routes and the peers' JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.results import Array

__all__ = ["Answer", "Ask", "as_base64", "as_form", "as_picture", "as_tensor", "read_answer"]

LENGTH_HEADER = "inference-header-content-length"
BOUNDARY = "picture-boundary-7f3a"


@dataclass(frozen=True)
class Ask:
    """One POST."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def on_wire(self, host: str) -> bytes:
        """The bytes of the request, connection kept alive."""
        headers = {"Host": host, **self.headers, "Content-Length": str(len(self.body))}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True, eq=False)
class Answer:
    """What a server said.

    Attributes:
        label: the best class.
        version: of the model; None from peers.
        scores: float `(C,)` where every class's score was sent.
    """

    label: int
    version: int | None = None
    scores: Array | None = None


def as_picture(path: str, picture: bytes, *, raw: bool = False) -> Ask:
    """An encoded picture as the whole body; `raw` marks it as the protocol's raw binary request."""
    headers = {"Content-Type": "application/octet-stream"}
    return Ask(path, picture, {**headers, "Inference-Header-Content-Length": "0"} if raw else headers)


def as_form(path: str, picture: bytes, *, name: str = "picture.png", media: str = "image/png") -> Ask:
    """Multipart with one file, in the field `image`."""
    head = (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'
        f"Content-Type: {media}\r\n\r\n"
    )
    body = head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    return Ask(path, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def as_base64(path: str, picture: bytes) -> Ask:
    """JSON `{"image": base64}`."""
    body = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    return Ask(path, body, {"Content-Type": "application/json"})


def as_tensor(path: str, pixels: Array) -> Ask:
    """uint8 `(H, W, 3)` by the binary tensor extension of the Open Inference Protocol."""
    tensor = {
        "name": "images",
        "shape": [1, *pixels.shape],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": pixels.size},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Ask(path, head + pixels.tobytes(), headers)


def read_answer(headers: Mapping[str, str], body: bytes) -> Answer:
    """Any server's answer to one picture; `headers` have lower-case names.

    Raises:
        ValueError: it is none of the known shapes.
    """
    try:
        length = int(headers.get(LENGTH_HEADER, len(body)))
        told = json.loads(body[:length])
        if "outputs" in told:
            return _protocol(told, body[length:])
        if "predictions" in told:
            best = told["predictions"][0]
            scores = np.asarray(best["scores"]) if best.get("scores") else None
            return Answer(best["label"], told["version"], scores)
        return Answer(told["label"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"not an answer: {type(error).__name__}: {error}: {body[:300]!r}") from error


def _protocol(told: Mapping[str, Any], tail: bytes) -> Answer:
    """An Open Inference Protocol answer; scores are the first float output, in JSON or in the tail."""
    scores = None
    for output in told["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        raw, tail = (tail[:size], tail[size:]) if size is not None else (b"", tail)
        if scores is None and output["datatype"] == "FP32":
            values = np.frombuffer(raw, "<f4") if size is not None else np.asarray(output["data"], float)
            scores = values.reshape(-1)
    if scores is None:
        raise ValueError("no output has float scores")
    version = told.get("model_version")
    return Answer(int(scores.argmax()), int(version) if version else None, scores)

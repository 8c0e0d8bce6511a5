"""Harmless single requests about plain pictures, in each protocol: what a probe asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from yarl import URL

from eval.errors import EndpointError
from eval.remote.assay import ASK, ROUTES
from eval.remote.http import Http
from eval.remote.protocol import Model, where
from eval.remote.reply import Reply
from eval.remote.template_body import form_of
from eval.remote.template_endpoint import TemplateEndpoint
from eval.remote.tensors import read_outputs, written
from models.decoding import encode_png
from models.results import Array, Classification, Detections, Result
from models.tensors import DATATYPES
from models.wire import results_of

__all__ = ["AssayTrial", "OipTrial", "TemplateTrial", "Trial"]

SIDE = 64  # of a picture where the model does not say
GREY = 114
BROKEN = b"this is no picture"


class Trial(Protocol):
    """One model that can be asked about plain pictures."""

    async def ask(self, count: int) -> Reply:
        """About `count` plain pictures, whatever comes back. Raises EndpointError."""

    async def ask_broken(self) -> Reply:
        """About something that is no picture."""

    def read(self, reply: Reply, count: int) -> list[Array]:
        """The numbers of an answer, to be compared. Raises EndpointError, ValueError, TypeError."""


def _plain(height: int = SIDE, width: int = SIDE) -> bytes:
    return encode_png(np.full((height, width, 3), GREY, np.uint8))


def _numbers(results: Sequence[Result]) -> list[Array]:
    arrays: list[Array] = []
    for result in results:
        if isinstance(result, Classification):
            arrays.append(result.scores)
        elif isinstance(result, Detections):
            arrays += [result.boxes, result.scores, result.labels]
        else:
            arrays.append(result.labels)
    return arrays


@dataclass(frozen=True, slots=True)
class AssayTrial:
    """A model of a service of ours, as `GET /models` tells of it."""

    http: Http
    url: str
    told: Mapping[str, Any]

    async def ask(self, count: int) -> Reply:
        return await self._send([self._file()] * count)

    async def ask_broken(self) -> Reply:
        return await self._send([BROKEN])

    def read(self, reply: Reply, count: int) -> list[Array]:
        side = self.told["input"]
        return _numbers(results_of(reply.json(), self.told["task"], [side["height"] * side["width"]] * count))

    def _file(self) -> bytes:
        return _plain(self.told["input"]["height"], self.told["input"]["width"])

    async def _send(self, files: Sequence[bytes]) -> Reply:
        task = self.told["task"]
        named = {"model": str(self.told["name"]), "version": str(self.told["version"])}
        at = URL(f"{self.url.rstrip('/')}/{ROUTES[task]}").with_query({**ASK[task], **named})
        body, kind = form_of(files, "image", typed=False)
        return await self.http.look(at, body, {"content-type": kind}, method="POST")


@dataclass(frozen=True, slots=True)
class OipTrial:
    """A model of a server of the Open Inference Protocol: pictures where it takes files, else a tensor.

    Attributes:
        binary: send raw bytes behind the JSON.
    """

    http: Http
    url: str
    model: Model
    version: str | None = None
    binary: bool = False

    async def ask(self, count: int) -> Reply:
        port = self.model.inputs[0]
        if port.datatype == "BYTES":
            shape = (count, *(1 for _ in port.shape[1:]))
            return await self._send(*written(port.name, [_plain()] * count, binary=self.binary, shape=shape))
        if port.datatype not in DATATYPES:
            raise EndpointError(f"{port} cannot be sent from here")
        sides = [side if side > 0 else SIDE for side in port.shape[1:]]
        if len(sides) == 3 and port.shape[1:].count(-1) == 3:  # no more is told than that there are three
            sides = [3, SIDE, SIDE]
        grey = GREY / 255 if DATATYPES[port.datatype].kind == "f" else GREY
        values = np.full((count, *sides), grey, DATATYPES[port.datatype])
        return await self._send(*written(port.name, values, binary=self.binary))

    async def ask_broken(self) -> Reply:
        port = self.model.inputs[0]
        wrong: Any = [BROKEN] if port.datatype == "BYTES" else np.zeros((1, 1), DATATYPES["FP32"])
        return await self._send(*written(port.name, wrong, binary=self.binary))

    def read(self, reply: Reply, count: int) -> list[Array]:
        outputs = read_outputs(reply)
        return [outputs[name] for name in sorted(outputs)]

    async def _send(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        versions = () if self.version is None else ("versions", self.version)
        at = where(self.url, "models", self.model.name, *versions, "infer")
        return await self.http.look(at, body, headers, method="POST")


@dataclass(frozen=True, slots=True)
class TemplateTrial:
    """Whatever a template describes."""

    endpoint: TemplateEndpoint[Any]

    async def ask(self, count: int) -> Reply:
        return await self.endpoint.look([_plain()] * count)

    async def ask_broken(self) -> Reply:
        return await self.endpoint.look([BROKEN])

    def read(self, reply: Reply, count: int) -> list[Array]:
        return _numbers(self.endpoint.read(reply, count, [(SIDE, SIDE)] * count))

"""What really arrives at a server: a proxy in front of it that keeps every request about pictures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np
import orjson
from aiohttp import web

from models.decoding import decode
from models.results import Array

__all__ = ["Recorder", "Sent", "pictures_in"]

LENGTH = "inference-header-content-length"
KEPT = ("content-type", LENGTH)  # headers that say what a body is


@dataclass(frozen=True, slots=True)
class Sent:
    """One request about pictures, as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Recorder:
    """A server that hands on what it gets, and keeps it.

    Attributes:
        behind: the address of the service.
        sent: in the order of arrival.
    """

    behind: str
    sent: list[Sent] = field(default_factory=list)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        headers = {name: request.headers[name] for name in KEPT if name in request.headers}
        if request.method == "POST":
            self.sent.append(Sent(request.path_qs, headers, body))
        async with self._session.request(
            request.method, self.behind + request.path_qs, data=body or None, headers=headers
        ) as reply:
            told = {name: reply.headers[name] for name in KEPT if name in reply.headers}
            return web.Response(status=reply.status, body=await reply.read(), headers=told)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The address to ask instead."""
        runner = web.ServerRunner(web.Server(self._handle))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()


def pictures_in(sent: Sent) -> Sequence[Array]:
    """The pictures of a request, read apart from the client's own code: uint8 `(H, W, 3)` each."""
    if LENGTH in sent.headers:
        size = int(sent.headers[LENGTH])
        (told,) = orjson.loads(sent.body[:size])["inputs"]
        if told["datatype"] != "UINT8":
            raise ValueError(f"pictures must be sent as UINT8, got {told['datatype']}")
        return list(np.frombuffer(sent.body, np.uint8, offset=size).reshape(told["shape"]))
    boundary = sent.body[: sent.body.index(b"\r\n")]
    return [decode(part.split(b"\r\n\r\n", 1)[1][:-2]) for part in sent.body.split(boundary)[1:-1]]

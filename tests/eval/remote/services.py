"""Services for the client's tests, in this process: they answer as told, and may misbehave first."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Request:
    """What a service was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What a service answers.

    Attributes:
        cut: after half of the body, the connection is closed.
        silent: nothing is said, until nobody waits any more.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False


def said(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"})


def error(status: int, words: str = "words", **headers: str) -> Reply:
    told = said({"error": words, "code": "c", "status": status, "request_id": "r"}, status)
    return Reply(status, told.body, {name.replace("_", "-"): value for name, value in headers.items()})


Speak = Callable[[Request], Reply]


class Service:
    """Answers on loopback as `speak` says, after the troubles it has first; remembers what it was sent.

    Attributes:
        troubles: answers to the first requests about pictures, one each; the last one again and again
            where `always` is true.
        asked: requests about pictures.
        looked: all others.
    """

    def __init__(self, speak: Speak, *troubles: Reply, always: bool = False) -> None:
        self.speak, self.troubles, self.always = speak, list(troubles), always
        self.asked: list[Request] = []
        self.looked: list[Request] = []
        self.at_once = self.most_at_once = self.connections = 0
        self.over = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        told = Request(request.method, request.path_qs, headers, await request.read())
        if told.method == "GET" or "repository" in told.path:
            self.looked.append(told)
            return await self.send(request, self.speak(told))
        self.asked.append(told)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            number = len(self.asked) - 1
            if self.troubles and (self.always or number < len(self.troubles)):
                return await self.send(request, self.troubles[min(number, len(self.troubles) - 1)])
            return await self.send(request, self.speak(told))
        finally:
            self.at_once -= 1

    async def send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if reply.silent:
            await self.over.wait()
        if not reply.cut:
            return web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)
        response = web.StreamResponse(status=reply.status, headers={"content-length": str(len(reply.body))})
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        runner = web.ServerRunner(web.Server(self.handle), shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            self.over.set()
            await runner.cleanup()

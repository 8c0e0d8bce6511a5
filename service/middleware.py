"""Around every request: an id, a time, one error shape, one log line, and no escape.

A pure ASGI layer. An exception that leaves such a layer hangs the request until BentoML's own
timeout, so nothing leaves this one.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from starlette.datastructures import Headers, MutableHeaders

from service.errors import ServiceError, error_response, restated
from service.logs import get_log
from service.telemetry import IN_FLIGHT, REQUEST_SECONDS, REQUESTS, route_of

__all__ = ["Edge", "request_id_of"]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a caller's own id goes into logs and headers
QUIET = {"/livez", "/readyz", "/metrics"}  # asked every few seconds by machines
log = get_log("access")


def request_id_of(scope: Scope) -> str:
    """The id this request was given at the edge."""
    return str(scope.get("state", {}).get("request_id", ""))


class Edge:
    """The outermost layer of ours."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = Headers(scope=scope).get("x-request-id", "")
        request_id = offered if SAFE_ID.fullmatch(offered) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        route, began = route_of(scope["path"]), time.perf_counter()
        IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, answer)
        except Exception:
            log.exception("failed", extra={"fields": {"request_id": request_id}})
            if not answer.started:
                await answer.replace(ServiceError())
        finally:
            seconds = time.perf_counter() - began
            IN_FLIGHT.dec()
            REQUESTS.labels(route, str(answer.status)).inc()
            REQUEST_SECONDS.labels(route).observe(seconds)
            if scope["path"] not in QUIET:
                fields = {"request_id": request_id, "method": scope["method"], "route": route}
                told = {**fields, "status": answer.status, "seconds": round(seconds, 6)}
                log.info("answered", extra={"fields": told})


class _Answer:
    """Passes an answer on with its request id; holds back error bodies until it has restated them."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self._held: Message | None = None
        self._body = b""
        self.started = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self._request_id
            if self.status >= 400:
                self._held = message
                return
            self.started = True
        elif self._held is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._release(self._held)
            return
        await self._send(message)

    async def _release(self, held: Message) -> None:
        error = restated(self.status, self._body)
        if error is not None:
            await self.replace(error, held)
            return
        self.started = True
        await self._send(held)
        await self._send({"type": "http.response.body", "body": self._body})

    async def replace(self, error: ServiceError, held: Message | None = None) -> None:
        """Send an error of ours in the place of whatever was to be sent."""
        self.started = True
        self.status = error.status
        response = error_response(error, self._request_id)
        headers = MutableHeaders(raw=list(response.raw_headers))
        headers["x-request-id"] = self._request_id
        for name in ("allow", "retry-after"):
            if held is not None and name in Headers(raw=held["headers"]):
                headers[name] = Headers(raw=held["headers"])[name]
        await self._send({"type": "http.response.start", "status": error.status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": response.body})

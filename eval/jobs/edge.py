"""Around every request: an id, a key, a time, one error shape, and no escape.

A pure ASGI layer. An exception that leaves such a layer inside BentoML hangs the request until
BentoML's own timeout, so nothing leaves this one.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from eval.jobs.desk import Desk
from eval.jobs.errors import JobError, Starting, error_body, error_headers, restated
from eval.jobs.metrics import REQUEST_SECONDS, REQUESTS

__all__ = ["Edge", "route_of"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

SAFE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a caller's own id goes into logs and headers
OPEN = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})  # probes and scrapes carry no key
FIXED = (
    "/v1/evaluations",
    "/v1/audits",
    "/v1/comparisons",
    "/v1/gates",
    "/v1/rollouts",
    "/v1/rollouts/rollback",
    "/v1/jobs",
    "/v1/data",
    "/v1/openapi.json",
)
ROUTES = frozenset({*FIXED, *OPEN, "/", "/docs.json", "/schema.json"})
JOB = re.compile(r"/v1/jobs/[0-9a-f]{32}(|/cancel|/report|/report\.html|/report\.md)")
log = logging.getLogger("assay.access")


def route_of(path: str) -> str:
    """The route as metrics name it: one of a few, never what a caller wrote."""
    if path in ROUTES:
        return path
    matched = JOB.fullmatch(path)
    return "other" if matched is None else f"/v1/jobs/{{id}}{matched[1]}"


class Edge:
    """The outermost layer of ours.

    Args:
        current: gives the desk, or None while the service starts.
    """

    def __init__(self, app: App, *, current: Callable[[], Desk | None]) -> None:
        self.app, self._current = app, current

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        offered = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = offered if SAFE_ID.fullmatch(offered) else secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        answer, began = _Answer(send, request_id), time.monotonic()
        try:
            desk = self._current()
            if desk is None:
                raise Starting("the service is starting")
            if scope["path"] not in OPEN:
                desk.keys.check(headers)
            await self.app(scope, receive, answer)
        except JobError as error:
            await answer.fail(error)
        except Exception:
            log.exception("request %s failed", request_id)
            await answer.fail(JobError())
        route, seconds = route_of(scope["path"]), time.monotonic() - began
        REQUESTS.labels(route, str(answer.status)).inc()
        REQUEST_SECONDS.labels(route).observe(seconds)
        if scope["path"] not in OPEN:
            log.info("%s %s %d %.4f s %s", scope["method"], route, answer.status, seconds, request_id)


class _Answer:
    """Passes an answer on with its id; the body of an error that is not ours is held back and restated."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self._held: Message | None = None
        self._body = b""
        self.started, self.status = False, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message["headers"], *self._own()]}
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

    async def fail(self, error: JobError) -> None:
        """Answer with an error, unless something was answered already."""
        if self.started:
            return
        self.started, self.status, self._held = True, error.status, None
        body = json.dumps(error_body(error, self._request_id)).encode()
        told = {**error_headers(error), "content-length": str(len(body))}
        headers = [*((name.encode(), value.encode()) for name, value in told.items()), *self._own()]
        await self._send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _own(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-request-id", self._request_id.encode()), (b"x-content-type-options", b"nosniff")]

    async def _release(self, held: Message) -> None:
        error = restated(self.status, self._body)
        if error is not None:
            await self.fail(error)
            return
        self.started = True
        await self._send(held)
        await self._send({"type": "http.response.body", "body": self._body})

"""Around every request: an id, a key, a time, one error shape, one log line, and no escape.

A pure ASGI layer. What Assay serves itself is answered here; BentoML gets the rest (its page, its
OpenAPI, its health). It stands twice: around BentoML's whole application, put there by our HTTP protocol
(`service.protocol`), and inside it, for servers that have another one; whoever is first does the work.
An exception that leaves such a layer hangs the request until BentoML's own timeout, so nothing leaves
this one.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers as HeaderView
from starlette.datastructures import MutableHeaders

from models.digest import DIGEST, WANT, digest_of, wanted_of
from service.calls import App, Call, Message, Receive, Reply, Scope, Send, error_reply
from service.errors import NotReady, ServiceError, restated
from service.logs import get_log
from service.routes import dispatch
from service.running import Running
from service.tally import flush
from service.telemetry import IN_FLIGHT, count_request, route_of

__all__ = ["Edge", "new_request_id", "request_id_of"]

SAFE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a caller's own id goes into logs and headers
TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C traceparent
QUIET = {"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"}  # asked by machines, often
EMPTY = {204, 304}  # have no content; a digest of none would be taken for that of what a cache holds
TICK_S = 0.25
log = get_log("access")


def request_id_of(scope: Scope) -> str:
    """The id this request was given at the edge."""
    return str(scope.get("state", {}).get("request_id", ""))


def new_request_id() -> str:
    """32 hexadecimal digits."""
    return f"{random.getrandbits(128):032x}"


class Edge:
    """The outermost layer of ours.

    Args:
        app: BentoML's application, or what is left of it inside.
        current: gives the running service, or None while it starts.
        outermost: whether BentoML's layers are all inside; then even its own methods are answered here.
    """

    def __init__(self, app: App, *, current: Callable[[], Running | None], outermost: bool = False) -> None:
        self.app, self._current, self._outermost = app, current, outermost
        self._in_flight = 0
        self._ticking = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "request_id" in scope.setdefault("state", {}):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        offered = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = offered if SAFE_ID.fullmatch(offered) else new_request_id()
        scope["state"]["request_id"] = request_id
        running = self._current()
        began = time.monotonic()
        timeout_s = running.settings.timeout_s if running is not None else 30.0
        call = Call(scope, receive, request_id, began + timeout_s, headers)
        answer = _Answer(send, call, closing=running is not None and running.drain.began)
        self._in_flight += 1
        try:
            await self._answered(running, call, answer)
        finally:
            self._in_flight -= 1
            if running is not None:
                running.memory.release(call)
            self._note(running, call, answer, time.monotonic() - began)

    async def _answered(self, running: Running | None, call: Call, answer: _Answer) -> None:
        try:
            if running is None:
                raise NotReady("the service is starting")
            running.access.check(call)
            reply = await dispatch(running, call, methods=self._outermost)
            if reply is not None:
                await answer.give(reply)
            else:
                await self.app(call.scope, call.receive, answer)
        except ServiceError as error:
            await answer.give(error_reply(error, call.request_id))
        except Exception:
            log.exception("failed", extra={"fields": {"request_id": call.request_id}})
            if not answer.started:
                await answer.give(error_reply(ServiceError(), call.request_id))

    def _note(self, running: Running | None, call: Call, answer: _Answer, seconds: float) -> None:
        route = route_of(call.path)
        count_request(route, answer.status, seconds, answer.code)
        if running is None:
            return
        self._tick_soon(running)
        if call.path in QUIET:
            return
        fields: dict[str, Any] = {
            "request_id": call.request_id,
            "method": call.method,
            "route": route,
            "status": answer.status,
            "seconds": round(seconds, 6),
        }
        if answer.code is not None:
            fields["code"] = answer.code
        if call.model:
            fields |= {"model": call.model, "images": call.images}
        traced = TRACE.fullmatch(call.text(b"traceparent"))
        if traced is not None:
            fields["trace_id"] = traced[1]
        running.log.add(fields)

    def note_refused(self, request_id: str, reply: Reply) -> None:
        """Count and log what the HTTP protocol refused before it was a request."""
        count_request("other", reply.status, 0.0, reply.code)
        running = self._current()
        if running is not None:
            self._tick_soon(running)
            running.log.add({"request_id": request_id, "status": reply.status, "code": reply.code})

    def _tick_soon(self, running: Running) -> None:
        """Write the log and set the gauge a few times a second, and once after the last request."""
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick, running)

    def _tick(self, running: Running) -> None:
        self._ticking = False
        running.log.flush()
        flush()
        IN_FLIGHT.set(self._in_flight)
        if self._in_flight:
            self._tick_soon(running)


class _Answer:
    """Sends a reply of ours, or passes somebody else's on; error bodies are held back and restated."""

    def __init__(self, send: Send, call: Call, *, closing: bool) -> None:
        self._send, self._request_id, self._closing = send, call.request_id, closing
        # The content of an answer to HEAD is empty, and no digest of that is worth a line.
        self._digest = wanted_of(call.text(WANT.encode())) if call.method != "HEAD" else None
        self._held: Message | None = None
        self._body = b""
        self.started = False
        self.status = 0
        self.code: str | None = None

    async def give(self, reply: Reply) -> None:
        """Send a whole reply."""
        self.started, self.status, self.code = True, reply.status, reply.code
        headers = [
            *reply.headers,
            (b"content-length", b"%d" % len(reply.body)),
            (b"x-request-id", self._request_id.encode()),
        ]
        if self._digest is not None:
            headers.append((DIGEST.encode(), (await digest_of(reply.body, self._digest)).encode()))
        if reply.close or self._closing:
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body})

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            if self._closing:
                headers["connection"] = "close"
            if self.status >= 400 or self._digest is not None:
                self._held = message
                return
            self.started = True
        elif self._held is not None and self.status >= 400:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._release(self._held)
            return
        elif self._held is not None:
            await self._begin(self._held, None if message.get("more_body") else message.get("body", b""))
            self._held = None
        await self._send(message)

    async def _begin(self, start: Message, body: bytes | None) -> None:
        """Send somebody else's head; with a digest, if one is wanted and the body is not still to come."""
        self.started = True
        if self._digest is not None and body is not None and self.status not in EMPTY:
            MutableHeaders(scope=start)[DIGEST] = await digest_of(body, self._digest)
        await self._send(start)

    async def _release(self, held: Message) -> None:
        error = restated(self.status, self._body)
        if error is None:  # ours already
            await self._begin(held, self._body)
            await self._send({"type": "http.response.body", "body": self._body})
            return
        reply = error_reply(error, self._request_id)
        theirs = HeaderView(raw=held["headers"])
        extra = [
            (name.encode(), theirs[name].encode())
            for name in ("allow", "retry-after")
            if name in theirs and name.encode() not in dict(reply.headers)
        ]
        await self.give(Reply(reply.body, reply.status, [*reply.headers, *extra], reply.close, reply.code))

"""The routes: HTTP in, what the desk says out."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from eval.jobs.asked import ASKED
from eval.jobs.desk import Desk
from eval.jobs.errors import (
    JobError,
    SlowBody,
    Starting,
    TooLarge,
    UnknownPath,
    UnsupportedBody,
    WrongMethod,
    error_body,
    error_headers,
)
from eval.jobs.metrics import CONTENT_TYPE_LATEST, exposition
from eval.jobs.openapi import PATHS, document
from eval.jobs.states import Kind
from eval.jobs.status import END, REPORTS
from eval.report.script import SCRIPT

__all__ = ["application"]

# A report is our page, but what it shows came from elsewhere: it may load nothing, run its own script only.
OWN = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
GUARD: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    f"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'sha256-{OWN}'; "
    "sandbox allow-scripts",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "private, no-store",
}


def application(current: Callable[[], Desk | None]) -> Starlette:
    """Every route of ours; `eval.jobs.edge.Edge` must be around it.

    Args:
        current: gives the desk, or None while the service starts.
    """
    do, one = _Routes(current), "/v1/jobs/{id}"
    routes = [
        *(Route(PATHS[kind], partial(do.submit, kind), methods=["POST"]) for kind in ASKED),
        Route("/v1/rollouts", do.rollout, methods=["POST"]),
        Route("/v1/rollouts/rollback", do.rollback, methods=["POST"]),
        Route("/v1/jobs", do.jobs, methods=["GET"]),
        Route(one, do.job, methods=["GET", "DELETE"]),
        Route(f"{one}/cancel", do.cancel, methods=["POST"]),
        *(
            Route(f"{one}/report{END[suffix]}", partial(do.report, suffix), methods=["GET"])
            for suffix in REPORTS
        ),
        Route("/v1/data", do.data, methods=["GET"]),
        Route("/metrics", do.metrics, methods=["GET"]),
        *(Route(path, do.described, methods=["GET"]) for path in ("/v1/openapi.json", "/docs.json")),
    ]
    return Starlette(routes=routes, exception_handlers={JobError: _failed, HTTPException: _failed})


class _Routes:
    """A method a route; the desk works in threads, for it reads and writes files."""

    def __init__(self, current: Callable[[], Desk | None]) -> None:
        self._current = current

    @property
    def desk(self) -> Desk:
        found = self._current()
        if found is None:
            raise Starting("the service is starting")
        return found

    async def submit(self, kind: Kind, request: Request) -> Response:
        body = await _body(request, self.desk)
        key = request.headers.get("idempotency-key")
        job, new = await run_in_threadpool(self.desk.submit, kind, body, key)
        told = await run_in_threadpool(self.desk.job, job.id)
        return _json(told, 202 if new else 200, location=f"/v1/jobs/{job.id}")

    async def rollout(self, request: Request) -> Response:
        body = await _body(request, self.desk)
        return _json(await run_in_threadpool(self.desk.rollout, body))

    async def rollback(self, request: Request) -> Response:
        body = await _body(request, self.desk)
        return _json(await run_in_threadpool(self.desk.rollback, body))

    async def jobs(self, request: Request) -> Response:
        query = request.query_params
        asked = (query.get("state"), query.get("limit"), query.get("before"))
        return _json(await run_in_threadpool(self.desk.jobs, *asked))

    async def job(self, request: Request) -> Response:
        if request.method == "DELETE":
            await run_in_threadpool(self.desk.remove, request.path_params["id"])
            return Response(status_code=204)
        return _json(await run_in_threadpool(self.desk.job, request.path_params["id"]))

    async def cancel(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self.desk.cancel, request.path_params["id"]), 202)

    async def report(self, suffix: str, request: Request) -> Response:
        body = await run_in_threadpool(self.desk.report, request.path_params["id"], suffix)
        return Response(body, 200, GUARD, media_type=REPORTS[suffix])

    async def data(self, _: Request) -> Response:
        return _json({"data": self.desk.catalogue.names})

    async def metrics(self, _: Request) -> Response:
        text = await run_in_threadpool(exposition, self.desk.store)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def described(self, _: Request) -> Response:
        return Response(document(), media_type="application/json")


async def _body(request: Request, desk: Desk) -> bytes:
    """The whole body, under limits. Only JSON, which no page of another site may send unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or "content-encoding" in request.headers:
        raise UnsupportedBody("the body must be application/json, not compressed")
    most, body = desk.settings.max_body_bytes, bytearray()
    try:
        async with asyncio.timeout(desk.settings.body_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise TooLarge(f"a body may have at most {most} bytes")
    except TimeoutError:
        raise SlowBody(f"the body must be there within {desk.settings.body_timeout_s:g} s") from None
    except ClientDisconnect:
        raise SlowBody("the caller went away") from None
    return bytes(body)


def _json(told: Mapping[str, Any], status: int = 200, **headers: str) -> Response:
    text = json.dumps(told, allow_nan=False)
    return Response(text, status, {"cache-control": "no-store", **headers}, media_type="application/json")


async def _failed(request: Request, error: Exception) -> Response:
    """The one error body, for ours and for what Starlette refuses."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})  # Allow
        wrong_method = error.status_code == 405
        error = (
            WrongMethod("this path is for another method") if wrong_method else UnknownPath("nothing is here")
        )
    told = error if isinstance(error, JobError) else JobError()
    body = json.dumps(error_body(told, request.state.request_id))
    return Response(body, told.status, {**error_headers(told), **headers})

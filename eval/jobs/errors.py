"""Failures of the evaluation service, and the one body they all have; `code` and `status` are API.

* JobError              500 internal: a bug, whose words stay in the log
  - BadBody             400 bad_request
  - NoKey               401 no_key
  - HostNotAllowed      403 host_not_allowed
  - UnknownJob          404 unknown_job
  - UnknownPath         404 unknown_route
  - WrongMethod         405 wrong_method
  - SlowBody            408 slow_body
  - Conflict            409 wrong_state
    + NoReport            409 no_report
    + KeyReused           409 key_reused
    + GateOpen            409 gate_inconclusive
    + GatePassed          409 gate_passed
  - GateFailed          412 gate_failed
  - TooLarge            413 too_large
  - UnsupportedBody     415 unsupported_body
  - Unusable            422 unusable
    + BadParameter        422 bad_parameter
    + UnknownName         422 unknown_name
  - GateRunning         425 gate_running
  - QueueFull           429 queue_full
  - Starting            503 not_ready
  - GateUnasked         503 gate_not_asked
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "BadBody",
    "BadParameter",
    "Conflict",
    "GateFailed",
    "GateOpen",
    "GatePassed",
    "GateRunning",
    "GateUnasked",
    "HostNotAllowed",
    "JobError",
    "KeyReused",
    "NoKey",
    "NoReport",
    "QueueFull",
    "SlowBody",
    "Starting",
    "TooLarge",
    "UnknownJob",
    "UnknownName",
    "UnknownPath",
    "UnsupportedBody",
    "Unusable",
    "WrongMethod",
    "error_body",
    "error_headers",
    "restated",
    "tree",
]


class JobError(Exception):
    """Base class; on its own it is a bug, whose message is kept from the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retry_after_s: ClassVar[int | None] = None


class BadBody(JobError):
    """The request is not well-formed."""

    status, code = 400, "bad_request"


class NoKey(JobError):
    """A key is needed, and the request has none that is known."""

    status, code = 401, "no_key"


class HostNotAllowed(JobError):
    """The operator lets nobody measure, or attack, that host from here."""

    status, code = 403, "host_not_allowed"


class UnknownJob(JobError):
    """There is no such job, or no longer."""

    status, code = 404, "unknown_job"


class UnknownPath(JobError):
    """Nothing is served at this path."""

    status, code = 404, "unknown_route"


class WrongMethod(JobError):
    """The path is served, but not for this method."""

    status, code = 405, "wrong_method"


class SlowBody(JobError):
    """The body did not arrive in time."""

    status, code = 408, "slow_body"


class Conflict(JobError):
    """Not in the state the job is in."""

    status, code = 409, "wrong_state"


class NoReport(Conflict):
    """The job has no report: not yet, or it never will."""

    code = "no_report"


class KeyReused(Conflict):
    """The Idempotency-Key came before with something else."""

    code = "key_reused"


class GateOpen(Conflict):
    """A gate could not decide: more images would. It is not asked again."""

    code = "gate_inconclusive"


class GatePassed(Conflict):
    """A gate passed: nothing is to be rolled back."""

    code = "gate_passed"


class GateFailed(JobError):
    """A gate failed. It is not asked again."""

    status, code = 412, "gate_failed"


class TooLarge(JobError):
    """More bytes than a request may have."""

    status, code = 413, "too_large"


class UnsupportedBody(JobError):
    """The body must be application/json."""

    status, code = 415, "unsupported_body"


class Unusable(JobError):
    """Well-formed, but not something that can be answered."""

    status, code = 422, "unusable"


class BadParameter(Unusable):
    """A field is unknown, missing, of the wrong type or out of range."""

    code = "bad_parameter"


class UnknownName(Unusable):
    """No data, template or card has this name here."""

    code = "unknown_name"


class GateRunning(JobError):
    """A gate is under way, or waits: ask again."""

    status, code, retry_after_s = 425, "gate_running", 10


class QueueFull(JobError):
    """As many jobs wait as may."""

    status, code, retry_after_s = 429, "queue_full", 30


class Starting(JobError):
    """The service is starting."""

    status, code, retry_after_s = 503, "not_ready", 2


class GateUnasked(JobError):
    """A gate could not be asked, which says nothing of the canary; it is tried again."""

    status, code, retry_after_s = 503, "gate_not_asked", 10


_FOREIGN: Mapping[int, type[JobError]] = {
    cls.status: cls
    for cls in (BadBody, NoKey, UnknownPath, WrongMethod, TooLarge, UnsupportedBody, Unusable, Starting)
}


def tree(cls: type[JobError] = JobError) -> list[type[JobError]]:
    """Every error class, a parent before its children."""
    return [cls, *(found for sub in cls.__subclasses__() for found in tree(sub))]


def error_body(error: JobError, request_id: str) -> dict[str, Any]:
    """The only place that knows the error's shape."""
    told = str(error) if type(error) is not JobError else "the service failed; its log knows why"
    return {"error": told, "code": error.code, "status": error.status, "request_id": request_id}


def error_headers(error: JobError) -> dict[str, str]:
    """What goes along with the body of an error."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers


def restated(status: int, body: bytes) -> JobError | None:
    """What BentoML or Starlette answered by itself, as one of ours; None if it is ours already."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict) and {"error", "code", "status", "request_id"} <= told.keys():
        return None
    cls = _FOREIGN.get(status, BadBody if status < 500 else JobError)
    return cls(cls.__doc__ or "")

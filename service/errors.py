"""What can go wrong at the edge, and how it looks on the wire.

One shape for every failure on every route, BentoML's own included:

    {"error": "...", "code": "undecodable_image", "status": 422, "request_id": "..."}

`error` is a plain string because Open Inference Protocol clients read it. `status` and `code`
are API; the words are not.

* ServiceError             500 internal
  - BadRequest             400 bad_request
    + BadTensor            400 bad_tensor
    + DigestMismatch       400 digest_mismatch
  - NoKey                  401 no_key
  - NotAllowed             403 not_allowed
  - UnknownModel           404 unknown_model
  - UnknownRoute           404 unknown_route
  - WrongMethod            405 wrong_method
  - SlowBody               408 slow_body
  - WrongTask              409 wrong_task
  - TooLarge               413 too_large
    + ImageTooLarge        413 image_too_large
    + TooManyImages        413 too_many_images
  - UnsupportedBody        415 unsupported_body
  - Unusable               422 unusable
    + BadParameter         422 bad_parameter
    + ModelRequired        422 model_required
    + NoImage              422 no_image
    + UndecodableImage     422 undecodable_image
    + NotFinite            422 not_finite
    + NotLoaded            422 not_loaded
  - Overloaded             429 overloaded
  - HeadersTooLarge        431 headers_too_large
  - NotReady               503 not_ready
    + Expired              503 expired
    + OutOfMemory          503 out_of_memory
  - TooLate                504 too_late
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from starlette.responses import Response

__all__ = [
    "BadParameter",
    "BadRequest",
    "BadTensor",
    "DigestMismatch",
    "Expired",
    "HeadersTooLarge",
    "ImageTooLarge",
    "ModelRequired",
    "NoImage",
    "NoKey",
    "NotAllowed",
    "NotFinite",
    "NotLoaded",
    "NotReady",
    "OutOfMemory",
    "Overloaded",
    "ServiceError",
    "SlowBody",
    "TooLarge",
    "TooLate",
    "TooManyImages",
    "UndecodableImage",
    "UnknownModel",
    "UnknownRoute",
    "UnsupportedBody",
    "Unusable",
    "WrongMethod",
    "WrongTask",
    "error_body",
    "error_response",
    "restated",
]


class ServiceError(Exception):
    """Base class; on its own it is a bug, whose message is kept from the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retry_after_s: ClassVar[int | None] = None


class BadRequest(ServiceError):
    """The request is not well-formed."""

    status, code = 400, "bad_request"


class BadTensor(BadRequest):
    """A tensor is not what it says it is, or not what the model takes."""

    code = "bad_tensor"


class DigestMismatch(BadRequest):
    """The body is not the one its Content-Digest is of: it was changed on the way, so send it again."""

    code, retry_after_s = "digest_mismatch", 0


class NoKey(ServiceError):
    """A key is needed, and the request has none that is known."""

    status, code = 401, "no_key"


class NotAllowed(ServiceError):
    """Not with this key, or not at this service at all."""

    status, code = 403, "not_allowed"


class UnknownModel(ServiceError):
    """No such model, or no such version of it."""

    status, code = 404, "unknown_model"


class UnknownRoute(ServiceError):
    """Nothing is served at this path."""

    status, code = 404, "unknown_route"


class WrongMethod(ServiceError):
    """The path is served, but not for this method."""

    status, code = 405, "wrong_method"


class SlowBody(ServiceError):
    """The body did not arrive in time."""

    status, code = 408, "slow_body"


class WrongTask(ServiceError):
    """The model exists but does another task."""

    status, code = 409, "wrong_task"


class TooLarge(ServiceError):
    """More bytes than a request may have."""

    status, code = 413, "too_large"


class ImageTooLarge(TooLarge):
    """More pixels than a request may have."""

    code = "image_too_large"


class TooManyImages(TooLarge):
    """More images than a request may have."""

    code = "too_many_images"


class UnsupportedBody(ServiceError):
    """The content type is none that carries an image here."""

    status, code = 415, "unsupported_body"


class Unusable(ServiceError):
    """Well-formed, but not something that can be answered."""

    status, code = 422, "unusable"


class BadParameter(Unusable):
    """A parameter is unknown, given twice, or out of range."""

    code = "bad_parameter"


class ModelRequired(Unusable):
    """Several models do this task; the request must name one."""

    code = "model_required"


class NoImage(Unusable):
    """The request holds no image file."""

    code = "no_image"


class UndecodableImage(Unusable):
    """Not a picture, or a broken one."""

    code = "undecodable_image"


class NotFinite(Unusable):
    """NaN or infinity, in what was sent or in what the model made of it."""

    code = "not_finite"


class NotLoaded(Unusable):
    """A version that was to be loaded did not prove itself; what was served before still is."""

    code = "not_loaded"


class Overloaded(ServiceError):
    """As many images wait as may, or as can be answered in time."""

    status, code, retry_after_s = 429, "overloaded", 1


class HeadersTooLarge(ServiceError):
    """More bytes of headers than a request may have."""

    status, code = 431, "headers_too_large"


class NotReady(ServiceError):
    """The model is still loading, or failed to."""

    status, code, retry_after_s = 503, "not_ready", 2


class Expired(NotReady):
    """Its time was over before its turn came; nothing was computed."""

    code = "expired"


class OutOfMemory(NotReady):
    """The requests that are held already take all the memory they may."""

    code = "out_of_memory"


class TooLate(ServiceError):
    """The answer was not there in time."""

    status, code = 504, "too_late"


# What BentoML, Starlette and the HTTP server answer by themselves, as ours.
_FOREIGN: Mapping[int, type[ServiceError]] = {
    cls.status: cls
    for cls in (
        BadRequest,
        NoKey,
        NotAllowed,
        UnknownRoute,
        WrongMethod,
        TooLarge,
        UnsupportedBody,
        Unusable,
        Overloaded,
        HeadersTooLarge,
        NotReady,
        TooLate,
    )
}


def error_body(error: ServiceError, request_id: str) -> dict[str, Any]:
    """The only place that knows the error shape. A bug's own words stay in the log."""
    told = str(error) if type(error) is not ServiceError else "the service failed; its log knows why"
    return {"error": told, "code": error.code, "status": error.status, "request_id": request_id}


def error_response(error: ServiceError, request_id: str) -> Response:
    """The answer to a request that failed, with `Retry-After` where trying again helps."""
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    body = orjson.dumps(error_body(error, request_id))
    return Response(body, error.status, headers, media_type="application/json")


def restated(status: int, body: bytes) -> ServiceError | None:
    """Somebody else's error answer as one of ours; None if it is ours already.

    BentoML answers `{"error": m}`, `[{"error": m}]` or text; Starlette text.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    told = told[0] if isinstance(told, list) and len(told) == 1 else told
    if isinstance(told, dict) and {"error", "code", "status", "request_id"} <= told.keys():
        return None
    cls = _FOREIGN.get(status, BadRequest if status < 500 else ServiceError)
    words = told.get("error") if isinstance(told, dict) else body.decode("utf-8", "replace")[:200]
    return cls(words if isinstance(words, str) and words else (cls.__doc__ or ""))

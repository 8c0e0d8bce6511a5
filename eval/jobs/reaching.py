"""How a body says whom to ask: a plain URL, and headers in which no secret is written out."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from eval.jobs.catalogue import NAME
from eval.jobs.hosts import URL_PATTERN

__all__ = ["SECRET", "Address", "Endpoint", "Strict", "Url"]

SECRET = "ASSAY_EVAL_SECRET_"  # noqa: S105  # variables of this prefix may be named in a header's value
_REFERENCE = re.compile(rf"(?:[A-Za-z]{{1,16}} )?\${SECRET}[A-Z0-9_]{{1,64}}")
_PLAIN = re.compile(r"[A-Za-z0-9 ._,;:=/+*()-]{0,256}")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_SECRETS = re.compile(
    r"auth|cookie|credential|jwt|key|otp|pass|private|secret|session|sign|token|x-amz-|x-goog-"
)
_TOKENS = re.compile(r"(?i)^(bearer|basic|digest|negotiate|apikey|token)\b|[A-Za-z0-9_+/-]{40}|^eyJ")
_RESERVED = re.compile(
    r"host|connection|keep-alive|upgrade|te|trailer|transfer-encoding|expect|via|forwarded|"
    r"content-.*|x-forwarded-.*|proxy-.*|x-real-ip|x-assay-.*"
)


def _with_a_port(url: str) -> str:
    parts = urlsplit(url)  # ValueError where the address or the port is none
    if parts.port == 0 or not parts.hostname:
        raise ValueError("the port must be 1 to 65535")
    return url


Url: TypeAlias = Annotated[
    str, StringConstraints(max_length=512, pattern=URL_PATTERN), AfterValidator(_with_a_port)
]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=NAME)]
Seconds: TypeAlias = Annotated[float, Field(ge=0.1, le=600, allow_inf_nan=False)]
Rate: TypeAlias = Annotated[float, Field(ge=0.1, le=1e6, allow_inf_nan=False)]


class Strict(BaseModel):
    """Nothing but what is named, of the type that is named."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Address(Strict):
    """A service of ours."""

    url: Url
    max_qps: Rate | None = Field(None, description="Most images a second.")


class Endpoint(Address):
    """The service to measure, and how it is spoken to.

    A header that carries a secret names a variable of the service's environment, and the service puts
    its value in when it asks: `"Authorization": "Bearer $ASSAY_EVAL_SECRET_NAME"`.
    """

    protocol: Literal["auto", "assay", "oip", "template"] = "auto"
    template: Name | None = Field(None, description="NAME of a template of the operator's.")
    card: Name | None = Field(None, description="NAME of a model card of the operator's.")
    headers: Annotated[dict[str, str], Field(max_length=16)] = Field(default_factory=dict)
    timeout_s: Seconds | None = None

    @field_validator("headers")
    @classmethod
    def _without_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            low = name.lower()
            if not _HEADER.fullmatch(name) or _RESERVED.fullmatch(low):
                raise ValueError("a header must have an ordinary name that is not the connection's own")
            if _REFERENCE.fullmatch(value):
                continue
            if _SECRETS.search(low) or _TOKENS.search(value) or not _PLAIN.fullmatch(value):
                raise ValueError(
                    f"the header {name} may carry a secret, which is never kept here: "
                    f"its value must be ${SECRET}NAME, a variable that the operator sets"
                )
        return headers

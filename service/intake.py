"""From a request to image bytes and parameters, under limits; 4xx are decided here.

BentoML's own file parameters fetch URLs that are given as text and answer a broken image with
500. So no upload passes through them: the body is read, limited and split here, and text where
a file belongs is refused, never followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from models.decoding import TooManyPixels, UnreadableImage, decode, peek
from models.results import Array
from service.errors import (
    BadParameter,
    BadRequest,
    ImageTooLarge,
    NoImage,
    SlowBody,
    TooLarge,
    TooManyImages,
    UndecodableImage,
    UnsupportedBody,
)
from service.settings import ServiceSettings

__all__ = ["Call", "ClassifyParameters", "DetectParameters", "Parameters", "decoded", "read_call"]

FIELD = "image"
MAX_BOUNDARY_BYTES = 70  # RFC 2046, 5.1.1
MAX_TEXT_BYTES = 1024  # of a parameter's value
MAX_HEADER_BYTES = 8192  # of one part


class Parameters(BaseModel):
    """What any request may say besides its images, in the query or as form fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str | None = Field(None, max_length=64, description="Needed when several models do the task.")
    version: PositiveInt | None = Field(None, description="The latest when not given.")


class ClassifyParameters(Parameters):
    """`POST /classify`."""

    top_k: PositiveInt = Field(5, le=1000, description="Classes named for each image.")
    scores: bool = Field(False, description="Also give the score of every class.")


class DetectParameters(Parameters):
    """`POST /detect`."""

    score_threshold: float = Field(0.3, ge=0, le=1, description="Weaker objects are left out.")


Asked = TypeVar("Asked", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Call(Generic[Asked]):
    """One request, read and split, nothing decoded yet."""

    files: list[bytes]
    parameters: Asked


async def read_call(request: Request, kind: type[Asked], settings: ServiceSettings) -> Call[Asked]:
    """Read a request with one or several images.

    Raises:
        ServiceError: 400, 408, 413, 415 or 422; the message says what to send instead.
    """
    media, options = parse_options_header(request.headers.get("content-type", ""))
    told = list(request.query_params.multi_items())
    if media == b"multipart/form-data":
        parts = _Parts(settings.max_images)
        body = await _body(request, settings)
        parts.read(body, options.get(b"boundary", b""))
        files, told = parts.files, told + parts.texts
    elif media.startswith(b"image/") or media == b"application/octet-stream":
        files = [await _body(request, settings)]
    else:
        raise UnsupportedBody(
            f"content type must be multipart/form-data or image/*, got {media.decode('latin-1')[:80]!r}"
        )
    if not files:
        raise NoImage(f"the request must hold an image file in the field {FIELD!r}, got none")
    return Call(files, _parameters(told, kind))


async def _body(request: Request, settings: ServiceSettings) -> bytes:
    """The whole body, refused as soon as it is known to be too large."""
    limit = settings.max_body_bytes
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLarge(f"a request must have at most {limit} bytes, got {declared}")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(settings.timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"a request must have at most {limit} bytes, got more")
                chunks.append(chunk)
    except TimeoutError as late:
        raise SlowBody(f"the body must arrive within {settings.timeout_s:g} s") from late
    except ClientDisconnect as gone:
        raise BadRequest("the client left before its request was whole") from gone
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


@dataclass(slots=True)
class _Parts:
    """Collects the parts of a multipart body; every limit is checked while it is read."""

    max_images: int
    files: list[bytes] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    header: bytes = b""
    value: bytes = b""
    header_bytes: int = 0
    disposition: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def read(self, body: bytes, boundary: bytes) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
            raise BadRequest(
                f"the multipart boundary must have 1 to {MAX_BOUNDARY_BYTES} bytes, got {len(boundary)}"
            )
        ended = False

        def end() -> None:
            nonlocal ended
            ended = True

        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._header_end,
                "on_part_data": lambda data, start, stop: self.chunks.append(data[start:stop]),
                "on_part_end": self._part_end,
                "on_end": end,
            },
        )
        try:
            parser.write(body)
            parser.finalize()
        except FormParserError as error:
            raise BadRequest(f"the multipart body is broken: {error}") from error
        if not ended:
            raise BadRequest("the multipart body must end with its boundary; it is cut short")

    def _begin(self) -> None:
        self.header = self.value = self.disposition = b""
        self.header_bytes = 0
        self.chunks.clear()
        if len(self.files) + len(self.texts) >= self.max_images + 16:
            raise TooManyImages(f"a request must have at most {self.max_images} images, got more parts")

    def _name(self, data: bytes, start: int, stop: int) -> None:
        self.header += data[start:stop]
        self._grow(stop - start)

    def _value(self, data: bytes, start: int, stop: int) -> None:
        self.value += data[start:stop]
        self._grow(stop - start)

    def _grow(self, count: int) -> None:
        self.header_bytes += count
        if self.header_bytes > MAX_HEADER_BYTES:
            raise BadRequest(f"the headers of a part must have at most {MAX_HEADER_BYTES} bytes, got more")

    def _header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            self.disposition = self.value
        self.header = self.value = b""

    def _part_end(self) -> None:
        _, options = parse_options_header(self.disposition)
        name, data = options.get(b"name", b"").decode("utf-8", "replace"), b"".join(self.chunks)
        if b"filename" not in options:
            if name == FIELD:
                raise NoImage(f"the field {FIELD!r} must be a file, got text; URLs are not fetched")
            if len(data) > MAX_TEXT_BYTES:
                raise BadParameter(f"{name[:40]!r} must have at most {MAX_TEXT_BYTES} bytes, got {len(data)}")
            self.texts.append((name, data.decode("utf-8", "replace")))
        elif name != FIELD:
            raise BadParameter(f"files must be in the field {FIELD!r}, got {name[:40]!r}")
        elif len(self.files) >= self.max_images:
            raise TooManyImages(f"a request must have at most {self.max_images} images, got more")
        else:
            self.files.append(data)


def _parameters(told: Iterable[tuple[str, str]], kind: type[Asked]) -> Asked:
    values: dict[str, str] = {}
    for name, value in told:
        if name in values:
            raise BadParameter(f"{name[:40]!r} must be given once, got it twice")
        values[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise BadParameter(f"parameters are {', '.join(kind.model_fields)}, got {name[:40]!r}") from error
        raise BadParameter(f"{name}: {first['msg']}, got {values.get(name, '')[:40]!r}") from error


def decoded(files: list[bytes], max_pixels: int) -> list[Array]:
    """The images as uint8 RGB `(H, W, 3)`; sizes are added up before any pixel is decoded.

    Raises:
        ImageTooLarge, UndecodableImage: with the position of the image.
    """
    pixels = 0
    images: list[Array] = []
    try:
        for data in files:
            header = peek(data)
            pixels += header.width * header.height
            if pixels > max_pixels:
                raise TooManyPixels(f"{header.width} x {header.height}")
        images.extend(map(decode, files))
    except TooManyPixels as error:
        raise ImageTooLarge(f"a request must have at most {max_pixels} pixels, got more: {error}") from error
    except UnreadableImage as error:
        raise UndecodableImage(f"an image cannot be read: {error}") from error
    return images

"""A live Assay service as an endpoint: one keep-alive session, bounded retries, honest errors."""

from __future__ import annotations

import asyncio
import io
import itertools
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

import aiohttp
import orjson

from eval.errors import EndpointError, Refused
from models.card import TaskName
from models.decoding import UnreadableImage, encode_png, peek
from models.results import Array, Result
from models.wire import results_of

__all__ = ["AssayEndpoint", "describe", "is_ready"]

Answer = TypeVar("Answer", bound=Result)

ROUTES: dict[TaskName, str] = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
ASK: dict[TaskName, dict[str, str]] = {
    "classification": {"scores": "true", "top_k": "1"},
    "detection": {"score_threshold": "0"},
    "segmentation": {},
}
BOUNDARY = b"assay-5f0e6b7c9a"
MOST_ANSWER_BYTES = 256_000_000  # a hostile server must not fill our memory
ATTEMPTS = 5
LONGEST_WAIT_S = 10.0
AGAIN = {429, 503}  # the service asks for it; any other error would only come back


class AssayEndpoint(Generic[Answer]):
    """One model of a service, asked over HTTP. Use as `async with`.

    Args:
        url: e.g. `http://127.0.0.1:3000`.
        version: the latest when None.
        timeout_s: of one attempt.
        headers: sent with every request.

    Attributes:
        seconds: how long each answered request took, retries included.
    """

    def __init__(
        self,
        url: str,
        *,
        task: TaskName,
        model: str | None = None,
        version: int | None = None,
        timeout_s: float = 60.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        named = {"model": model, "version": None if version is None else str(version)}
        self._task = task
        self._url = f"{url.rstrip('/')}/{ROUTES[task]}"
        self._parameters = {**ASK[task], **{k: v for k, v in named.items() if v is not None}}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._headers = headers or {}
        self._session: aiohttp.ClientSession | None = None
        self.seconds: list[float] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        """uint8 RGB `(H, W, 3)` images, sent losslessly -> one result each, same order."""
        return await self.predict_files(await asyncio.to_thread(_pngs, images)) if images else []

    async def predict_files(self, files: Sequence[bytes]) -> Sequence[Answer]:
        """Encoded pictures, sent as they are -> one result each, same order.

        Raises:
            EndpointError: refused, failed after the last attempt, or answered nonsense.
        """
        if self._session is None:
            raise RuntimeError(
                "the endpoint must be entered first: `async with AssayEndpoint(...) as endpoint`"
            )
        began = time.perf_counter()
        told = await _asked(self._session, self._url, self._parameters, _multipart(files))
        try:
            results = results_of(told, self._task, [_pixels(file) for file in files])
        except ValueError as error:
            raise EndpointError(f"{self._url} gave an answer that cannot be read: {error}") from error
        self.seconds.append(time.perf_counter() - began)
        return cast("Sequence[Answer]", results)


def _pixels(file: bytes) -> int:
    """Of a picture, by its header; 0 where it cannot be read, and then no map of it is believed."""
    try:
        header = peek(file)
    except UnreadableImage:
        return 0
    return header.width * header.height


def _pngs(images: Sequence[Array]) -> list[bytes]:
    return [encode_png(image) for image in images]


def _multipart(files: Sequence[bytes]) -> bytes:
    """A form with the files in the field `image`; the boundary is made longer until no file holds it."""
    boundary = next(b for n in itertools.count() if not any((b := BOUNDARY + b"%d" % n) in f for f in files))
    head = b"--" + boundary + b'\r\ncontent-disposition: form-data; name="image"; filename="i"\r\n\r\n'
    return b"".join([*(part for file in files for part in (head, file, b"\r\n")), b"--", boundary, b"--\r\n"])


async def _asked(session: aiohttp.ClientSession, url: str, parameters: dict[str, str], body: bytes) -> Any:
    """The JSON object of a 200. Asking the same picture again is safe, so what may pass is retried."""
    kind = "multipart/form-data; boundary=" + body[2 : body.index(b"\r\n")].decode()
    failure = "no attempt was made"
    for attempt in range(ATTEMPTS):
        wait_s = 0.1 * 2**attempt
        try:
            # As a file: aiohttp warns of large bodies in bytes.
            async with session.post(
                url,
                params=parameters,
                data=io.BytesIO(body),
                headers={"content-type": kind},
                allow_redirects=False,
            ) as response:
                told = await _read(response)
                if response.status == 200:
                    return told
                failure = _words(response.status, told)
                if response.status not in AGAIN:
                    refused = 400 <= response.status < 500
                    raise (Refused if refused else EndpointError)(f"{url} did not answer: {failure}")
                wait_s = max(wait_s, _retry_after(response))
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = f"{type(error).__name__}: {error}"
        if attempt + 1 < ATTEMPTS:
            await asyncio.sleep(min(wait_s, LONGEST_WAIT_S))
    raise EndpointError(f"{url} did not answer: {failure}")


async def _read(response: aiohttp.ClientResponse) -> Any:
    """The body as JSON, or None where it is none."""
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > MOST_ANSWER_BYTES:
            raise EndpointError(
                f"{response.url.path} must answer at most {MOST_ANSWER_BYTES} bytes, sent more"
            )
        chunks.append(chunk)
    try:
        return orjson.loads(b"".join(chunks))
    except orjson.JSONDecodeError:
        return None


def _words(status: int, told: Any) -> str:
    error = told.get("error") if isinstance(told, dict) else None
    return f"{status} {error}" if isinstance(error, str) else f"{status} without a readable error"


def _retry_after(response: aiohttp.ClientResponse) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


async def describe(url: str, *, timeout_s: float = 10.0) -> list[dict[str, Any]]:
    """What the service serves: `GET /models`, one object a version.

    Raises:
        EndpointError: nobody answers there, or it is not an Assay service.
    """
    where = f"{url.rstrip('/')}/models"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session:
        try:
            async with session.get(where, allow_redirects=False) as response:
                told = await _read(response)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise EndpointError(f"{where} does not answer ({error}); is the service running?") from error
    if response.status != 200 or not isinstance(told, dict) or not isinstance(told.get("models"), list):
        raise EndpointError(f"{where} answered {response.status}; is it an Assay service?")
    return cast("list[dict[str, Any]]", told["models"])


async def is_ready(url: str, *, timeout_s: float = 10.0) -> bool:
    """Whether the service has looked at every version and answers with at least one: `GET /readyz`."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session:
        try:
            async with session.get(f"{url.rstrip('/')}/readyz", allow_redirects=False) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

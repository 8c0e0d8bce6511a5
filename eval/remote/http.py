"""The one way over HTTP: keep-alive, bounded retries, bounded answers, honest errors.

Asking about a picture changes nothing at the server, so a request whose answer did not come is simply
sent again: after connection errors, timeouts and the statuses that ask for it. Pauses double and have no
random part: who waits at the same time is spread by `Pace`, so two runs do the same.

Every request has an id. A server that repeats it, as ours does, cannot be misunderstood: where a proxy sends
an answer twice or late, the next request on that connection would be given the answer to another picture.
"""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any

import aiohttp
import orjson
from yarl import URL

from eval.errors import EndpointError, Gone, Refused
from eval.remote.pace import Pace
from eval.remote.secrets import Secrets

__all__ = ["Http", "Reply", "printable", "words_of"]

MOST_ANSWER_BYTES = 256_000_000  # a hostile server must not fill our memory
ATTEMPTS = 5
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0
BUSY = {429, 503}  # the server has too much to do
AGAIN = {*BUSY, 502, 504}  # any other error would only come back
KEPT_S = 60.0  # an idle connection
SMALL_BYTES = 1 << 16  # aiohttp sends bytes quicker than a file, and warns when they are many
ID = "x-request-id"
MOST_READ, MOST_WORDS = 10_000, 300  # characters of a server's own: looked at, and told


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    url: URL
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed; None where it is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Http:
    """One session to one service. Use as `async with`.

    Args:
        headers: sent with every request; see `Secrets`.
        query: parameters of every request, as the headers.
        timeout_s: of one attempt.
        max_qps: most images asked about in a second.

    Attributes:
        seconds: of each request about images that was answered, from when it was first sent.
        attempt_seconds: of each attempt about images that was answered, well or not.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        max_qps: float | None = None,
    ) -> None:
        self._headers, self._query = Secrets(headers or {}), Secrets(query or {})
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._named = any(name.lower() == ID for name in headers or {})  # by the caller, all alike
        self._own, self._count = f"{uuid.uuid4().hex}-", count()
        self.pace = Pace(max_qps)
        self.seconds: list[float] = []
        self.attempt_seconds: list[float] = []

    async def __aenter__(self) -> Http:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            headers=self._headers.plain,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def plain_query(self) -> Mapping[str, str]:
        """Parameters that are no secret; they belong to the addresses that are asked."""
        return self._query.plain

    async def ask(
        self,
        url: URL,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        images: int = 1,
    ) -> Reply:
        """The answer to one request about so many images, asked for until it comes.

        Raises:
            Gone: no connection could be made.
            Refused: 4xx.
            EndpointError: another status, no answer to the last attempt, or more than we take.
        """
        began, asked_s = None, 0.0
        failure = EndpointError(f"{bare(url)} did not answer: no attempt was made")
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(min(max(FIRST_WAIT_S * 2 ** (attempt - 1), asked_s), LONGEST_WAIT_S))
            at, asked_s = await self.pace.turn(images), 0.0
            began = began or at
            try:
                reply = await self._once(method, url, body, headers)
                seconds = time.perf_counter() - at
                if images:
                    self.attempt_seconds.append(seconds)
                if 200 <= reply.status < 300:
                    self.pace.answered(seconds)
                    if images:
                        self.seconds.append(at + seconds - began)
                    return reply
                failure, asked_s = self._failed(reply), _retry_after(reply.headers)
                if reply.status not in AGAIN:
                    raise failure
                if reply.status in BUSY:
                    self.pace.busy(at)
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = self._broken(url, error)
                if isinstance(error, aiohttp.InvalidURL):
                    raise failure from error
                if isinstance(error, TimeoutError):
                    self.pace.busy(at)
            finally:
                self.pace.over()
        raise failure

    async def look(
        self,
        url: URL,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
    ) -> Reply:
        """Whatever is answered, with any status, asked once.

        Raises:
            Gone: no connection could be made.
            EndpointError: no answer, or more than we take.
        """
        try:
            return await self._once(method, url, body, headers)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._broken(url, error) from error

    async def _once(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Reply:
        if self._session is None:
            raise RuntimeError("the endpoint must be entered first: `async with ... as endpoint`")
        if self._query.secrets:
            url = url.update_query(self._query.filled())
        data = io.BytesIO(body) if body is not None and len(body) > SMALL_BYTES else body
        own = {} if self._named else {ID: f"{self._own}{next(self._count)}"}
        sent = {**(headers or {}), **own, **self._headers.filled()}
        async with self._session.request(
            method, url, data=data, headers=sent, allow_redirects=False
        ) as response:
            told = response.headers.get(ID, "")
            if told.startswith(self._own) and told != own.get(ID):  # a gateway may put its own there
                response.close()
                raise aiohttp.ClientPayloadError("the answer to another request came")
            return Reply(url, response.status, response.headers, await _read(response))

    def _failed(self, reply: Reply) -> EndpointError:
        kind = Refused if 400 <= reply.status < 500 and reply.status not in AGAIN else EndpointError
        return kind(f"{bare(reply.url)} did not answer: {reply.status} {self._brief(words_of(reply))}")

    def _broken(self, url: URL, error: Exception) -> EndpointError:
        # Its own words would name the whole address, parameters and all.
        told = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
        told = self._brief("" if isinstance(error, aiohttp.InvalidURL) else told)
        words = f"{bare(url)} did not answer: {type(error).__name__}: {told}"
        if isinstance(error, aiohttp.ClientConnectorError):
            return Gone(f"{words}; is the service running?")
        return EndpointError(words)

    def _brief(self, text: str) -> str:
        """Words for a message, without our secrets."""
        return self._query.hide(self._headers.hide(printable(text)))[:MOST_WORDS]


def printable(text: str) -> str:
    """A server's words, in one line that changes no terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_READ])


def bare(url: URL) -> str:
    """The address without what may be secret: user, password, parameters."""
    return str(url.with_user(None).with_query(None)) if url.absolute else url.path


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MOST_ANSWER_BYTES:
            raise EndpointError(
                f"{response.url.path} must answer at most {MOST_ANSWER_BYTES} bytes, sent more"
            )
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def words_of(reply: Reply) -> str:
    """What a failure says, in any of the usual places."""
    told = reply.json()
    for _ in range(2):  # some put an object of their own there
        if isinstance(told, dict):
            told = next((told[key] for key in ("error", "detail", "message") if key in told), None)
    return printable(told) if isinstance(told, str) and told else "without a readable error"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait; from a date, by the server's own clock where it tells. 0 where none is asked for."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0

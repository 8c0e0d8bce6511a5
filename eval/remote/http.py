"""The one way over HTTP: keep-alive, bounded retries, bounded answers, honest errors.

Asking about a picture changes nothing at the server, so a request whose answer did not come is simply
sent again: after connection errors, timeouts and the statuses that ask for it. Pauses double and have no
random part: who waits at the same time is spread by `Pace`, so two runs do the same.

Every request has an id. A server that repeats it, as ours does, cannot be misunderstood: where a proxy sends
an answer twice or late, the next request on that connection would be given the answer to another picture.

Every body has a digest (RFC 9530), and one is asked for of every answer. A server that knows of it, as ours
does, is never understood to have been asked, or to have answered, what was changed on the way.
"""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from collections.abc import Collection, Mapping
from itertools import count

import aiohttp
from yarl import URL

from eval.errors import EndpointError, Failed, Gone, Refused
from eval.remote.line import Line, Mistaken
from eval.remote.pace import Pace
from eval.remote.reply import BUSY, Reply, is_passing, retry_after, words_of
from eval.remote.secrets import Secrets
from eval.remote.words import bare, broken, printable
from models.digest import DIGEST, WANT, digest_of, is_intact

__all__ = ["Http"]

MOST_ANSWER_BYTES = 256_000_000  # a hostile server must not fill our memory
ATTEMPTS = 5
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0
LOOK_S = 10.0  # for which an attempt to look at a server may last at least, if a request may
KEPT_S = 60.0  # an idle connection
SMALL_BYTES = 1 << 16  # aiohttp sends bytes quicker than a file, and warns when they are many
ID = "x-request-id"
WANTED = "sha-256=1"
MOST_WORDS = 300  # characters of a server's own that are told
CHANGED = (
    "the answer was changed on the way: it is not what its Content-Digest says; a proxy that rewrites "
    "answers must leave that header out"
)


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
        self._timeout_s = timeout_s
        self._line = Line(self._made)
        self._named = any(name.lower() == ID for name in headers or {})  # by the caller, all alike
        self._own, self._count = f"{uuid.uuid4().hex}-", count()
        self.pace = Pace(max_qps)
        self.seconds: list[float] = []
        self.attempt_seconds: list[float] = []

    def _made(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers=self._headers.plain,
        )

    async def __aenter__(self) -> Http:
        await self._line.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._line.__aexit__()

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
            Failed: 5xx that another attempt would not change.
            EndpointError: another status, no answer to the last attempt, or more than we take.
        """
        began, asked_s = None, 0.0
        failure = EndpointError(f"{bare(url)} did not answer: no attempt was made")
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(_pause(attempt, asked_s))
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
                failure, asked_s = self._failed(reply), retry_after(reply.headers)
                if not is_passing(reply):
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

    async def get(self, url: URL, again: Collection[int] = frozenset()) -> Reply:
        """Whatever is answered, with any status; asked for as a request is, but in the time of one attempt.

        Args:
            again: statuses for which it is asked for again while there is time.

        Raises:
            Gone: no connection could be made.
            EndpointError: no answer, or more than we take.
        """
        until, attempts = time.perf_counter() + self._timeout_s, 0
        while True:
            seconds = min(until - time.perf_counter(), max(LOOK_S, self._timeout_s / ATTEMPTS))
            attempts, asked_s = attempts + 1, 0.0
            told: Reply | EndpointError
            try:
                async with asyncio.timeout(seconds):
                    told = await self._once("GET", url, None, None)
                if told.status not in again:
                    return told
                asked_s = retry_after(told.headers)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                told = self._broken(url, error, seconds)
                if isinstance(error, ValueError):  # what we would send
                    raise told from error
            pause = _pause(attempts, asked_s)
            if attempts == ATTEMPTS or time.perf_counter() + pause >= until:
                if isinstance(told, EndpointError):
                    raise told
                return told
            await asyncio.sleep(pause)

    async def _once(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Reply:
        if self._query.secrets:
            url = url.update_query(self._query.filled())
        data = io.BytesIO(body) if body is not None and len(body) > SMALL_BYTES else body
        own = {} if self._named else {ID: f"{self._own}{next(self._count)}"}
        whole = {WANT: WANTED} if body is None else {WANT: WANTED, DIGEST: await digest_of(body)}
        sent = {**(headers or {}), **own, **whole, **self._headers.filled()}
        async with (
            self._line.taken() as session,
            session.request(method, url, data=data, headers=sent, allow_redirects=False) as response,
        ):
            told = response.headers.get(ID, "")
            if told.startswith(self._own) and told != own.get(ID):  # a gateway may put its own there
                response.close()
                raise Mistaken("the answer to another request came")
            reply = Reply(url, response.status, response.headers, await _read(response))
            # What came compressed is not what the digest is of, and has a checksum of its own.
            unpacked = "content-encoding" in response.headers
            if not unpacked and not await is_intact(response.headers.get(DIGEST, ""), reply.body):
                raise Mistaken(CHANGED)
            return reply

    def _failed(self, reply: Reply) -> EndpointError:
        own = Refused if reply.status < 500 else Failed
        kind = EndpointError if reply.status < 400 or is_passing(reply) else own
        return kind(f"{bare(reply.url)} did not answer: {reply.status} {self._brief(words_of(reply))}")

    def _broken(self, url: URL, error: Exception, seconds: float | None = None) -> EndpointError:
        told = broken(error, self._timeout_s if seconds is None else seconds)
        words = f"{bare(url)} did not answer: {self._brief(told)}"
        if isinstance(error, aiohttp.ClientConnectorError):
            return Gone(f"{words}; is the service running?")
        return EndpointError(words)

    def _brief(self, text: str) -> str:
        """Words for a message, without our secrets."""
        return self._query.hide(self._headers.hide(printable(text)))[:MOST_WORDS]


def _pause(attempts: int, asked_s: float) -> float:
    """Seconds to wait after so many attempts, the server asking for some."""
    return min(max(FIRST_WAIT_S * 2.0 ** (attempts - 1), asked_s), LONGEST_WAIT_S)


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

"""The connections of a client, and how those are left that cannot be trusted."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

import aiohttp

__all__ = ["Line", "Mistaken"]


class Mistaken(aiohttp.ClientPayloadError):
    """What came is not the answer to what was asked, or not as it was sent."""


class Line:
    """One session after another. Use as `async with`.

    Once an answer was mistaken, whoever is next on its connection may be given the one that belonged here,
    and so on for ever. A small answer is whole with its head; its connection by then waits for work with the
    others and cannot be told from them. So all are left to those who use them now, and closed after them.

    Args:
        make: gives a session.
    """

    def __init__(self, make: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = make
        self._session: aiohttp.ClientSession | None = None
        self._users: Counter[aiohttp.ClientSession] = Counter()

    async def __aenter__(self) -> Line:
        self._session = self._make()
        return self

    async def __aexit__(self, *_: object) -> None:
        last, self._session = self._session, None
        for session in {*self._users, *([] if last is None else [last])}:
            await session.close()
        self._users.clear()

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A session to ask with, once; left when that raises `Mistaken`."""
        session = self._session
        if session is None:
            raise RuntimeError("the endpoint must be entered first: `async with ... as endpoint`")
        self._users[session] += 1
        try:
            yield session
        except Mistaken:
            if self._session is session:
                self._session = self._make()
            raise
        finally:
            self._users[session] -= 1
            if not self._users[session]:
                del self._users[session]
                if session is not self._session:
                    await session.close()

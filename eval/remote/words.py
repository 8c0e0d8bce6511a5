"""What is said of an exchange that went wrong: what happened, in one line, without secrets."""

from __future__ import annotations

import os

import aiohttp
from yarl import URL

from eval.remote.line import Mistaken

__all__ = ["bare", "broken", "printable"]

MOST_READ = 10_000  # characters of a server's own that are looked at


def printable(text: str) -> str:
    """A server's words, in one line that changes no terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_READ])


def bare(url: URL) -> str:
    """The address without what may be secret: user, password, parameters."""
    return str(url.with_user(None).with_query(None)) if url.absolute else url.path


def broken(error: Exception, seconds: float) -> str:
    """Why no answer came; without the words of libraries that hold the whole address.

    Args:
        seconds: that an answer was waited for.
    """
    match error:
        case aiohttp.InvalidURL():
            return "InvalidURL: it is no address"
        case TimeoutError():  # before the next: one of aiohttp's is both
            return f"nothing whole came within {seconds:.3g} s"
        case aiohttp.ClientSSLError():  # its numbers are not the system's
            return f"no safe connection: {error}"
        case aiohttp.ClientConnectorError():
            return f"no connection: {_reason(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer came"
        case aiohttp.ClientOSError():
            return f"the connection broke: {_reason(error)}"
        case aiohttp.ClientResponseError():
            return f"what came is no HTTP: {error.message}"
        case Mistaken():
            return str(error)
        case aiohttp.ClientPayloadError():
            return f"the answer did not come whole: {error}"
    return f"{type(error).__name__}: {error}"


def _reason(error: OSError) -> str:
    """The system's words; those of asyncio and of name servers where it has none."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)

"""Why no answer came is told as it was, in words that can be acted on."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from eval.errors import EndpointError
from eval.remote import http
from eval.remote.http import Http
from eval.remote.line import Mistaken
from eval.remote.words import bare, broken

KEY: Any = ConnectionKey("h", 443, True, True, None, None, None)
TOLD: dict[str, tuple[Exception, str]] = {
    "nobody": (aiohttp.ClientConnectorError(KEY, OSError(111, "x")), "no connection: Connection refused"),
    "no name": (
        aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")),
        "no connection: Name or service not known",
    ),
    "several": (aiohttp.ClientConnectorError(KEY, OSError("Multiple")), "no connection: Multiple"),
    "a certificate": (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError(1, "self-signed certificate")),
        "no safe connection: .*self-signed certificate",
    ),
    "TLS": (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "WRONG_VERSION_NUMBER")), "WRONG_VERSION"),
    "reset": (aiohttp.ClientOSError(104, "x"), "the connection broke: Connection reset by peer"),
    "closed": (aiohttp.ServerDisconnectedError(), "the connection was closed before an answer came"),
    "slow": (TimeoutError(), r"nothing whole came within 0\.333 s"),
    "slow to connect": (aiohttp.ConnectionTimeoutError("x"), r"nothing whole came within 0\.333 s"),
    "cut": (aiohttp.ClientPayloadError("not completed"), "the answer did not come whole: not completed"),
    "mistaken": (Mistaken("the answer was changed on the way"), "^the answer was changed on the way"),
    "an address": (aiohttp.InvalidURL("http://secret"), "^InvalidURL: it is no address$"),
    "ours": (ValueError("a header of two lines"), "ValueError: a header of two lines"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_happened(name: str) -> None:
    error, words = TOLD[name]
    with pytest.raises(RuntimeError, match=words):
        raise RuntimeError(broken(error, 1 / 3))


def test_an_address_is_told_without_its_secrets() -> None:
    assert bare(URL("https://us3r:passw0rd@h:8443/v2?key=s3cr3t")) == "https://h:8443/v2"
    assert bare(URL("/models?key=s3cr3t")) == "/models"


def test_what_is_no_http_keeps_the_address_to_itself() -> None:
    info = aiohttp.RequestInfo(URL("http://h/?key=s3cr3t"), "GET", Any, URL("http://h/?key=s3cr3t"))  # type: ignore[arg-type]
    told = broken(aiohttp.ClientResponseError(info, (), message="Bad status line"), 1)
    assert told == "what came is no HTTP: Bad status line"


def test_tls_to_a_server_that_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 1)

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server, Http() as session:
            await session.get(URL(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))

    with pytest.raises(EndpointError, match=r"did not answer: no safe connection: .*is the service running"):
        asyncio.run(main())

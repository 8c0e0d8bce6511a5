"""Whom a download may ask, and which of the answers may be another the next time.

Proxies are those of the environment (`https_proxy`, `no_proxy`), certificates those of the system.
No credentials are sent: no user name in an address, no cookies, no netrc.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from ipaddress import ip_address
from typing import IO
from urllib.parse import urlsplit

from models.recipes.remote import NotFetched

__all__ = ["allowed", "may_pass", "opener", "retry_after_s", "validator"]

PASSING = (408, 425, 429, 500, 502, 503, 504)
REDIRECTS = 5


def allowed(url: str) -> bool:
    """https without a user name; http only to this machine itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _loopback(host))


def _loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few, to https only; from this machine also to this machine."""

    max_repeats = 2
    max_redirections = REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        secure = urlsplit(newurl).scheme == "https" or urlsplit(req.full_url).scheme == "http"
        if not allowed(newurl) or not secure:
            fp.close()
            raise NotFetched(f"{req.full_url} must redirect to https without a user name, got {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(url: str) -> urllib.request.OpenerDirector:
    """Opens http and https and nothing else; the proxy is not asked for this machine itself."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if _loopback(urlsplit(url).hostname) else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        director.add_handler(handler)
    return director


def may_pass(error: BaseException) -> bool:
    """Whether asking again can help: busy, cut, silent; not: no such file, no such host, no trust."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in PASSING
    if isinstance(error, urllib.error.URLError):  # there was no connection
        reason = error.reason
        if isinstance(reason, socket.gaierror):
            return reason.errno == socket.EAI_AGAIN
        return isinstance(reason, OSError) and not isinstance(reason, ssl.SSLCertVerificationError)
    return isinstance(error, TimeoutError | ConnectionError | ssl.SSLError | http.client.HTTPException)


def retry_after_s(error: BaseException) -> float:
    """Seconds a server asks to be left alone; 0 where it says nothing."""
    headers: Message | Mapping[str, str] = getattr(error, "headers", None) or {}
    text = headers.get("Retry-After") or ""
    return float(text) if text.isascii() and text.isdecimal() else 0.0


def validator(headers: Mapping[str, str] | Message) -> str:
    """What `If-Range` takes to name this state of the file (RFC 9110, 13.1.5); empty where nothing does."""
    tag = headers.get("ETag") or ""
    found = tag if tag.startswith('"') else (headers.get("Last-Modified") or "" if not tag else "")
    return found if found.isascii() and found.isprintable() else ""

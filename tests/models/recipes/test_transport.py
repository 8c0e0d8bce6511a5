"""Whom a download asks: https, this machine, and nobody by a roundabout way."""

from __future__ import annotations

import hashlib
import io
import socket
import ssl
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.recipes.bar import Bar
from models.recipes.fetch import Patience, fetch
from models.recipes.remote import NotFetched, Remote
from models.recipes.transport import allowed, may_pass
from tests.models.recipes.site import Site, answer, running

ONCE = Patience(attempts=1)
DATA = b"weights"


def remote(url: str) -> Remote:
    return Remote(url, hashlib.sha256(DATA).hexdigest(), len(DATA))


def get(site: Site, folder: Path) -> bytes:
    return fetch(remote(site.url), folder, bar=Bar("", io.StringIO()), patience=ONCE).read_bytes()


@pytest.fixture
def site() -> Iterator[Site]:
    with running(DATA) as site:
        yield site


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of 127.0.0.1, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=local -addext subjectAltName=IP:127.0.0.1"
    try:
        command = ["openssl", *words.split(), "-keyout", f"{path}", "-out", f"{path}.crt"]
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(DATA, tls=context) as site:
        yield site


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://example.org/a", True),
        ("http://127.0.0.1:8000/a", True),
        ("http://[::1]/a", True),
        ("http://localhost/a", True),
        ("http://example.org/a", False),
        ("http://127.0.0.1.example.org/a", False),
        ("http://10.0.0.1/a", False),
        ("https://user@example.org/a", False),
        ("https://user:word@example.org/a", False),
        ("http://127.0.0.1@example.org/a", False),
        ("file:///etc/passwd", False),
        ("ftp://example.org/a", False),
        ("data:,a", False),
        ("https:///a", False),
        ("https://[/a", False),
        ("https://example.org:x/a", False),
    ],
)
def test_addresses(url: str, right: bool, tmp_path: Path) -> None:
    assert allowed(url) is right
    if not right:
        with pytest.raises(NotFetched, match="must be https without a user name"):
            fetch(remote(url), tmp_path)


def test_redirects_are_followed(site: Site, tmp_path: Path) -> None:
    site.behaviours = [answer(302, Location=site.url)]
    assert get(site, tmp_path) == DATA


@pytest.mark.parametrize(
    "target",
    [
        "http://example.org/a",
        "http://10.0.0.1/a",
        "https://user@example.org/a",
        "file:///etc/passwd",
        "ftp://x/a",
    ],
)
def test_redirects_elsewhere_are_refused(site: Site, tmp_path: Path, target: str) -> None:
    site.behaviours = [answer(302, Location=target)]
    with pytest.raises(NotFetched):
        get(site, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_redirects_end(site: Site, tmp_path: Path) -> None:
    site.behaviours = [answer(302, Location=f"{site.url}?{i}") for i in range(20)]
    with pytest.raises(NotFetched, match="302"):
        get(site, tmp_path)
    assert len(site.asked) == 6


def test_https(secure: Site, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFetched, match="certificate verify failed"):
        fetch(remote(secure.url), tmp_path, bar=Bar("", io.StringIO()))  # not tried again: no pause
    assert secure.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get(secure, tmp_path) == DATA


def test_https_does_not_lead_to_http(
    secure: Site, site: Site, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure.behaviours = [answer(302, Location=site.url)]
    with pytest.raises(NotFetched, match=f"must redirect to https without a user name, got {site.url}"):
        get(secure, tmp_path)
    assert site.asked == []


def test_the_proxy_is_asked_but_not_for_this_machine(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, site.url.removesuffix("/file.bin"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(NotFetched, match="403"):
        fetch(remote("https://example.org/a"), tmp_path, bar=Bar("", io.StringIO()), patience=ONCE)
    assert site.asked == [{"CONNECT": "example.org:443"}]
    with running(DATA) as other:
        assert get(other, tmp_path) == DATA
        assert len(other.asked) == 1


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, "")), True),
        (urllib.error.URLError(socket.gaierror(socket.EAI_NONAME, "")), False),
        (urllib.error.URLError(ssl.SSLCertVerificationError("no")), False),
        (urllib.error.URLError("unknown"), False),
        (urllib.error.URLError(OSError("network unreachable")), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (PermissionError(), False),  # of this disk
    ],
)
def test_what_may_pass(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes

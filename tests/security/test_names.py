"""A15: names and paths that lead elsewhere."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.security.attack import (
    LIGHT,
    ROUTES,
    assert_refused,
    get,
    infer,
    post,
    send,
    send_all,
)

TRAVERSALS = [
    "..",
    "../lamp",
    "../../etc/passwd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "..\\..\\lamp",
    "C:\\lamp",
    "\\\\127.0.0.1\\share",
    "lamp/../lamp",
    "./lamp",
    "lamp/",
    "lamp/1",
    "lamp\0",
    "lamp\0.png",
    "lamp\n",
    "lamp\r\nX: y",
    "lamp ",
    " lamp",
    "LAMP",
    "lamp.",
    "\uff4camp",  # the same letters to a reader that normalises
    "la\u00admp",
    "\u202elamp",
    "~",
    "$HOME",
    "${jndi:ldap://127.0.0.1/x}",
    "lamp;ls",
    "lamp'--",
    "*",
    "%",
    "%2e%2e",
    "__class__",
    "lamp?",
    "lamp#",
    "",
    "x" * 5000,
]


def spellings(name: str) -> set[str]:
    """Once, twice and three times encoded, and every byte of it encoded."""
    once = quote(name, safe="")
    every = "".join(f"%{byte:02x}" for byte in name.encode())
    return {once, quote(once, safe=""), quote(quote(once, safe=""), safe=""), every, quote(every, safe="")}


@pytest.mark.parametrize("name", TRAVERSALS, ids=ascii)
def test_a_name_is_only_looked_up_in_a_table(url: str, name: str) -> None:
    """A15: 404, or 422 where it is too long to be a name; nothing else is a name."""
    for written in spellings(name):
        if len(written) > 7000:  # more than a head may have
            continue
        answers = send_all(
            url,
            [
                get(f"/v2/models/{written}"),
                get(f"/v2/models/{written}/config"),
                get(f"/v2/models/lamp/versions/{written}"),
                infer(written, b"{}"),
                get(f"/v2/models/{written}/versions/1/stats"),
            ],
        )
        for answer in answers:
            assert answer.status == 404, (written, answer)
            assert answer.code in ("unknown_model", "unknown_route")
            assert "root:" not in answer.body.decode()
        for route in ROUTES:
            answer = send(url, post(f"{route}?model={written}", LIGHT))
            if not name and answer.status == 200:  # no name is as good as none: there is only one model
                continue
            assert answer.status in (404, 409, 422), (written, answer)
            assert answer.code in ("unknown_model", "wrong_task", "bad_parameter", "model_required")


VERSIONS = ["0", "-1", "+1", "01x", "1.0", "1e0", "0x1", " 1", "\u0661", "\u00b2", "9" * 400, "..", "1/"]


@pytest.mark.parametrize("version", VERSIONS, ids=ascii)
def test_a_version_is_a_small_number(url: str, version: str) -> None:
    """A15: numbers of other scripts are numbers to Python."""
    for written in (quote(version, safe=""), quote(quote(version, safe=""), safe="")):
        for tail, method in (("", "GET"), ("/config", "GET"), ("/infer", "POST")):
            answer = send(url, get(f"/v2/models/lamp/versions/{written}{tail}", method=method))
            assert_refused(answer, 404, answer.code or "")


PATHS = [
    "/../../etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%252e%252e%252fetc%252fpasswd",
    "/static_content/../../../etc/passwd",
    "/static_content/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/static_content//etc/passwd",
    "/static_content/%2fetc%2fpasswd",
    "/static_content/..%5c..%5cetc%5cpasswd",
    "/.env",
    "/.git/config",
    "/models/../service/settings.py",
    "/models/lamp/1/model.onnx",
    "/v2/../models",
    "/v2/./models/lamp",
    "//v2/models/lamp",
    "/v2//models/lamp",
    "/v2/models//lamp",
    "/v2/models/lamp/",
    "/v2models/lamp",
    "/v2x",
    "/V2",
    "/v2/%256dodels/lamp",
    "/classify/../models",
    "/classify%00",
    "/livez%0a",
    "/classify%0a",
    "/schema.json%0a",
    "/%",
    "/%zz",
    "/%c0%ae%c0%ae/",
    "/" + "a/" * 3000,
    "/" + "%2e%2e%2f" * 800,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_a_path_is_served_as_it_is_or_not_at_all(url: str, path: str) -> None:
    """A15: no file of this machine, and no route by another name."""
    for method in ("GET", "POST"):
        answer = send(url, get(path, method=method))
        assert answer.status in (404, 405), answer
        assert_refused(answer, answer.status, answer.code or "")
        assert "root:" not in answer.body.decode()

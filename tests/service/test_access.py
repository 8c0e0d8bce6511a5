"""Keys open what they are for and nothing else, and a file of keys that is of no use stops the start."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest

from service.access import Access, KeysError
from service.calls import Call, Message
from service.errors import NoKey, NotAllowed

ADMIN, ASKING, OTHER = "an-admin-key-of-tests", "an-asking-key-of-tests", "another-key-of-tests"
LOAD, ASK = "/v2/repository/models/lamp/load", "/classify"
OPEN = ["/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"]


async def nothing() -> Message:
    raise AssertionError("keys are checked before a body is read")


def call(path: str, **headers: str) -> Call:
    told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Call({"path": path, "method": "POST", "state": {}}, nothing, "id", 0.0, told)


def files(folder: Path, *, asking: str | None = None, admin: str | None = None) -> Access:
    paths: list[Path | None] = []
    for name, text in (("asking", asking), ("admin", admin)):
        path = folder / name
        if text is not None:
            path.write_text(text, encoding="utf-8")
        paths.append(None if text is None else path)
    return Access(*paths)


def test_without_files_everybody_asks_and_nobody_administers() -> None:
    nobody = Access(None, None)
    for path in (ASK, "/models", "/v2/repository/index", *OPEN):
        nobody.check(call(path))
    for key in ({}, {"x_api_key": ADMIN}):
        with pytest.raises(NotAllowed, match="ASSAY_ADMIN_KEYS_FILE is not set"):
            nobody.check(call(LOAD, **key))


def test_with_keys_only_those_who_have_one_ask(tmp_path: Path) -> None:
    keys = files(tmp_path, asking=f"{ASKING}\n{OTHER}\n")
    for key in (ASKING, OTHER):
        keys.check(call(ASK, x_api_key=key))
        for word in ("Bearer", "bearer", "BEARER"):
            keys.check(call(ASK, authorization=f"{word} {key} "))
    for path in OPEN:
        keys.check(call(path))
    for path in (ASK, "/", "/models", "/docs.json", "/nothing", "/livez/", "/v2/health/live/x", "/metricsx"):
        with pytest.raises(NoKey, match="a key is needed"):
            keys.check(call(path))
        with pytest.raises(NoKey, match="not known"):
            keys.check(call(path, x_api_key=ADMIN))
    with pytest.raises(NotAllowed, match="ASSAY_ADMIN_KEYS_FILE is not set"):
        keys.check(call(LOAD, x_api_key=ASKING))


def test_an_admin_key_administers_and_asks(tmp_path: Path) -> None:
    keys = files(tmp_path, asking=ASKING, admin=ADMIN)
    for path in (LOAD, "/v2/repository/models/lamp/unload", "/v2/repository/models/", ASK):
        keys.check(call(path, x_api_key=ADMIN))
    with pytest.raises(NotAllowed, match="needs an admin key"):
        keys.check(call(LOAD, x_api_key=ASKING))
    with pytest.raises(NoKey, match="not known"):
        keys.check(call(LOAD, x_api_key=OTHER))
    with pytest.raises(NoKey, match="a key is needed"):
        keys.check(call(LOAD))


def test_with_admin_keys_alone_everybody_asks(tmp_path: Path) -> None:
    keys = files(tmp_path, admin=ADMIN)
    keys.check(call(ASK))
    keys.check(call(ASK, x_api_key="anything at all"))
    keys.check(call(LOAD, authorization=f"Bearer {ADMIN}"))
    with pytest.raises(NoKey, match="not known"):
        keys.check(call(LOAD, authorization=f"Bearer {ASKING}"))


WRONG: list[dict[str, str]] = [
    {"x_api_key": ""},
    {"x_api_key": ASKING[:-1]},
    {"x_api_key": ASKING + "x"},
    {"x_api_key": ASKING.upper()},
    {"x_api_key": f"Bearer {ASKING}"},
    {"x_api_key": OTHER, "authorization": f"Bearer {ASKING}"},  # one word for it is enough
    {"authorization": ASKING},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": f"Basic {ASKING}"},
    {"authorization": f"Bearer{ASKING}"},
    {"x_api_key": "# a remark that is not a key"},
]


@pytest.mark.parametrize("headers", WRONG)
def test_what_is_not_exactly_a_key_opens_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    keys = files(tmp_path, asking=f"# a remark that is not a key\n\n  {ASKING}  # of nobody\n")
    with pytest.raises(NoKey):
        keys.check(call(ASK, **headers))
    keys.check(call(ASK, x_api_key=ASKING))
    keys.check(call(ASK, x_api_key="", authorization=f"Bearer {ASKING}"))  # as some proxies send it


def test_keys_need_not_be_ascii(tmp_path: Path) -> None:
    keys = files(tmp_path, asking="schlüssel-für-versuche")
    keys.check(call(ASK, x_api_key="schlüssel-für-versuche"))
    with pytest.raises(NoKey):
        keys.check(call(ASK, x_api_key="schlussel-fur-versuche"))


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a remark", "short", f"{ASKING}\nfifteen-letters", "\ufeff"]
)
@pytest.mark.parametrize("which", ["asking", "admin"])
def test_a_file_that_holds_no_good_keys_stops_the_start(tmp_path: Path, which: str, text: str) -> None:
    with pytest.raises(KeysError, match="at least one key, each of 16 characters or more"):
        files(tmp_path, **{which: text})


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe" * 20)
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "binary"):
        with pytest.raises(KeysError, match="cannot be read"):
            Access(path, None)
        with pytest.raises(KeysError, match="cannot be read"):
            Access(None, path)


def test_no_key_is_kept_and_every_one_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its digest, in constant time, with all of them: neither a dump nor a clock tells."""
    keys = files(tmp_path, asking=f"{ASKING}\n{OTHER}\n", admin=ADMIN)
    kept = repr(vars(keys)).encode()
    assert not any(key.encode() in kept for key in (ASKING, OTHER, ADMIN))
    compared: list[Any] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr("service.access.hmac.compare_digest", compare)
    keys.check(call(ASK, x_api_key=ASKING))
    assert compared == [(32, 32)] * 3

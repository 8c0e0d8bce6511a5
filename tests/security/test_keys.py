"""A26: who may ask, and who may change what is served."""

from __future__ import annotations

import hmac
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from service.access import Access
from service.calls import Call
from service.errors import NoKey
from tests.e2e.processes import running_service
from tests.security.attack import LIGHT, Answer, assert_refused, get, post, send


def told(url: str) -> object:
    """All that is served, as the service tells it."""
    return send(url, get("/models")).json


VERBS = ["load", "unload"]
BODIES = [
    b"",
    b"{}",
    b'{"parameters":{"config":"{\\"version_policy\\":{\\"latest\\":{\\"num_versions\\":1}}}"}}',
]


def administrations() -> list[str]:
    """Ways to write the paths that change what is served: any character encoded, once or twice."""
    dice, found = random.Random(0), []
    for verb in VERBS:
        path = f"/v2/repository/models/lamp/{verb}"
        found += [path, path.replace("/v2", "/v2/.", 1), f"/{path}", f"{path}/", path.replace("/", "//")]
        for at, letter in enumerate(path[1:], 1):
            for code in (f"%{ord(letter):02x}", f"%25{ord(letter):02x}", f"%2525{ord(letter):02x}"):
                found.append(path[:at] + code + path[at + 1 :])
        for _ in range(50):
            found.append("/" + "".join(_written(letter, dice) for letter in path[1:]))
    return found


def _written(letter: str, dice: random.Random) -> str:
    return dice.choice([letter, letter, f"%{ord(letter):02X}", f"%25{ord(letter):02x}"])


def test_nobody_changes_what_is_served_without_a_key(url: str, attacked: Path) -> None:
    """A26: however the path is written; no folder changes either."""
    before, files = told(url), sorted(attacked.rglob("*"))
    paths = administrations()
    assert len(paths) > 250
    keys = [
        "",
        "X-API-Key: ",
        "Authorization: Bearer ",
        "Authorization: Bearer null",
        "X-API-Key: 0" + "0" * 40,
    ]
    for at, path in enumerate(paths):
        answer = send(url, post(path, BODIES[at % 3], *filter(None, [keys[at % 5]]), kind="application/json"))
        assert answer.status in (403, 404, 405), (path, answer)
    assert told(url) == before
    assert sorted(attacked.rglob("*")) == files


def test_no_other_method_changes_anything(url: str) -> None:
    """A26: nor one that is said in a header."""
    before = told(url)
    document = send(url, get("/docs.json")).json
    overrides = ["X-HTTP-Method-Override: DELETE", "X-Original-URL: /v2/repository/models/lamp/unload"]
    for path in document["paths"]:
        concrete = path.replace("{model}", "lamp").replace("{version}", "2")
        for method in (
            "PUT",
            "PATCH",
            "DELETE",
            "TRACE",
            "OPTIONS",
            "PROPFIND",
            "MKCOL",
            "MOVE",
            "GET",
            "POST",
        ):
            answer = send(url, get(concrete, *overrides, "Destination: /x", method=method))
            assert answer.status < 500, (method, concrete, answer)
    assert told(url) == before


API, ADMIN = "an-api-key-of-32-characters-0000", "an-admin-key-of-32-characters-00"


@pytest.fixture(scope="module")
def guarded(attacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "api").write_text(f"# ours\n{API}  # first\n")
    (folder / "admin").write_text(f"{ADMIN}\n")
    files: dict[str, Any] = {"api_keys_file": folder / "api", "admin_keys_file": folder / "admin"}
    with running_service(folder / "home", model_repository=attacked, poll_s=0, **files) as url:
        yield url


OPEN = {"/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"}


def keyed(url: str, path: str, key: str, *, method: str = "GET") -> Answer:
    return send(url, get(path, f"Authorization: Bearer {key}", "Content-Length: 0", method=method))


def test_every_route_but_health_and_metrics_needs_a_key(guarded: str) -> None:
    """A26: those that are documented, BentoML's own, and those that do not exist."""
    document = keyed(guarded, "/docs.json", API).json
    paths = {path.replace("{model}", "lamp").replace("{version}", "1") for path in document["paths"]}
    paths |= {"/", "/schema.json", "/static_content/index.html", "/nothing", "/v2/nothing"} | OPEN
    assert len(paths) > 25
    for path in paths:
        for method in ("GET", "POST", "HEAD", "OPTIONS", "DELETE"):
            answer = send(guarded, get(path, "Content-Length: 0", method=method))
            if path in OPEN:
                assert answer.status in (200, 405), (method, path, answer)
            else:
                assert answer.status == 401, (method, path, answer)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert method == "HEAD" or answer.code == "no_key"


WRONG = [
    "",
    "x",
    API[:-1],
    API + "x",
    API.upper(),
    "null",
    "*",
    "0" * 32,
    "\xff" * 32,
    "a" * 4000,
    f"{API},{ADMIN}",
]


@pytest.mark.parametrize("key", WRONG, ids=lambda key: ascii(key[:40]))
def test_another_key_is_none(guarded: str, key: str) -> None:
    """A26: neither part of one nor two at once."""
    lines = (
        f"Authorization: Bearer {key}",
        f"X-API-Key: {key}",
        f"Authorization: Basic {key}",
        f"Cookie: {key}",
    )
    for line in lines:
        assert_refused(send(guarded, post("/classify?model=lamp", LIGHT, line)), 401, "no_key")
        assert_refused(send(guarded, get(f"/models?key={quote(key)}", line)), 401, "no_key")


def test_a_refused_body_is_not_read(guarded: str) -> None:
    """A26: who has no key cannot make the service keep anything."""
    head = get("/classify", "Content-Type: image/png", "Content-Length: 30000000", method="POST")
    assert_refused(send(guarded, head), 401, "no_key")


def test_keys_open_what_they_are_for(guarded: str) -> None:
    """A26: an API key asks, an admin key changes; encoded paths open nothing."""
    path = "/v2/repository/models/frame/unload"
    assert send(guarded, post("/classify?model=lamp", LIGHT, f"X-API-Key: {API}")).status == 200
    assert_refused(keyed(guarded, path, API, method="POST"), 403, "not_allowed")
    assert_refused(keyed(guarded, path, "x" * 32, method="POST"), 401, "no_key")
    for written in administrations():
        answer = keyed(guarded, written.replace("lamp", "frame"), API, method="POST")
        assert answer.status in (403, 404, 405), (written, answer)
    assert keyed(guarded, "/v2/models/frame", API).status == 200
    assert keyed(guarded, path, ADMIN, method="POST").status == 200
    assert_refused(keyed(guarded, "/v2/models/frame", API), 404, "unknown_model")
    assert keyed(guarded, path.replace("unload", "load"), ADMIN, method="POST").status == 200
    assert keyed(guarded, "/v2/models/frame", API).status == 200


@pytest.mark.parametrize("name", ["nope", "..", "../lamp", "lamp\0", "x" * 3000])
def test_an_admin_key_loads_nothing_from_elsewhere(guarded: str, name: str) -> None:
    """A26: names of what may be loaded are those of the repository's folders."""
    path = f"/v2/repository/models/{quote(name, safe='')}/load"
    answer = keyed(guarded, path, ADMIN, method="POST")
    assert answer.status == 404, answer
    text = b'{"parameters":{"file:1/model.onnx":"CAM=","config":"{}"}}'
    sent = post("/v2/repository/models/lamp/load", text, f"X-API-Key: {ADMIN}", kind="application/json")
    assert_refused(send(guarded, sent), 400, "bad_request")


def test_every_key_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A26: digests of one length, each of them, whether the first fits or none."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return bool(real(one, other))

    monkeypatch.setattr("service.access.hmac.compare_digest", noted)
    file = tmp_path / "keys"
    keys = [f"key-number-{i}-of-sixteen" for i in range(5)]
    file.write_text("\n".join(keys))
    allowed = Access(file, None)
    for key in (*keys, "key-number-7-of-sixteen", "x", "y" * 10_000):
        compared.clear()
        call = Call({"path": "/models", "state": {}}, None, "", 0.0, {b"x-api-key": key.encode()})  # type: ignore[arg-type]
        if key in keys:
            allowed.check(call)
        else:
            with pytest.raises(NoKey):
                allowed.check(call)
        assert len(compared) == len(keys)
        assert {len(part) for pair in compared for part in pair} == {32}


def test_no_key_is_told_to_anybody(guarded: str) -> None:
    """A26: neither in an answer nor in a metric nor in the process list."""
    for path in ("/metrics", "/models", "/docs.json", "/"):
        body = keyed(guarded, path, API).body.decode()
        assert API not in body
        assert ADMIN not in body
    assert all(API not in value for value in os.environ.values())


def test_an_admin_key_may_ask_too(guarded: str) -> None:
    """A26."""
    assert send(guarded, post("/classify?model=lamp", LIGHT, f"X-API-Key: {ADMIN}")).status == 200

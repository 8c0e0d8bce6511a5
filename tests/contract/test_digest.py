"""`Content-Digest` on every route: a body that was changed is refused, and answers have one where asked."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from models.digest import ALGORITHMS, digest_of
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import LIGHT, assert_error

PNG = {"content-type": "image/png"}
RAW = b'{"inputs":[{"name":"images","datatype":"UINT8","shape":[1,1,1,3],"data":[7,8,9]}]}'
BODIES: dict[str, tuple[str, bytes, Mapping[str, str]]] = {
    "typed": ("/classify", LIGHT, PNG),
    "infer": ("/v2/models/lamp/infer", RAW, {}),
    "infer, packed": ("/v2/models/lamp/infer", gzip.compress(RAW), {"content-encoding": "gzip"}),
    "repository": ("/v2/repository/index", b"{}", {}),
}
LOOKS = ("/models", "/v2", "/v2/models/lamp", "/livez", "/metrics", "/docs.json", "/v2/nothing")


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[TestClient]:
    with started(repository, poll_s=0) as client, documented(client):
        yield client


def sent(client: TestClient, name: str, told: str | None = None, **more: str) -> Any:
    path, body, headers = BODIES[name]
    digest = {} if told is None else {"content-digest": told}
    return client.post(path, content=body, headers={**headers, **digest, **more})


def right(content: bytes, algorithm: str = "sha-256") -> str:
    return asyncio.run(digest_of(content, algorithm))


@pytest.mark.parametrize("name", BODIES)
def test_a_changed_body_is_refused_and_may_be_sent_again(client: TestClient, name: str) -> None:
    refused = sent(client, name, right(BODIES[name][1] + b" "))
    assert_error(refused, 400, "digest_mismatch")
    assert refused.headers["retry-after"] == "0"
    assert sent(client, name, right(BODIES[name][1])).status_code == 200


@pytest.mark.parametrize("name", BODIES)
def test_what_is_said_of_other_algorithms_is_passed_over(client: TestClient, name: str) -> None:
    assert sent(client, name, "md5=:AAAA:").status_code == 200
    assert sent(client, name, right(BODIES[name][1], "sha-512")).status_code == 200
    assert_error(sent(client, name, "md5=:AAAA:, sha-512=:AAAA:"), 400, "digest_mismatch")


def test_what_is_no_picture_is_changed_first(client: TestClient) -> None:
    """Else a client would take it for a picture that nobody can read, and not ask again."""
    told = {**PNG, "content-digest": right(LIGHT)}
    assert_error(client.post("/classify", content=b"x" + LIGHT, headers=told), 400, "digest_mismatch")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", BODIES)
def test_an_answer_has_the_digest_that_is_wanted(client: TestClient, name: str, algorithm: str) -> None:
    answer = sent(client, name, **{"want-content-digest": f"{algorithm}=1"})
    assert answer.headers["content-digest"] == right(answer.content, algorithm)


@pytest.mark.parametrize("path", LOOKS)
def test_so_has_all_that_is_looked_at(client: TestClient, path: str) -> None:
    wanting = {"want-content-digest": "sha-256=1"}
    answer = client.get(path, headers=wanting)
    assert answer.headers["content-digest"] == right(answer.content)
    assert "content-digest" not in client.head(path, headers=wanting).headers


def test_nobody_pays_who_wants_none(client: TestClient) -> None:
    for told in ({}, {"want-content-digest": "sha-256=0"}, {"want-content-digest": "md5=10"}):
        assert "content-digest" not in sent(client, "typed", **told).headers


def test_an_answer_that_is_packed(client: TestClient) -> None:
    """The digest is of what is on the wire."""
    body = RAW.replace(b"[1,1,1,3]", b"[9,8,8,3]").replace(b"[7,8,9]", str([5] * 9 * 192).encode())
    wanting = {"want-content-digest": "sha-256=1", "accept-encoding": "gzip"}
    with client.stream("POST", "/v2/models/lamp/infer", content=body, headers=wanting) as answer:
        assert answer.headers["content-digest"] == right(b"".join(answer.iter_raw()))


def test_what_has_no_content_has_no_digest(client: TestClient) -> None:
    """A cache would take the digest of nothing for that of the page it holds."""
    path, wanting = "/static_content/index.css", {"want-content-digest": "sha-256=1"}
    noted, client.event_hooks = client.event_hooks, {}  # BentoML's own pages are in no document
    try:
        page = client.get(path, headers=wanting)
        known = client.get(path, headers={**wanting, "if-none-match": page.headers["etag"]})
    finally:
        client.event_hooks = noted
    assert page.headers["content-digest"] == right(page.content)
    assert (known.status_code, "content-digest" in known.headers) == (304, False)

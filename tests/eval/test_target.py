"""The right version is chosen, and nobody else's service is attacked."""

from __future__ import annotations

from typing import Any

import pytest

from eval.errors import EndpointError, EvalError, NotAuthorised
from eval.target import Access, authorise, choose


def served(name: str, version: int, **fields: Any) -> dict[str, Any]:
    claims = [{"metric": "accuracy", "value": 0.9, "data": "d", "support": 3}]
    facts = {"task": "classification", "labels": ["a"], "sha256": "0", "state": "ready", "error": None}
    return {"name": name, "version": version, "claims": claims, **facts, **fields}


TWO = [served("a", 2), served("a", 10), served("b", 1)]


def test_the_latest_by_number() -> None:
    assert choose(Access("u"), TWO, "a", None).version == 10
    assert choose(Access("u"), TWO, "a", 2).version == 2
    assert choose(Access("u"), TWO[2:], None, None).claims == {"accuracy": (0.9, "d")}


@pytest.mark.parametrize(
    ("model", "version", "words"),
    [
        (None, None, "serves a, b"),
        ("c", None, "no model 'c'"),
        ("a", 3, "no version 3 of 'a'; it serves 2, 10$"),
    ],
)
def test_what_is_not_there(model: str | None, version: int | None, words: str) -> None:
    with pytest.raises(EvalError, match=words):
        choose(Access("u"), TWO, model, version)


def test_a_model_that_failed_says_why() -> None:
    with pytest.raises(EvalError, match="a/1 is failed: broken"):
        choose(Access("u"), [served("a", 1, state="failed", error="broken")], "a", None)


def test_a_strange_service() -> None:
    with pytest.raises(EndpointError, match="cannot be read"):
        choose(Access("u"), [{"name": "a"}], "a", None)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000",
        "http://localhost",
        "http://[::1]:1",
        "http://assay.default.svc.cluster.local",
        "http://a.b.svc",
    ],
)
def test_near_hosts_may_be_attacked(url: str) -> None:
    authorise(url)


@pytest.mark.parametrize(
    "url",
    ["http://example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://svc",
     "http://localhost.example.com"],
)  # fmt: skip
def test_others_may_not(url: str) -> None:
    with pytest.raises(NotAuthorised, match="--authorised"):
        authorise(url)


@pytest.mark.parametrize("url", ["example.com", "localhost:3000", "http://", ""])
def test_what_names_no_host_is_not_told_to_be_authorised(url: str) -> None:
    with pytest.raises(EvalError, match="must be a URL such as") as refused:
        authorise(url)
    assert not isinstance(refused.value, NotAuthorised)


def test_unless_their_owner_agreed() -> None:
    authorise("http://example.com/x", ["example.com"])
    with pytest.raises(NotAuthorised):
        authorise("http://other.example.com", ["example.com"])

"""Bodies, hostile ones first: what is refused, in which words, and that no secret or path comes through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.data.tables import READERS
from eval.jobs.asked import ASKED, parse
from eval.jobs.catalogue import CatalogueError
from eval.jobs.commands import VERBS
from eval.jobs.errors import BadBody, BadParameter, HostNotAllowed, JobError, UnknownName
from eval.jobs.hosts import Hosts
from eval.jobs.states import Kind
from tests.eval.jobs.bodies import GOOD, arguments, commands, endpoint

URLS = (
    *(
        "file:///etc/passwd",
        "ftp://127.0.0.1",
        "http://",
        "http:///x",
        "//127.0.0.1",
        "127.0.0.1:3000",
        "http://[::1",
    ),
    *("http://127.0.0.1:0", "http://127.0.0.1:70000", "http://127.0.0.1:3000/?q=1", "http://127.0.0.1/#x"),
    *(
        "http://user:secret@127.0.0.1",
        "http://evil.example\\@127.0.0.1",
        "http://127.0.0.1\n.evil.example",
        "",
    ),
    *(
        "http://127.0.0.1%2eevil.example",
        "http://\uff11\uff12\uff17.0.0.1",
        "http://127.0.0.1 --data=tar:/etc",
        "http://[]:80",
    ),
)


@pytest.mark.parametrize("url", URLS)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(BadParameter, match=r"^endpoint.url: "):
        arguments(**endpoint(url=url))


FAR = (
    *("http://example.com", "http://169.254.169.254/latest", "http://10.0.0.1", "http://0.0.0.0:3000"),
    *("http://127.1", "http://2130706433", "http://0x7f.0.0.1", "http://localhost.evil.example"),
    *("http://127.0.0.1.evil.example", "http://evilsvc", "http://svc", "https://metadata.google.internal"),
    *("http://[::ffff:169.254.169.254]", "http://[fe80::1]"),
)


@pytest.mark.parametrize("kind", ["evaluation", "audit"])
@pytest.mark.parametrize("url", FAR)
def test_hosts_the_operator_did_not_name_are_refused(url: str, kind: Kind) -> None:
    with pytest.raises(HostNotAllowed, match="ASSAY_EVAL_"):
        arguments(kind, **endpoint(url=url))


NEAR = (
    "http://localhost:3000/",
    "http://[::1]:3000/v2",
    "http://a.b.svc",
    "https://LOCALHOST.",
    "http://x.svc.cluster.local",
)


@pytest.mark.parametrize("url", NEAR)
def test_this_machine_and_the_cluster_are_allowed(url: str) -> None:
    assert arguments(**endpoint(url=url))[2] == url


def test_each_kind_has_its_own_list() -> None:
    made = commands(hosts="a.example,b.example:8080", audit_hosts="c.example")
    assert arguments(made=made, **endpoint(url="http://a.example"))
    assert arguments(made=made, **endpoint(url="http://b.example:8080"))
    assert "--authorised=c.example" in arguments("audit", made, **endpoint(url="https://c.example"))
    for kind, url in (
        ("evaluation", "http://b.example"), ("evaluation", "http://c.example"), ("evaluation", "http://localhost"),
        ("audit", "http://a.example"), ("audit", "http://127.0.0.1"),
    ):  # fmt: skip
        with pytest.raises(HostNotAllowed):
            arguments(kind, made, **endpoint(url=url))  # type: ignore[arg-type]  # of the literals above


@pytest.mark.parametrize("text", ["http://a", "a b", "*.example", "a:b", ".", "[::1", "a/b", "a:1:2"])
def test_a_list_of_hosts_holds_hosts_only(text: str) -> None:
    with pytest.raises(ValueError, match="must be NAME"):
        Hosts.parse(text)


def test_a_list_of_hosts_is_written_as_it_is_read() -> None:
    text = "a.example:80,.svc,[::1],[::1]:3000"
    assert str(Hosts.parse(text)) == text
    assert Hosts.parse(" ,, ").entries == ()


@pytest.mark.parametrize(
    "data", [f"{kind}:/etc/passwd" for kind in READERS if kind not in ("digits", "scenes")]
)
def test_no_reader_is_given_a_path_of_the_callers(data: str) -> None:
    with pytest.raises(BadParameter, match=r"^data: "):
        arguments(data=data)


DATA = (
    "..",
    "a/../b",
    "/etc/passwd",
    "http://x",
    "$HOME",
    "folder:x",
    "digits:test:1",
    "scenes:test:0",
    "scenes:x",
    "nix",
)


@pytest.mark.parametrize("data", DATA)
def test_data_is_a_name_that_is_known(data: str) -> None:
    with pytest.raises((BadParameter, UnknownName)):
        arguments(data=data)


def test_names_stand_for_what_the_operator_says(tmp_path: Path) -> None:
    (tmp_path / "sets.yaml").write_text("holdout: coco:/data/a.json,/data/images\nsmall: scenes:test:20\n")
    (tmp_path / "forms").mkdir()
    (tmp_path / "forms" / "theirs.yaml").touch()
    made = commands(data_file=tmp_path / "sets.yaml", forms_dir=tmp_path / "forms")
    assert "--data=coco:/data/a.json,/data/images" in arguments(made=made, data="holdout")
    assert made.catalogue.names[-2:] == ["holdout", "small"]
    told = arguments(made=made, **endpoint(protocol="template", template="theirs"))
    assert {"--endpoint=template", f"--template={tmp_path / 'forms' / 'theirs.yaml'}"} <= set(told)
    for name in ("other", "../forms/theirs", "theirs.yaml", ""):
        with pytest.raises((UnknownName, BadParameter)):
            arguments(made=made, **endpoint(protocol="template", template=name))
    with pytest.raises(UnknownName):
        arguments(made=made, **endpoint(card="theirs"))


@pytest.mark.parametrize(
    "text", ["[1]", "{", "a/b: digits:test", "a: /etc", "a: 1", "1: digits:test", "digits:test: x"]
)
def test_a_wrong_file_of_data_is_told_at_the_start(text: str, tmp_path: Path) -> None:
    (tmp_path / "sets.yaml").write_text(text)
    with pytest.raises(CatalogueError, match=r"sets\.yaml"):
        commands(data_file=tmp_path / "sets.yaml")


HEADERS: tuple[tuple[str, str], ...] = (
    ("Authorization", "Bearer s3cr3t"), ("authorization", "s3cr3t"), ("X-API-Key", "s3cr3t"),
    ("Cookie", "s3cr3t"), ("X-Session", "s3cr3t"), ("X-Harmless", "Bearer s3cr3t"), ("X-Safe", "eyJs3cr3t"),
    ("Ocp-Pass", "s3cr3t"), ("X-Harmless", "s3cr3t" * 7), ("X-API-Key", "$HOME"), ("X-Harmless", "$HOME"),
    ("X-Harmless", "a${s3cr3t}"), ("X-API-Key", "$ASSAY_EVAL_SECRET_A$HOME"), ("Host", "s3cr3t"),
    ("X-API-Key", "$ASSAY_EVAL_API_KEYS_FILE"), ("X-A", "a\r\nX-B: s3cr3t"), ("X A", "s3cr3t"),
    ("Transfer-Encoding", "chunked"), ("Content-Length", "0"), ("X-Forwarded-For", "127.0.0.1"),
    ("X-Assay-Run", "s3cr3t"), ("", "x"), ("X-A", "x" * 300),
)  # fmt: skip


@pytest.mark.parametrize(("name", "value"), HEADERS)
def test_a_secret_in_a_header_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(BadParameter) as refused:
        arguments(**endpoint(headers={name: value}))
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["$ASSAY_EVAL_SECRET_KEY", "Bearer $ASSAY_EVAL_SECRET_KEY", "Basic $ASSAY_EVAL_SECRET_A1_B"]
)
def test_a_secret_is_named_and_passed_on_by_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="the operator has set no"):
        arguments(**endpoint(headers={"Authorization": value}))
    monkeypatch.setenv(value.partition("$")[2], "s3cr3t")
    assert f"--header=Authorization={value}" in arguments(**endpoint(headers={"Authorization": value}))
    assert "--header=X-Tenant=team a" in arguments(**endpoint(headers={"X-Tenant": "team a"}))


FIELDS: tuple[tuple[str, Any], ...] = (
    ("version", 0), ("version", "1"), ("version", 1.5), ("version", True), ("limit", 0), ("limit", -1),
    ("batch", 999), ("model", "../x"), ("model", "--out=/etc"), ("model", ""), ("model", 1), ("unknown", 1),
    ("out", "/etc"), ("resume", False), ("data", None), ("data", ["digits:test"]), ("endpoint", "http://127.0.0.1"),
    ("endpoint", None), ("limit", 10**9), ("limit", 10**30),
)  # fmt: skip


@pytest.mark.parametrize(("name", "value"), FIELDS)
def test_a_wrong_field_is_named(name: str, value: Any) -> None:
    with pytest.raises(BadParameter):
        arguments(**{name: value})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"1", b"{", b"\xff", b'{"a":1}}', b"[" * 50_000, b'{"a":' * 50_000]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises((BadBody, BadParameter)):
        parse("evaluation", body)


@pytest.mark.parametrize(
    "text", ['"epsilon": NaN', '"epsilon": Infinity', '"epsilon": 1e999', '"seed": -1', '"attacks": "a"']
)
def test_numbers_are_numbers(text: str) -> None:
    with pytest.raises((BadBody, BadParameter)):
        parse("audit", json.dumps(GOOD).encode()[:-1] + f", {text}}}".encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for model in ASKED.values() for name in model.model_fields} | {"url", "headers", "x"})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ASKED)), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5))
def test_whatever_comes_is_a_command_or_an_error_of_ours(kind: Kind, fields: dict[str, Any]) -> None:
    try:
        told = arguments(kind, **fields)
    except JobError as error:
        if error.status >= 500:
            raise
        return
    assert told[:2] == ["assay", VERBS[kind]]
    assert all(word.startswith("--") for word in told[4:])

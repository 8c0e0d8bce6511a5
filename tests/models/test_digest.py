"""RFC 9530: digests are those of its examples, changes are found, and what is not known says nothing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import digest
from models.digest import ALGORITHMS, digest_of, is_intact, wanted_of

HELLO = b'{"hello": "world"}\n'  # of the RFC, appendix B and D
TOLD = {
    "sha-256": "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    "sha-512": "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T"
    "3qg==:",
}


def intact(told: str, content: bytes = HELLO) -> bool:
    return asyncio.run(is_intact(told, content))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_examples_of_the_rfc(algorithm: str) -> None:
    assert asyncio.run(digest_of(HELLO, algorithm)) == TOLD[algorithm]
    assert intact(TOLD[algorithm])
    assert not intact(TOLD[algorithm], HELLO + b"\n")


INTACT = {
    "nothing": "",
    "one that is not known": "md5=:AAAA:",
    "an insecure one": "unixsum=30637, adler=:AAAA:",
    "both": f"{TOLD['sha-512']}, {TOLD['sha-256']}",
    "no spaces": f"{TOLD['sha-512']},{TOLD['sha-256']}",
    "parameters": f"{TOLD['sha-256']};p=1",
    "no padding": TOLD["sha-256"].replace("=:", ":").replace("256:", "256=:"),
}
CHANGED = {
    "another": TOLD["sha-256"].replace("RK", "RL"),
    "one of two": f"{TOLD['sha-512']}, {TOLD['sha-256'].replace('RK', 'RL')}",
    "the other's": TOLD["sha-512"].replace("512", "256"),
    "garbage": "sha-256=:\xff\x00,:",
    "no value": "sha-256",
    "no colons": TOLD["sha-256"].replace(":", ""),
    "less of it": TOLD["sha-256"][:30],
}


@pytest.mark.parametrize("name", INTACT)
def test_intact(name: str) -> None:
    assert intact(INTACT[name])


@pytest.mark.parametrize("name", CHANGED)
def test_changed(name: str) -> None:
    assert not intact(CHANGED[name])


def test_a_content_is_read_once_whatever_the_header_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one request with a long header costs as much as thousands."""
    read: list[str] = []

    async def noted(content: bytes, algorithm: str) -> str:
        read.append(algorithm)
        return await digest_of(content, algorithm)

    monkeypatch.setattr(digest, "digest_of", noted)
    wrong = TOLD["sha-256"].replace("RK", "RL")
    assert intact(", ".join([wrong, *[TOLD["sha-256"], TOLD["sha-512"]] * 100]))  # the last counts
    assert sorted(read) == ["sha-256", "sha-512"]
    assert not intact(f"{TOLD['sha-256']}, {wrong}")


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_bit_is_missed(content: bytes, data: st.DataObject) -> None:
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    other = bytearray(content)
    other[at] ^= 1 << bit
    told = asyncio.run(digest_of(content))
    assert intact(told, content)
    assert not intact(told, bytes(other))


@given(st.text(max_size=60))
def test_any_header_can_be_read(told: str) -> None:
    assert intact(told) in (True, False)
    assert wanted_of(told) in (None, *ALGORITHMS)


def test_a_large_content_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "LARGE_BYTES", 3)
    assert asyncio.run(digest_of(HELLO)) == TOLD["sha-256"]


@pytest.mark.parametrize(
    ("told", "algorithm"),
    [
        ("sha-256=1", "sha-256"),
        ("sha-512=3, sha-256=10, unixsum=0", "sha-256"),  # of the RFC
        ("sha-256=3,sha-512=10", "sha-512"),
        ("sha-256=5, sha-512=5", "sha-256"),
        ("md5=10, sha-512=1", "sha-512"),
        ("sha-256=0", None),
        ("sha-256=11", None),
        ("sha-256=-1", None),
        ("sha-256=high", None),
        ("sha-256", None),
        ("md5=10", None),
        ("", None),
    ],
)
def test_what_is_wanted(told: str, algorithm: str | None) -> None:
    assert wanted_of(told) == algorithm

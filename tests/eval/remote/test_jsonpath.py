"""Paths lead where they say, and tell where they end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.remote.jsonpath import Missed, Path

TOLD: Any = {
    "a": {"b": [{"c": 1, "d e": 2}, {"c": 3, "d e": 4}], "none": None},
    "list": [[1, 2], [3]],
    "": 5,
    "0": "zero",
}
FOUND = {
    "$": TOLD,
    "$.a.b[0].c": 1,
    "$.a.b[-1].c": 3,
    "$.a.b[*].c": [1, 3],
    "$.a['b'][1][\"d e\"]": 4,
    "$.list[*]": [[1, 2], [3]],
    "$.list[*][*]": [[1, 2], [3]],
    "$.list[*][0]": [1, 3],
    "$['0']": "zero",
    "$.a.none": None,
}


@pytest.mark.parametrize("text", FOUND)
def test_a_path_leads_there(text: str) -> None:
    assert Path.read(text).follow(TOLD) == FOUND[text]


MISSED = {
    "$.b": "at $ there is an object with 'a', 'list'",
    "$.a.b.c": "at $.a.b there is a list of 2",
    "$.a.b[2]": "at $.a.b there is a list of 2",
    "$.a.b[-3]": "at $.a.b there is a list of 2",
    "$.a[0]": "at $.a there is an object with 'b', 'none'",
    "$.a[*]": "at $.a there is an object",
    "$.a.none.x": "at $.a.none there is None",
    "$.a.b[*].x": r"at $.a.b[*] there is an object with 'c', 'd e'",
    "$['0'][0]": "at $.0 there is 'zero'",
    "$['0'].length": "at $.0 there is 'zero'",
}


@pytest.mark.parametrize("text", MISSED)
def test_a_path_that_misses_says_what_is_there(text: str) -> None:
    with pytest.raises(Missed) as caught:
        Path.read(text).follow(TOLD)
    assert str(caught.value).startswith(f"{text} leads to nothing: {MISSED[text]}")


@pytest.mark.parametrize(
    "text",
    ["", "a", "$a", "$.", "$..a",
     "$.*", "$[", "$[]", "$[1:2]", "$['a'", "$[?(@.a)]", "$ .a", "$.a ", "$[1.5]",
     "$" + ".a" * 33, "$['a\\'b']", "$[\u0661]", "$.a\n"],
)  # fmt: skip
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="a path must"):
        Path.read(text)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
steps = st.lists(st.sampled_from([".a", ".b", "['c']", "[0]", "[-1]", "[*]"]), max_size=5)


def slow(value: Any, steps: list[str]) -> Any:
    """By hand, a step at a time."""
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if first == "[*]":
        if type(value) is not list:
            raise LookupError
        return [slow(one, rest) for one in value]
    if first in ("[0]", "[-1]"):
        if type(value) is not list or not value:
            raise LookupError
        return slow(value[0 if first == "[0]" else len(value) - 1], rest)
    name = first.strip(".[]'")
    if type(value) is not dict or name not in value:
        raise LookupError
    return slow(value[name], rest)


@given(json, steps)
def test_as_by_hand(value: Any, steps: list[str]) -> None:
    path = Path.read("$" + "".join(steps))
    try:
        expected = slow(value, steps)
    except LookupError:
        with pytest.raises(Missed):
            path.follow(value)
    else:
        assert path.follow(value) == expected


@given(st.text(alphabet="$.[]*'\"ab01-\\ \n", max_size=12), json)
def test_any_text_is_a_path_or_an_error(text: str, value: Any) -> None:
    try:
        path = Path.read("$" + text)
    except ValueError:
        return
    try:
        path.follow(value)
    except Missed as missed:
        told = str(missed)
    else:
        return
    assert len(told) < 500

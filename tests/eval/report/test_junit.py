"""JUnit XML: what CI systems count, whatever the checks say."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.report.document import Check, Verdict
from eval.report.junit import junit

CHECKS = [Check(f"is {verdict}", verdict, f"says {verdict}", "more") for verdict in get_args(Verdict)]
TEXT = st.text(st.characters(codec=None))  # lone surrogates and control characters too


def suite(text: str) -> ET.Element:
    root = ET.fromstring(text.encode("utf-8"))
    assert root.tag == "testsuites"
    (only,) = root
    return only


def test_only_a_pass_is_green() -> None:
    told = suite(junit("gate", CHECKS, 1.5))
    assert told.attrib == {
        "name": "gate", "tests": "4", "failures": "2", "errors": "1", "skipped": "0", "time": "1.500",
    }  # fmt: skip
    states = {case.attrib["name"]: [child.tag for child in case] for case in told}
    assert states == {
        "is pass": ["system-out"],
        "is fail": ["failure"],
        "is inconclusive": ["failure"],
        "is error": ["error"],
    }
    kinds = [case[0].attrib.get("type") for case in told]
    assert kinds == [None, "fail", "inconclusive", "error"]
    assert told[1][0].attrib["message"] == "says fail"
    assert told[1][0].text == "says fail\nmore"


def test_no_checks_make_an_empty_suite_without_a_time() -> None:
    text = junit("gate", [])
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert "time=" not in text
    assert suite(text).attrib["tests"] == "0"


@given(st.lists(st.builds(Check, TEXT, st.sampled_from(get_args(Verdict)), TEXT, TEXT), max_size=4), TEXT)
def test_any_text_makes_a_well_formed_file(checks: list[Check], name: str) -> None:
    told = suite(junit(name, checks))
    assert len(told) == len(checks)


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\ud800b", "a\uffffb"])
def test_what_xml_cannot_hold_is_marked(text: str) -> None:
    (case,) = suite(junit("x", [Check(text, "pass", "")]))
    assert case.attrib["name"] == "a\ufffdb"


def test_markup_stays_text() -> None:
    evil = "</failure><testcase name='x'/>&]]>"
    (case,) = suite(junit("x", [Check(evil, "fail", evil, evil)]))
    assert case.attrib["name"] == case[0].attrib["message"] == evil
    assert len(case[0]) == 0

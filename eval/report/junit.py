"""Checks as JUnit XML, the form every CI system reads."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence

from eval.report.document import Check

__all__ = ["junit"]

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by XML 1.0


def junit(name: str, checks: Sequence[Check], seconds: float | None = None) -> str:
    """One test suite, one test case a check, in their order.

    A failed check is a `<failure type="fail">`; one that could not be asked an `<error>`. What the data
    cannot tell is a `<failure type="inconclusive">`: CI systems count a skipped test as passed, and a
    gate that could not decide must not open. Characters XML cannot hold become U+FFFD.

    Args:
        seconds: how long it took; left out, equal verdicts give equal bytes.
    """
    count = Counter(check.verdict for check in checks)
    told = {
        "name": _clean(name),
        "tests": str(len(checks)),
        "failures": str(count["fail"] + count["inconclusive"]),
        "errors": str(count["error"]),
        "skipped": "0",
    }
    if seconds is not None:
        told["time"] = f"{seconds:.3f}"
    root = ET.Element("testsuites", told)
    suite = ET.SubElement(root, "testsuite", told)
    for check in checks:
        case = ET.SubElement(suite, "testcase", {"classname": told["name"], "name": _clean(check.name)})
        text = "\n".join(filter(None, (check.message, check.details)))
        if check.verdict == "pass":
            ET.SubElement(case, "system-out").text = _clean(text)
            continue
        kind = "error" if check.verdict == "error" else "failure"
        result = ET.SubElement(case, kind, {"type": check.verdict, "message": _clean(check.message)})
        result.text = _clean(text)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return FORBIDDEN.sub("\ufffd", text)

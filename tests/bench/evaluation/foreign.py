"""Servers that are not ours, evaluated by configuration alone: how many gave the very same scores."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from eval.served import ROOT

__all__ = ["measure"]

TESTS = ("tests/e2e/test_foreign_servers.py", "tests/e2e/test_other_ways.py")


def measure() -> dict[str, float | int | None]:
    """`foreign.*`: tests that compare every score of a foreign server with the same model in this process."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={told}", *TESTS]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=False)
        cases = list(ET.parse(told).getroot().iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    for case in cases:
        state = "FAILED" if case in bad else "skipped" if case in skipped else "same scores"
        print(f"{case.get('name', ''):60} {state}")
    same = len(cases) - len(bad) - len(skipped)
    return {"foreign.same": same, "foreign.failed": len(bad), "foreign.skipped": len(skipped)}

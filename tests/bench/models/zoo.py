"""The models learnt from real sets, measured through HTTP on the sets' held-out parts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.claims import held_out
from eval.errors import EvalError
from eval.runs import evaluate
from eval.served import ROOT, served
from models.cli import ZOO
from models.repository import read_version

DATA = Path(os.environ.get("ASSAY_DATA_DIR", ROOT.parent / "shared" / "data")).resolve()
WORK = ROOT / "runs" / "train"
MADE = ROOT / "runs" / "zoo"  # of versions that are not shipped


@dataclass(frozen=True)
class Real:
    """A model, the folder of what it was learnt from, and the figure that counts; its card names the data."""

    model: str
    folder: str
    figure: str


REAL: Mapping[str, Real] = {
    "cifar10.accuracy": Real("cifar10", "cifar10_jpeg", "accuracy"),
    "bccd.ap50": Real("bccd", "bccd", "ap50"),
    "camvid.miou": Real("camvid", "camvid", "miou"),
}


def measure() -> dict[str, float | None]:
    """Each figure, or None where its data is absent; a version that is not shipped is trained first."""
    os.environ["ASSAY_DATA_DIR"] = str(DATA)
    told: dict[str, float | None] = {}
    for name, real in REAL.items():
        if not (DATA / real.folder).is_dir():
            print(f"{name}: null, {DATA / real.folder} is not there; set ASSAY_DATA_DIR")
            told[name] = None
            continue
        told[name] = _measured(real)
        print(f"{name}: {told[name]:.4f}")
    return told


def _measured(real: Real) -> float | None:
    source = ZOO if (ZOO / real.model / "1" / "card.json").is_file() else _made(real.model)
    data = held_out(read_version(source / real.model / "1").card)
    if data is None:
        raise EvalError(f"the card of {real.model}/1 must name the data it is measured on")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / real.model).mkdir()
        (Path(folder) / real.model / "1").symlink_to(source / real.model / "1", target_is_directory=True)
        with served(model_repository=folder) as url:
            report = asyncio.run(evaluate(url, data, model=real.model, number=1))
    return report.figures[f"{real.model}.1.{real.figure}"]


def _made(model: str) -> Path:
    """The repository with a version that may not be shipped; trained by its recipe where it is not there."""
    if not (MADE / model / "1" / "card.json").is_file():
        print(f"{model} is not shipped: training it by its recipe")
        for path in ZOO.glob("scenes-detector/1"):  # what it starts from
            (MADE / "scenes-detector").mkdir(parents=True, exist_ok=True)
            if not (MADE / "scenes-detector" / "1").exists():
                (MADE / "scenes-detector" / "1").symlink_to(path.resolve(), target_is_directory=True)
        command = [
            sys.executable,
            "-m",
            "models.export",
            f"{model}-1",
            "--out",
            str(MADE),
            "--work",
            str(WORK),
        ]
        subprocess.run(command, cwd=ROOT, check=True)
    return MADE

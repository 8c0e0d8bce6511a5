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
from string import Template

from eval.runs import evaluate
from eval.served import ROOT, served
from models.cli import ZOO

DATA = Path(os.environ.get("ASSAY_DATA_DIR", ROOT.parent / "shared" / "data")).resolve()
WORK = ROOT / "runs" / "train"
MADE = ROOT / "runs" / "zoo"  # of versions that are not shipped


@dataclass(frozen=True)
class Real:
    """A model, the data it is measured on, and the figure that counts."""

    model: str
    folder: str
    data: str
    figure: str


REAL: Mapping[str, Real] = {
    "cifar10.accuracy": Real(
        "cifar10", "cifar10_jpeg", "tar:$ASSAY_DATA_DIR/cifar10_jpeg/test_a.tar.gz", "accuracy"
    ),
    "bccd.ap50": Real("bccd", "bccd", "voc:$ASSAY_DATA_DIR/bccd/BCCD,val", "ap50"),
    "camvid.miou": Real(
        "camvid",
        "camvid",
        "masks:$ASSAY_DATA_DIR/camvid/val,$ASSAY_DATA_DIR/camvid/valannot,models/export/recipes/camvid.txt",
        "miou",
    ),
}


def measure() -> dict[str, float | None]:
    """Each figure, or None where its data is absent; a version that is not shipped is trained first."""
    told: dict[str, float | None] = {}
    for name, real in REAL.items():
        if not (DATA / real.folder).is_dir():
            print(f"{name}: null, {DATA / real.folder} is not there; set ASSAY_DATA_DIR")
            told[name] = None
            continue
        told[name] = _measured(real)
        print(f"{name}: {told[name]:.4f} on {_named(real)}")
    return told


def _named(real: Real) -> str:
    return Template(real.data).substitute(ASSAY_DATA_DIR=DATA)


def _measured(real: Real) -> float | None:
    source = ZOO if (ZOO / real.model / "1" / "card.json").is_file() else _made(real.model)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / real.model).mkdir()
        (Path(folder) / real.model / "1").symlink_to(source / real.model / "1", target_is_directory=True)
        with served(model_repository=folder) as url:
            report = asyncio.run(evaluate(url, _named(real), model=real.model, number=1))
    return report.figures[f"{real.model}.1.{real.figure}"]


def _made(model: str) -> Path:
    """The repository with a version that may not be shipped; trained by its recipe where it is not there."""
    if not (MADE / model / "1" / "card.json").is_file():
        print(f"{model} is not shipped: training it by its recipe")
        environment = {**os.environ, "ASSAY_DATA_DIR": str(DATA)}
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
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return MADE

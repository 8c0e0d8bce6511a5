"""`assay-models optimise` is there once the project is installed, and says in a line what is wrong."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from eval.optimise.command import add_commands
from eval.optimise.plan import Plan
from models.cli import main

ROOT = Path(__file__).resolve().parents[3]


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    return parser.parse_args(["optimise", "digits", "--calibration", "a:b", "--data", "c:d", *words])


def test_options_are_the_plan_s() -> None:
    told = parsed("--margin", "0.02", "--calibration-images", "7", "--only", "fp16")
    names = {name for name in Plan.__dataclass_fields__ if hasattr(told, name)}
    assert names == set(Plan.__dataclass_fields__)
    assert (told.margin, told.calibration_images, told.keep) == (0.02, 7, False)
    assert told.rounds == Plan("", "").rounds


def test_the_project_declares_the_command() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, _, name = told["project"]["entry-points"]["assay_models.commands"]["eval"].partition(":")
    assert getattr(import_module(module), name) is add_commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "no model 'nobody'"),
        (["lamp/9"], "no version '9' of 'lamp'"),
        (["lamp", "--rounds", "2"], "rounds must be 5 to 1000"),
        (["lamp"], "csv must name a file"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], said: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--calibration", "csv:/nowhere", "--data", "csv:/nowhere"]
    code = main(["--repository", str(repository), "optimise", *words, *data])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 1
    assert said in lines[-1]
    assert lines[-1].startswith("Error: ")


def test_the_command_line_needs_no_heavy_library() -> None:
    """Listing models must not pay for what only `optimise` uses."""
    look = (
        "import sys; from models.cli import _parser; _parser(); "
        "print([m for m in ('onnx', 'aiohttp', 'torch', 'onnxruntime.quantization') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

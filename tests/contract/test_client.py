"""Service and client together: the evaluation of a live endpoint, from bytes to report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from eval.cli import cli
from models.decoding import encode_png
from tests.e2e.processes import running_service


@pytest.fixture(scope="module")
def url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("home"), model_repository=repository) as url:
        yield url


@pytest.fixture(scope="module")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, dim and light, two of each in the wrong folder: accuracy 0.9."""
    root = tmp_path_factory.mktemp("lamps")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dim", "light")):
        (root / name).mkdir()
        for i in range(20):
            level = (60, 190)[label ^ (i < 2)]
            image = np.clip(rng.normal(level, 5, (12, 18, 3)), 0, 255).astype(np.uint8)
            (root / name / f"{i:02d}.png").write_bytes(encode_png(image))
    return root


def assay(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def report_of(folder: Path) -> dict[str, object]:
    body: dict[str, object] = json.loads((folder / "report.json").read_text())
    return body


def test_evaluate(url: str, lamps: Path, tmp_path: Path) -> None:
    result = assay("evaluate", url, "--model", "lamp", "--data", f"folder:{lamps}", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "lamp/2 on" in result.output
    figures = report_of(tmp_path)["figures"]
    assert isinstance(figures, dict)
    assert figures["lamp.2.accuracy"] == 0.9
    assert figures["lamp.2.errors"] == 0
    page = (tmp_path / "report.html").read_text()
    assert "0.9000" in page
    assert "Where it is wrong" in page
    assert "0.9000" in (tmp_path / "report.md").read_text()


def test_batches_and_concurrency_change_no_number(url: str, lamps: Path, tmp_path: Path) -> None:
    told = []
    for batch, concurrency in ((1, 1), (7, 3), (64, 8)):
        out = tmp_path / f"{batch}"
        where = ["--model", "lamp", "--data", f"folder:{lamps}", "--out", out]
        assay("evaluate", url, *where, "--batch", batch, "--concurrency", concurrency)
        told.append((report_of(out)["figures"], report_of(out)["sections"]))
    assert told[0] == told[1] == told[2]


def test_audit(url: str, lamps: Path, tmp_path: Path) -> None:
    """A lamp is its mean level: at 150 levels every picture can be moved across, at 2 none."""
    robust = {}
    for epsilon in (2, 150):
        out = tmp_path / str(epsilon)
        words = [
            "--model",
            "lamp",
            "--data",
            f"folder:{lamps}",
            "--epsilon",
            epsilon,
            "--budget",
            250,
            "--out",
            out,
        ]
        result = assay("audit", url, *words, "--samples", 30, "--corruptions", "contrast")
        assert result.exit_code == 0, result.output
        figures = report_of(out)["figures"]
        assert isinstance(figures, dict)
        robust[epsilon] = figures["audit.lamp.2.robust_accuracy"]
        assert figures["audit.lamp.2.reverify_rate"] in (None, 1)
    assert robust[2] == pytest.approx(26 / 30)  # all that are right when clean
    assert robust[150] <= 0.1
    page = (tmp_path / "150" / "report.html").read_text()
    assert "Surest successes" in page
    assert "Trust flags" in page


def test_an_audit_is_the_same_again(url: str, lamps: Path, tmp_path: Path) -> None:
    words = [
        "--model",
        "lamp",
        "--data",
        f"folder:{lamps}",
        "--epsilon",
        70,
        "--budget",
        40,
        "--corruptions",
        "",
    ]
    one = [*words, "--samples", 12, "--batch", 64, "--in-flight", 4, "--out", tmp_path / "a"]
    other = [*words, "--samples", 12, "--batch", 5, "--in-flight", 1, "--out", tmp_path / "b"]
    assay("audit", url, *one)
    assay("audit", url, *other)
    assert report_of(tmp_path / "a")["sections"] == report_of(tmp_path / "b")["sections"]


def test_a_broken_picture_is_counted_apart_and_alone(url: str, lamps: Path, tmp_path: Path) -> None:
    """1 of 41 is over 1 %: the run is done, shown, saved, and not valid."""
    data = tmp_path / "data"
    shutil.copytree(lamps, data)
    (data / "dim" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = assay(
        "evaluate", url, "--model", "lamp", "--data", f"folder:{data}", "--batch", 16, "--out", out
    )
    assert result.exit_code == 3
    figures = report_of(out)["figures"]
    assert isinstance(figures, dict)
    assert figures["lamp.2.errors"] == 1
    assert figures["lamp.2.accuracy"] == 0.9  # of the forty that were answered
    assert "not valid" in (out / "report.html").read_text()


def test_nothing_answered_is_no_report(url: str, tmp_path: Path) -> None:
    for name in ("dim", "light"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "broken.png").write_bytes(b"no picture")
    result = assay("evaluate", url, "--model", "lamp", "--data", f"folder:{tmp_path}")
    assert result.exit_code == 1
    assert "no image was answered" in result.output


def test_models_are_shown(url: str) -> None:
    result = assay("models", url)
    assert result.exit_code == 0
    assert "lamp/2" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "URL", "--data", "folder:DATA"], "name the model with --model"),
        (["evaluate", "URL", "--model", "no", "--data", "folder:DATA"], "serves no model 'no'"),
        (["evaluate", "URL", "--model", "lamp", "--data", "folder:/nowhere"], "there must be a folder"),
        (["evaluate", "URL", "--model", "frame", "--data", "folder:DATA"], "is for classification"),
        (["evaluate", "URL", "--model", "lamp", "--data", "digits:test"], "the model has no class '0'"),
        (["audit", "URL", "--model", "frame", "--data", "folder:DATA"], "is for classification"),
        (
            ["audit", "URL", "--model", "lamp", "--data", "folder:DATA", "--attacks", "magic"],
            "attack must be one of",
        ),
        (
            ["audit", "http://example.com", "--model", "lamp", "--data", "folder:DATA"],
            "--authorised example.com",
        ),
        (["models", "http://127.0.0.1:9"], "is the service running"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(url: str, lamps: Path, words: list[str], told: str) -> None:
    result = assay(*(word.replace("URL", url).replace("DATA", str(lamps)) for word in words))
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["evaluate", "audit", "parity", "models"])
def test_help_is_complete(command: str) -> None:
    result = assay(command, "--help")
    assert result.exit_code == 0
    for option in cli.commands[command].params:
        if isinstance(option, click.Option):
            assert option.help, f"--{option.name} says nothing"

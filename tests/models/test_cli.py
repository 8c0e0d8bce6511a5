"""`assay-models` says what there is, and what is wrong with it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from models import cli
from models.cli import main

COMMANDS = ("list", "show", "check", "import", "get", "remove")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture
def copied(repository: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(repository, tmp_path / "copied"))


def test_list(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--repository", str(repository), "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["frame/1", "lamp/1", "lamp/2", "shade/1"]


def test_show_draws_the_contract(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--repository", str(repository), "show", "lamp")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("lamp/2")
    steps = [line.split()[0] for line in lines[2:] if line.startswith("  ")]
    assert steps == ["picture", "|", "pixels", "|", "images", "|", "logits", "|", "answer"]
    for told in (
        "stretched to 8 x 8 (bilinear), aspect not kept",
        "level / 255",
        "float32 (N, 3, 8, 8), up to 4 at once",
        "float32 (any, 2)",
        "read as logits: one output (N, C) of floats: class scores before softmax",
        "labels        2: dim, light",
    ):
        assert told in out, told
    assert run(capsys, "--repository", str(repository), "show", "lamp/1")[1].startswith("lamp/1")
    frame = run(capsys, "--repository", str(repository), "show", "frame")[1]
    assert "overlaps above 0.6 suppressed" in frame
    assert "boxes (pixels of the picture as sent)" in frame


def test_check(repository: Path, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--repository", str(repository), "check")
    assert code == 0
    assert len(out.splitlines()) == 4
    (copied / "lamp" / "1" / "model.onnx").write_bytes(b"x")
    code, _, err = run(capsys, "--repository", str(copied), "check")
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert run(capsys, "--repository", str(copied), "check", "lamp/2")[:2] == (
        0,
        "lamp/2: digest and golden pair hold\n",
    )


def test_wrong_names(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("show", "check", "remove"):
        code, _, err = run(capsys, "--repository", str(repository), command, "no")
        assert code == 1
        assert "there are: frame, lamp, shade" in err
        assert "there are: 1, 2" in run(capsys, "--repository", str(repository), command, "lamp/3")[2]
    assert run(capsys, "--repository", "/nowhere", "list")[0] == 1
    with pytest.raises(SystemExit):
        main(["juggle"])


def test_remove_says_what_it_would_do_and_does_it(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(copied.rglob("*"))
    code, out, _ = run(capsys, "--repository", str(copied), "remove", "lamp")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[:2]] == [
        ["would", "remove", "lamp/1,"],
        ["would", "remove", "lamp/2,"],
    ]
    assert out.splitlines()[-1] == "nothing was removed; say --yes to do it"
    assert sorted(copied.rglob("*")) == before
    code, out, _ = run(capsys, "--repository", str(copied), "remove", "lamp/1", "--yes")
    assert out.startswith("removed lamp/1, ")
    assert sorted(p.name for p in (copied / "lamp").iterdir()) == ["2"]
    assert run(capsys, "--repository", str(copied), "remove", "lamp", "--yes")[0] == 0
    assert sorted(p.name for p in copied.iterdir()) == ["frame", "shade"]


def test_remove_takes_broken_versions_too(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "lamp" / "2" / "card.json").unlink()
    assert run(capsys, "--repository", str(copied), "remove", "lamp/2", "--yes")[0] == 0
    assert not (copied / "lamp" / "2").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0
    assert told.startswith(f"usage: assay-models {command}")
    assert len(told.split("\n\n")[1]) > 40  # a description
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"\n  {command} " in capsys.readouterr().out.replace("    ", "  ")


class Point:
    """An entry point of an installed package."""

    def __init__(self, name: str, loads: object) -> None:
        self.name, self._loads = name, loads

    def load(self) -> object:
        if isinstance(self._loads, Exception):
            raise self._loads
        return self._loads


def juggling(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    def run(options: argparse.Namespace) -> Iterable[str]:
        yield f"juggling {options.balls} in {options.repository}"
        if options.balls > 3:
            raise ValueError("at most\n3 balls")

    parser = commands.add_parser("juggle", help="keep them in the air")
    parser.add_argument("balls", type=int)
    parser.set_defaults(run=run)


def plugged(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    def found(group: str) -> tuple[Point, ...]:
        assert group == "assay_models.commands"
        return points

    monkeypatch.setattr(cli, "entry_points", found)


def test_installed_packages_add_commands(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugged(monkeypatch, Point("circus", juggling))
    where = ["--repository", str(repository)]
    assert run(capsys, *where, "juggle", "3") == (0, f"juggling 3 in {repository}\n", "")
    told = run(capsys, *where, "juggle", "4")
    assert told == (1, f"juggling 4 in {repository}\n", "Error: at most 3 balls\n")


def test_a_broken_plug_in_breaks_nothing_else(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugged(
        monkeypatch,
        Point("gone", ModuleNotFoundError("No module named 'gone'")),
        Point("odd", 7),
        Point("twice", lambda commands: commands.add_parser("list")),
        Point("circus", juggling),
    )
    assert run(capsys, "--repository", str(repository), "list")[0] == 0
    assert run(capsys, "--repository", str(repository), "juggle", "1")[0] == 0
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "Not available: gone (ModuleNotFoundError: No module named 'gone'); odd (TypeError" in told
    assert "twice" in told

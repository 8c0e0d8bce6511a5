"""The command line of the training room."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.export import __main__ as room
from models.export.__main__ import main
from models.export.recipe import recipes

pytestmark = pytest.mark.torch


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path, Path, bool]]:
    """What was asked to be made, in place of making it."""
    asked: list[tuple[str, Path, Path, bool]] = []

    def make(recipe: Any, out: Path, work: Path, *, quick: bool) -> list[Any]:
        asked.append((recipe.key, out, work, quick))
        return [SimpleNamespace(folder=out / recipe.name)]

    monkeypatch.setattr(room, "make", make)
    return asked


def test_names_alone_train(made: list[Any], tmp_path: Path) -> None:
    """As cards and Makefile say it; with the word, and with options first, too."""
    zoo, work = Path("models/zoo"), Path("runs/train")
    assert main(["digits-1", "digits-2"]) == 0
    assert made == [("digits-1", zoo, work, False), ("digits-2", zoo, work, False)]
    made.clear()
    assert main(["train", "digits-1", "--out", str(tmp_path), "--quick"]) == 0
    assert main(["--out", str(tmp_path), "--quick", "digits-1"]) == 0
    assert made == [("digits-1", tmp_path, work, True)] * 2


def test_all_are_those_that_ship_and_have_data(
    made: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ASSAY_DATA_DIR", str(tmp_path))
    shipped = {key: recipe.data.folder for key, recipe in recipes().items() if recipe.shipped}
    assert main(["all"]) == 0
    assert [key for key, *_ in made] == [key for key, folder in shipped.items() if not folder]
    left_out = {key for key, folder in shipped.items() if folder}
    assert left_out == {"bccd-1", "cifar10-1"}
    assert {key for key in left_out if f"{key} is left out" in caplog.text} == left_out
    made.clear()
    for folder in filter(None, shipped.values()):
        (tmp_path / folder).mkdir(exist_ok=True)
    assert main(["all"]) == 0
    assert [key for key, *_ in made] == list(shipped)


def test_what_cannot_be_done_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["nothing-1"], ["curve", str(tmp_path)], ["search", "digits-1", "no.yaml", "--out", "x"]):
        assert main(words) == 1
        told = capsys.readouterr().err
        assert told.startswith("Error: ")
        assert told.count("\n") == 1
    space = tmp_path / "s.yaml"
    space.write_text("settings.rate: [0.1]")
    assert main(["search", "digits-1", str(space), "--out", str(tmp_path), "--figure", "speed"]) == 1
    assert "--figure must be one of held_accuracy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["search", "digits-1"], ["--quick"], [], ["search", "a", "b", "--out", "c", "--trials", "0"]]
)
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as found:
        main(words)
    assert found.value.code == 2


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as found:
        main(["--help"])
    assert found.value.code == 0
    told = capsys.readouterr().out
    assert all(f"\n    {name} " in told for name in ("train", "list", "search", "curve", "fields"))
    for name in ("train", "search", "curve"):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert "usage: python -m models.export" in capsys.readouterr().out


def test_lists_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert all(line.split()[0] in recipes() for line in told.splitlines())
    assert len(told.splitlines()) == len(recipes())
    assert main(["fields"]) == 0
    assert "| `settings.rate` | required | peak learning rate. |" in capsys.readouterr().out


def test_a_curve_is_drawn_beside_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"loss": 1 / (1 + i), "rate": 1.0, "held_loss": 1.0, "seconds": 1.0} for i in range(9)]
    (tmp_path / "curve.json").write_text(json.dumps(rows))
    assert main(["curve", str(tmp_path)]) == 0
    assert "9 epochs, settled" in capsys.readouterr().out
    assert (tmp_path / "curve.png").is_file()


def test_a_search_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("settings.rate: [1.0e-3, 1.0e-2]\n")
    words = ["search", "digits-1", str(space), "--how", "grid", "--quick", "--out", str(tmp_path / "s")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "2 trials; wrote" in told
    assert "held_accuracy" in told

"""`assay-models` says what there is, and what is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    told = capsys.readouterr()
    return code, told.out, told.err


def test_list_and_show(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--repository", str(repository), "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["frame/1", "lamp/1", "lamp/2", "shade/1"]
    code, out, _ = run(capsys, "--repository", str(repository), "show", "lamp")
    assert code == 0
    assert "classification, family logits" in out
    assert "lamp/2" in out


def test_check(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--repository", str(repository), "check")[0] == 0
    broken = tmp_path / "broken"
    shutil.copytree(repository, broken)
    (broken / "lamp" / "1" / "model.onnx").write_bytes(b"x")
    code, _, err = run(capsys, "--repository", str(broken), "check")
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


def test_wrong_names(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--repository", str(repository), "show", "no")
    assert code == 1
    assert "there are: frame, lamp, shade" in err
    assert run(capsys, "--repository", "/nowhere", "list")[0] == 1
    with pytest.raises(SystemExit):
        main(["juggle"])

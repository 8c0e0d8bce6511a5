"""How every verb fails, is stopped, and prints names: one line, the right exit code, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner, Result

from eval.checks.flag import Flag
from eval.cli import cli
from eval.commands.options import one_line_errors
from eval.commands.probe import models_table
from eval.console import finish, show_models, show_table
from eval.remote.probe import Described, Probe
from eval.report.document import Report, Section, Table

NOBODY = "http://127.0.0.1:9"  # nothing may be asked there
LONG = "a-name-of-more-than-thirty-letters"
WORDS = {
    "evaluate": (NOBODY, "--data", "digits:test"),
    "audit": (NOBODY, "--data", "digits:test"),
    "parity": (NOBODY, "--data", "digits:test"),
    "under-load": (NOBODY, "--data", "digits:test"),
    "compare": (f"{NOBODY}#a", f"{NOBODY}#b", "--data", "digits:test"),
    "gate": ("rules.yaml", f"{NOBODY}#a", "--data", "digits:test"),
    "explain": (NOBODY, __file__),
}


def ran(verb: str, *more: str) -> Result:
    return CliRunner().invoke(cli, [verb, *WORDS[verb], *more])


@pytest.mark.parametrize("verb", WORDS)
def test_a_folder_that_takes_no_files_is_told_first(verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = ran(verb, "--out", str(tmp_path / "file" / "out"))
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        2,
        f"Error: Invalid value for '--out': nothing can be written to {tmp_path}/file/out: Not a directory",
    )


@pytest.mark.parametrize("verb", WORDS)
def test_a_folder_to_be_is_not_made_before_it_is_needed(verb: str, tmp_path: Path) -> None:
    assert ran(verb, "--out", str(tmp_path / "a" / "b")).exit_code in (1, 2)
    assert not list(tmp_path.iterdir())


def verb_of(raised: BaseException, *names: str) -> click.Command:
    def command(**_: object) -> NoReturn:
        raise raised

    wrapped: Any = one_line_errors(command)
    for name in names:
        wrapped = click.option(name)(wrapped)
    return click.command()(wrapped)


def test_a_file_that_cannot_be_written_is_one_line() -> None:
    full = OSError(28, "No space left on device", "/disk/report.json")
    result = CliRunner().invoke(verb_of(full))
    assert (result.exit_code, result.output) == (1, "Error: /disk/report.json: No space left on device\n")


def test_an_error_of_no_file_is_a_bug() -> None:
    with pytest.raises(BrokenPipeError):
        CliRunner().invoke(verb_of(BrokenPipeError("x")), catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize(
    ("names", "words", "told"),
    [
        ((), [], "nothing is kept"),
        (("--out",), ["--out", "x"], "nothing is kept"),
        (("--out", "--resume"), [], "nothing is kept"),
        (("--out", "--resume"), ["--out", "x"], "go on with the same command and --resume"),
    ],
)
def test_an_interrupt_says_how_to_go_on(names: tuple[str, ...], words: list[str], told: str) -> None:
    result = CliRunner().invoke(verb_of(KeyboardInterrupt(), *names), words)
    assert (result.exit_code, result.output) == (130, f"stopped; {told}\n")


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def instead(*_: object, **__: object) -> NoReturn:
        raise error

    return instead


def test_a_gate_that_is_stopped_did_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.gate.rules.read_rules", raising(KeyboardInterrupt()))
    junit = tmp_path / "gate.xml"
    result = ran("gate", "--junit", str(junit), "--out", str(tmp_path / "out"))
    assert result.exit_code == 130  # 1 would say that the version is bad
    assert result.output == "stopped; go on with the same command and --resume\n"
    assert "it was stopped before it was decided" in junit.read_text()


def test_a_gate_whose_verdicts_cannot_be_written_could_not_be_asked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = ran("gate", "--junit", str(tmp_path / "file" / "gate.xml"))
    assert result.exit_code == 2
    assert result.output.endswith(f"{tmp_path}/file/gate.xml cannot be written: File exists\n")


@pytest.mark.parametrize("name", ["x [/b]", "[bold]x", ":car:"])
def test_names_are_printed_as_they_are(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flag = Flag(f"f {name}", True, f"e {name}", f"m {name}.", f"d {name}")
    finish(Report("t", {}, [Section(f"s {name}", flags=[flag])]), tmp_path / name.replace("/", "_"))
    told = capsys.readouterr().out
    for part in (f"s {name}", f"flag f {name}: e {name}. m {name}. d {name}", name.replace("/", "_")):
        assert part in told.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--norm", "spatial", "--epsilon", "8"), "--epsilon says nothing with --norm spatial"),
        (("--degrees", "30"), "--degrees says nothing with --norm linf"),
        (("--norm", "l2", "--pixels", "1"), "--pixels says nothing with --norm l2"),
        (("--surrogate",), "--surrogate needs --twin"),
    ],
)
def test_an_audit_refuses_what_it_would_not_hear(words: tuple[str, ...], told: str) -> None:
    result = ran("audit", *words)
    assert result.exit_code == 2
    assert told in result.output


def test_that_nothing_was_doubted_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    clear = Flag("stateful", False, "e", "m.", "d")
    finish(Report("t", {}, [Section("Can this be believed?", "0 of 1 found.", flags=[clear])]), None)
    assert capsys.readouterr().out == "Can this be believed? 0 of 1 found.\n"


def test_tables_are_told_in_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """On the narrowest terminal no name loses its end, and what is alike is said once."""
    same = {f"most queries {i}": 1234567 for i in range(5)} | {"basis": "a guess of many, many words"}
    show_table(Table([{"part": part, **same} for part in ("uniform_noise", "square")], "t", ""))
    told = capsys.readouterr().out
    assert "…" not in told
    assert "│ uniform_noise │" in told
    assert told.count("1,234,567") == 10
    assert "basis of uniform_noise; square: a guess of many, many words" in told


def test_the_names_of_models_are_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    size = {"height": 1024, "width": 1024}
    claims = [{"metric": "balanced_accuracy", "value": 0.5}] * 3
    one = {
        "name": LONG,
        "version": 1,
        "task": "classification",
        "labels": "abc",
        "input": size,
        "state": "ready",
    }
    show_models([{**one, "error": "", "claims": claims}])
    assert f"{LONG}/1" in capsys.readouterr().out
    (names, *_) = models_table(
        [Described(LONG, ["1"], True, ["FP32 [1, 3, 224, 224]"], ["x"], "tensors")]
    ).columns
    assert names.no_wrap


def test_a_model_that_is_not_served_is_not_probed_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(*_: object) -> Probe:
        told = [Described(name, ["1"], True, [], [], "pictures") for name in "ba"]
        return Probe(NOBODY, "assay", "assay", "", [], None, told, None, "assay evaluate")

    monkeypatch.setattr("eval.remote.probe.probe", found)
    result = CliRunner().invoke(cli, ["probe", NOBODY, "--model", "c"])
    assert (result.exit_code, result.output) == (1, f"Error: {NOBODY} serves no model 'c'; it serves a, b\n")


@pytest.mark.parametrize("words", [(), ("data",)])
def test_the_list_of_verbs_is_told_in_whole_lines(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).output
    assert "..." not in told.partition("Commands:")[2]

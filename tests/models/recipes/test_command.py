"""`assay-models get` as a person meets it: terms first, then a model, or one line that helps."""

from __future__ import annotations

import hashlib
import importlib
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from models.card import InputSpec
from models.cli import main
from models.recipes import command
from models.recipes.command import cache_folder
from models.recipes.fetch import Patience, fetch
from models.recipes.recipe import Licence, Made, Recipe
from models.recipes.remote import Remote
from models.recipes.tables import RECIPES
from models.repository import open_version, versions
from tests.graphs import dim_or_light
from tests.models.recipes.site import Site, cut, running

TERMS = ["licence  MIT (https://example.org/LICENSE)", "note     Trained on my holiday pictures."]


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def make(path: Path) -> Made:
    spec = InputSpec(name="images", height=8, width=8)
    return path.read_bytes(), {"input": spec, "outputs": ("logits",), "labels": ("dim", "light")}


def lamp(site: Site) -> Recipe:
    """A model whose file is fetched from a site."""
    return Recipe(
        name="lamp",
        what="tells dim from light",
        task="classification",
        family="logits",
        source=Remote(site.url, hashlib.sha256(site.content).hexdigest(), len(site.content)),
        licence=Licence("MIT", "https://example.org/LICENSE", "Trained on my holiday pictures."),
        make=make,
    )


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """A site that the recipe `lamp` is fetched from; nobody is at the keyboard."""
    monkeypatch.setenv("ASSAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with running(dim_or_light()) as site:
        monkeypatch.setattr(command, "RECIPES", {"lamp": lamp(site), "imagenet": RECIPES["imagenet"]})
        yield site


class Shell:
    """Runs `assay-models --repository ROOT get ...`."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys
        root.mkdir()

    def get(self, *words: str) -> tuple[int, list[str], str]:
        code = main(["--repository", str(self.root), "get", *words])
        told = self.capsys.readouterr()
        return code, told.out.splitlines(), told.err


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "root", capsys)


def test_nothing_is_fetched_before_the_terms_are_accepted(site: Site, shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell.get("lamp")
    assert code == 1
    assert out[0] == "lamp: tells dim from light"
    assert out[2:] == TERMS
    assert err == "Error: the licence of lamp must be accepted: add --accept-licence\n"
    assert site.asked == []
    assert not (tmp_path / "cache").exists()
    assert versions(shell.root) == []


def test_accepted(site: Site, shell: Shell) -> None:
    code, out, err = shell.get("lamp", "--accept-licence")
    assert (code, err) == (0, "")
    assert out[2:] == [*TERMS, f"built    {shell.root}/lamp/1"]
    (version,) = versions(shell.root)
    open_version(version)
    assert "accepted" in version.card.licence
    assert "holiday" in version.card.licence
    assert site.url in version.card.source
    assert shell.get("lamp", "--accept-licence")[0] == 0
    assert len(site.asked) == 1  # the cache has it


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("YES \n", 0), ("y\n", 1), ("no\n", 1), ("", 1)])
def test_asked(site: Site, shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(typed))
    got, _, err = shell.get("lamp")
    assert got == code
    assert err.startswith("Do you accept this licence? Type yes: ")
    assert ("was not accepted; nothing was fetched" in err) is bool(code)
    assert len(site.asked) == (0 if code else 1)


def test_a_cut_download_goes_on(site: Site, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    site.behaviours = [cut(100)]
    with monkeypatch.context() as patched:
        # Ctrl-C while it waits to try again
        patched.setattr(command, "fetch", partial(fetch, patience=Patience(sleep=interrupted)))
        code, _, err = shell.get("lamp", "--accept-licence")
    assert code == 1
    assert "the connection was cut; trying again in 1 s" in err
    assert err.endswith("Error: stopped; what came is kept, and the same command goes on from there\n")
    assert shell.get("lamp", "--accept-licence")[0] == 0
    assert site.asked[-1]["Range"] == "bytes=100-"


def test_a_file_that_is_there(site: Site, shell: Shell, tmp_path: Path) -> None:
    given = tmp_path / "given.onnx"
    given.write_bytes(site.content)
    assert shell.get("lamp", "--from", str(given))[0] == 1  # the terms are the same
    assert shell.get("lamp", "--from", str(given), "--accept-licence")[0] == 0
    assert site.asked == []
    given.write_bytes(b"x" + site.content[1:])
    code, _, err = shell.get("lamp", "--from", str(given), "--accept-licence")
    assert code == 1
    assert f"{given} must have a sha256 of " in err
    assert f"it is not {site.url}" in err
    code, _, err = shell.get("lamp", "--from", "/nowhere", "--accept-licence")
    assert code == 1
    assert "/nowhere" in err


def test_the_cache_folder(site: Site, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.get("lamp", "--accept-licence")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["file.bin"]
    shell.get("lamp", "--accept-licence", "--cache", str(tmp_path / "other"))
    assert (tmp_path / "other" / "file.bin").is_file()
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("ASSAY_CACHE_DIR", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/assay")


def test_a_package_that_building_needs(site: Site, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server has no onnx, which most recipes build with."""

    def build_with_it(path: Path) -> Made:
        importlib.import_module("no_such_package")
        return make(path)

    needy = replace(lamp(site), make=build_with_it)
    monkeypatch.setattr(command, "RECIPES", {"lamp": needy})
    code, _, err = shell.get("lamp", "--accept-licence")
    assert code == 1
    assert (
        err
        == "Error: lamp needs the package no_such_package to be built: run `pip install no_such_package`\n"
    )


def test_imagenet_comes_without_questions(site: Site, shell: Shell) -> None:
    """`make setup` calls it so."""
    code, _, err = shell.get("imagenet", "--from", "/nowhere")
    assert code == 1
    assert "comes from an installed package: leave --from out" in err
    code, out, err = shell.get("imagenet")
    if code and "must be installed" in err:
        pytest.skip(err)
    assert (code, out[-1]) == (0, f"built    {shell.root}/imagenet/1")
    assert "licence  Apache-2.0" in "\n".join(out)


def test_list_and_help(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = shell.get("--list")
    assert code == 0
    assert [line.split()[0] for line in out] == list(RECIPES)
    assert all(recipe.licence.name in line for recipe, line in zip(RECIPES.values(), out, strict=True))
    for words in ((), ("no-such-model",), ("imagenet", "--list")):
        with pytest.raises(SystemExit) as ended:
            shell.get(*words)
        assert ended.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        shell.get("--help")
    told = capsys.readouterr().out
    assert all(name in told for name in (*RECIPES, "ASSAY_CACHE_DIR", "--accept-licence", "--from FILE"))


def test_a_part_of_a_checksum_is_told(shell: Shell) -> None:
    code, out, _ = shell.get("resnet18")
    assert code == 1
    assert "checked  only the first digits of its sha256, f37072fd: no more are published" in out

"""What is found out about each kind of endpoint, and with how many requests."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.cli import cli
from eval.commands import probe as verb
from eval.remote.probe import Probe, listed, probe
from eval.target import Access
from tests.eval.remote.services import Reply, Request, Service, Speak, error, said
from tests.eval.remote.speakers import SPEAK, Oip, access, assay, form


def look(service: Service, folder: Path, kind: str = "", **told: Any) -> Probe:
    async def main() -> Probe:
        async with service.served() as url:
            return await probe(access(kind, url, folder, **told) if kind else Access(url, **told))

    return asyncio.run(main())


# Neither can be asked about one picture without a card.
ODD = {"oip that tells nothing", "oip four at a time"}


@pytest.mark.parametrize("kind", [kind for kind in SPEAK if kind not in ODD])
def test_every_kind_is_understood(kind: str, tmp_path: Path) -> None:
    service = Service(SPEAK[kind])
    found = look(service, tmp_path, kind if kind.startswith("template") else "")
    assert found.protocol == kind.split()[0]
    assert [model.name for model in found.models] == ["m"]
    answers = found.answers
    assert answers is not None
    assert answers.batches[1]
    assert answers.deterministic
    assert answers.slowest_ms is not None
    assert answers.slowest_ms > 0
    assert answers.refusal[0] in "45" or "cannot be sent" in answers.refusal
    assert found.auth in (False, None)
    assert len(service.asked) + len(service.looked) <= 16
    words = shlex.split(found.next)
    assert words[:2] == ["assay", "evaluate"]
    assert cli.commands["evaluate"].make_context("evaluate", _there(words[2:], tmp_path)).params["data"]


def _there(words: list[str], folder: Path) -> list[str]:
    """The line with a file where its reader has to put one."""
    path = folder / "CARD.json"
    path.write_text("{}")
    return [str(path) if word == "CARD.json" else word for word in words]


def test_how_many_at_once(tmp_path: Path) -> None:
    found = look(Service(Oip(shape=(1, 5, 7, 3))), tmp_path)
    assert found.answers is not None
    assert found.answers.batches == {1: True, 2: False, 8: False}
    assert found.answers.trouble == "2 at once: 400 2 at once"
    told = look(Service(form), tmp_path, "template form")
    assert told.answers is not None
    assert told.answers.batches == {1: True, 2: True}  # its template says four


def test_what_a_server_takes_is_tried(tmp_path: Path) -> None:
    class Quiet(Oip):
        def __call__(self, request: Request) -> Reply:
            if request.path == "/v2":
                return said({"name": "other", "version": "1.2", "extensions": []})
            return super().__call__(request)

    for binary in (False, True):
        found = look(Service(Quiet(binary=binary)), tmp_path)
        assert found.answers is not None
        assert found.answers.binary is binary
    assert (found.server, found.version, found.extensions) == ("other", "1.2", [])
    assert found.models[0].inputs == ["pictures FP32 [-1, 5, 7, 3]"]
    assert found.models[0].takes == "tensors"
    assert look(Service(SPEAK["oip of ours"]), tmp_path).models[0].takes == "pictures"


def test_a_server_that_rolls_dice(tmp_path: Path) -> None:
    rolls = iter(range(100))

    def speak(request: Request) -> Reply:
        if request.method == "GET":
            return assay(request)
        level = next(rolls) / 1000
        return said({"task": "classification", "predictions": [{"scores": [level, 1 - level]}]})

    found = look(Service(speak), tmp_path)
    assert found.answers is not None
    assert found.answers.deterministic is False


def keyed(speak: Speak) -> Speak:
    def guarded(request: Request) -> Reply:
        return speak(request) if request.headers.get("authorization") == "Bearer k3y" else error(401, "who?")

    return guarded


def test_who_must_say_who_he_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "k3y")
    headers = {"authorization": "Bearer $A_KEY"}
    found = look(Service(keyed(assay)), tmp_path, headers=headers)
    assert found.auth is True
    assert "k3y" not in found.next
    assert "'authorization=Bearer $A_KEY'" in found.next
    plain = look(Service(keyed(assay)), tmp_path, headers={"authorization": "Bearer k3y"})
    assert "k3y" not in plain.next
    assert look(Service(assay), tmp_path, headers=headers).auth is False
    denied = look(Service(keyed(form)), tmp_path, "template form")
    assert denied.auth is True
    assert denied.answers is not None
    assert "401 who?" in denied.answers.trouble


def test_a_template_that_does_not_fit_says_where(tmp_path: Path) -> None:
    found = look(Service(lambda _: said({"other": 1})), tmp_path, "template form")
    assert found.answers is not None
    assert found.answers.batches[1] is False
    assert "$.predictions leads to nothing: at $ there is an object with 'other'" in found.answers.trouble


@pytest.mark.parametrize("kind", sorted(ODD))
def test_what_cannot_be_asked_is_still_described(kind: str, tmp_path: Path) -> None:
    found = look(Service(SPEAK[kind]), tmp_path)
    assert [model.name for model in found.models] == ["m"]
    if found.answers is not None:
        assert found.answers.trouble == "1 at once: 400 1 at once"
        assert found.answers.deterministic is None


def test_a_server_without_models(tmp_path: Path) -> None:
    found = look(Service(lambda r: said({"models": []}) if r.path == "/models" else error(404)), tmp_path)
    assert (found.models, found.answers) == ([], None)


def test_a_card_tells_what_a_server_does_not(tmp_path: Path) -> None:
    found = look(Service(Oip(shy=True)), tmp_path, "oip tensors")
    assert found.answers is not None
    assert found.answers.batches == {1: True, 2: True, 8: True}
    assert f"--card {tmp_path / 'card.json'}" in found.next
    assert "--model m" in look(Service(Oip(shy=True)), tmp_path).next


def test_models_are_listed() -> None:
    async def main() -> Any:
        async with Service(Oip(versions=("1", "2"))).served() as url:
            return await listed(Access(url))

    (only,) = asyncio.run(main())
    assert (only.name, only.versions, only.ready) == ("m", ["1", "2"], True)
    assert only.outputs == ["probs FP32 [-1, 2]"]


@pytest.mark.parametrize(("speak", "words"), [(assay, "classification"), (Oip(), "pictures FP32")])
def test_the_verb_models_lists_either(speak: Speak, words: str) -> None:
    async def main() -> str:
        async with Service(speak).served() as url:
            done = await asyncio.to_thread(CliRunner().invoke, cli, ["models", url], catch_exceptions=False)
            return done.output

    told = asyncio.run(main())
    assert "m" in told
    assert words.split()[0][:8] in told


def shown(monkeypatch: pytest.MonkeyPatch, found: Probe, *flags: str) -> str:
    async def told(*_: object) -> Probe:
        return found

    monkeypatch.setattr("eval.remote.probe.probe", told)
    result = CliRunner().invoke(cli, ["probe", "http://h", *flags], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(Service(Oip(binary=True)), tmp_path)
    text = shown(monkeypatch, found)
    assert text.endswith(f"Next: {found.next}\n")
    for words in ("oip other 1.2", "binary_tensor_data", "1, 2, 8 answered", "same answer every time"):
        assert words in text
    told = json.loads(shown(monkeypatch, found, "--json"))
    assert told["answers"]["batches"] == {"1": True, "2": True, "8": True}
    assert told["models"][0]["name"] == "m"


def test_markup_of_a_server_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def speak(request: Request) -> Reply:
        return said({"name": "[red]x[/]", "version": "[/]\x1b[31m"}) if request.path == "/v2" else error(404)

    text = shown(monkeypatch, look(Service(speak), tmp_path))
    assert "[red]x[/] [/]" in text
    assert "\x1b" not in text
    assert verb.command.name == "probe"

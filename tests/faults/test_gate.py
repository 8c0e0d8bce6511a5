"""A gate through a bad network: the verdict of a good one, or 2, that it could not be asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from eval.cli import cli
from eval.remote import http
from tests.faults.cases import CASES, Case
from tests.faults.proxy import Proxy

VERDICTS = {"accuracy: {at_least: 0.5}": 0, "accuracy: {at_least: 0.99}": 1}  # in the best of networks
COULD_NOT = 2
BY_NAME = {case.name: case for case in CASES}
PASSES = (
    "connections refused, the first ones too",
    "resets at the first look",
    "resets in answers",
    "resets between requests",
    "requests cut off",
    "answers to each other's requests",
    "answers shortened, and their lengths",
    "garbage over every request's end",
)
STAYS = (
    "resets for good",
    "cut off for good",
    "garbage for good",
    "a gateway's pages for good",
    "connections refused",
    "a gateway's pages from the first byte",
)


@contextlib.contextmanager
def behind(url: str, case: Case | None) -> Iterator[tuple[str, Proxy]]:
    """The address of a service behind a fault, kept by a thread: the command has a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    proxy = Proxy(url, None if case is None else case.fault)
    over = proxy.over()
    try:
        address = asyncio.run_coroutine_threadsafe(over.__aenter__(), loop).result()
        yield address, proxy
        asyncio.run_coroutine_threadsafe(over.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.002)


def ended(service: str, data: str, folder: Path, rule: str, case: Case | None = None) -> int:
    (folder / "gate.yaml").write_text(f"require:\n  {rule}\n")
    with behind(service, case) as (address, proxy):
        line = ["gate", str(folder / "gate.yaml"), f"{address}#lamp/1", "--data", data, "--quiet"]
        code = CliRunner().invoke(cli, [*line, "--junit", str(folder / "gate.xml")]).exit_code
        assert case is None or proxy.struck
    return code


@pytest.mark.parametrize("rule", VERDICTS)
def test_in_a_good_network(rule: str, service: str, data: str, tmp_path: Path) -> None:
    assert ended(service, data, tmp_path, rule) == VERDICTS[rule]


@pytest.mark.parametrize("rule", VERDICTS)
@pytest.mark.parametrize("name", PASSES)
def test_what_passes_changes_no_verdict(
    name: str, rule: str, service: str, data: str, tmp_path: Path
) -> None:
    assert ended(service, data, tmp_path, rule, BY_NAME[name]) == VERDICTS[rule]


@pytest.mark.parametrize("rule", VERDICTS)
@pytest.mark.parametrize("name", STAYS)
def test_what_stays_is_no_verdict(name: str, rule: str, service: str, data: str, tmp_path: Path) -> None:
    assert ended(service, data, tmp_path, rule, BY_NAME[name]) == COULD_NOT
    assert 'type="error"' in (tmp_path / "gate.xml").read_text()

"""A16: graph files that attack whoever loads them. None may ever answer; what is served is served on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import running_service
from tests.security.attack import (
    LIGHT,
    MB,
    assert_refused,
    get,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    series,
    until,
    worker,
)
from tests.security.onnxfiles import FOLDERS

NUMBERS = {name: number for number, name in enumerate(FOLDERS, 3)}  # lamp has 1 and 2
REPLACING = ["weights up the tree", "a cycle", "cut short", "another graph's golden pair", "no card"]


@dataclass
class Hot:
    """A service that looks at its folder all the time.

    Attributes:
        stage: where versions are made before they appear.
        answered: the versions of lamp that ever answered.
    """

    url: str
    root: Path
    stage: Path
    answered: set[int]

    def make(self, name: str, number: int) -> Path:
        folder = self.stage / "lamp" / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        FOLDERS[name](folder)
        return folder

    def show(self, folder: Path) -> None:
        """Make it version 2 of lamp in one step: a folder that is away for a moment is let go, rightly."""
        link = self.stage / "link"
        link.symlink_to(folder)
        link.replace(self.root / "lamp" / "2")

    def ask(self) -> int:
        answer = send(self.url, post("/classify?model=lamp", LIGHT))
        assert answer.status == 200, answer
        assert answer.json["predictions"][0]["name"] == "light"
        self.answered.add(answer.json["version"])
        return int(answer.json["version"])

    def listed(self) -> dict[int, dict[str, Any]]:
        """What is told of lamp's versions, while it is asked."""
        assert self.ask() == 2
        models = send(self.url, get("/models")).json["models"]
        return {told["version"]: told for told in models if told["name"] == "lamp"}


@pytest.fixture(scope="module")
def hot(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hot]:
    folder = tmp_path_factory.mktemp("hot")
    root, stage = (Path(shutil.copytree(repository, folder / name)) for name in ("root", "stage"))
    (root / "lamp" / "2").rename(stage / "kept")
    (root / "lamp" / "2").symlink_to(stage / "kept")
    with running_service(folder / "home", model_repository=root, poll_s=0.1) as url:
        yield Hot(url, root, stage, set())


@pytest.fixture(scope="module")
def offered(hot: Hot) -> Hot:
    """All of them appear at once; the service refused each, and was asked all the while."""
    process = worker(hot.url)
    folders = [hot.make(name, number) for name, number in NUMBERS.items()]
    with grows_at_most(150 * MB, hot.url), healthy_neighbour(hot.url):
        for folder in folders:
            folder.rename(hot.root / "lamp" / folder.name)
        until(lambda: set(hot.listed()) == {1, 2, *NUMBERS.values()})
        until(lambda: all(hot.listed()[number]["state"] != "loading" for number in NUMBERS.values()))
    assert worker(hot.url) == process  # it was no crash
    return hot


@pytest.mark.parametrize("name", FOLDERS)
def test_a_hostile_version_never_answers(offered: Hot, name: str) -> None:
    """A16: neither asked by its number nor as the latest; the reason is told in both lists."""
    number = NUMBERS[name]
    told = offered.listed()[number]
    assert told["state"] == "failed"
    assert told["error"]
    index = send(offered.url, post("/v2/repository/index", b"", kind="")).json
    entry = next(one for one in index if one["name"] == "lamp" and one["version"] == str(number))
    assert (entry["state"], entry["reason"]) == ("UNAVAILABLE", told["error"])
    typed = send(offered.url, post(f"/classify?model=lamp&version={number}", LIGHT))
    assert_refused(typed, 503, "not_ready")
    path = f"lamp/versions/{number}"
    for request in (infer(path, LIGHT, kind="image/png"), get(f"/v2/models/{path}/ready")):
        assert_refused(send(offered.url, request), 503, "not_ready")


REASONS = {
    "weights up the tree": "must hold all its weights",
    "weights at an absolute path": "must hold all its weights",
    "weights by a symbolic link": "must hold all its weights",
    "weights by a hard link": "must hold all its weights",
    "weights beside it": "must hold all its weights",
    "weights in a branch": "must hold all its weights",
    "a cycle": "cannot be loaded",
    "an operator of somebody else": "cannot be loaded",
    "an opset of the future": "cannot be loaded",
    "cut short": "cut short",
    "a wrong digest": "sha256",
    "changed after it was published": "sha256",
    "another graph's golden pair": "golden output",
    "no card": "card.json cannot be read",
    "a name of somebody else": "name",
}


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_names_what_is_wrong(offered: Hot, name: str) -> None:
    """A16: a refusal for another reason would prove nothing."""
    assert REASONS[name] in offered.listed()[NUMBERS[name]]["error"]


def test_nothing_of_them_is_in_the_metrics(offered: Hot) -> None:
    """A16: no picture was ever run by one."""
    assert offered.answered == {2}
    ran = {name for name, value in series(offered.url).items() if value and "images_total{" in name}
    assert ran == {'assay_images_total{model="lamp",version="2"}'}


@pytest.mark.parametrize("name", REPLACING)
def test_a_served_version_is_not_replaced_by_a_hostile_one(offered: Hot, name: str) -> None:
    """A16: the old one answers on, from memory, and the list says why."""
    offered.show(offered.make(name, 2))
    until(lambda: bool(offered.listed()[2]["error"]))
    assert offered.listed()[2]["state"] == "ready"
    assert send(offered.url, infer("lamp/versions/2", LIGHT, kind="image/png")).status == 200
    offered.show(offered.stage / "kept")
    until(lambda: not offered.listed()[2]["error"])

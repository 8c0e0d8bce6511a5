"""Versions come and go while others are asked; what does not prove itself never answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.publish import publish
from service.errors import ModelRequired, NotLoaded, NotReady, UnknownModel, WrongTask
from service.live import Live
from service.registry import Registry
from service.settings import ServiceSettings
from tests.graphs import dim_or_light

FACTS: dict[str, Any] = {
    "name": "lamp",
    "task": "classification",
    "family": "logits",
    "input": {"height": 8, "width": 8},
    "outputs": ("logits",),
    "labels": ("dim", "light"),
    "licence": "Apache-2.0",
}


@pytest.fixture
def root(repository: Path, tmp_path: Path) -> Path:
    shutil.copytree(repository, tmp_path / "repository")
    return tmp_path / "repository"


def served(root: Path, **settings: Any) -> Registry:
    registry = Registry(ServiceSettings(model_repository=root, poll_s=0, **settings))
    registry.start().join(60)
    return registry


def states(registry: Registry) -> dict[str, str]:
    return {f"{m['name']}/{m['version']}": m["state"] for m in registry.listing()}


def add(root: Path, version: int) -> Path:
    golden = np.full((6, 9, 3), 90, np.uint8)
    return publish(root, dim_or_light(), {**FACTS, "version": version}, golden_image=golden).folder


def test_nothing_is_ready_before_it_is_proven(root: Path) -> None:
    registry = Registry(ServiceSettings(model_repository=root, poll_s=0))
    assert not registry.ready
    with pytest.raises(NotReady, match="being loaded"):
        registry.find("classification", "lamp", None)
    registry.start().join(60)
    assert registry.ready
    assert registry.find("classification", "lamp", None).card.version == 2
    assert registry.find("classification", "lamp", 1).card.version == 1


@pytest.mark.parametrize(
    ("task", "name", "version", "error"),
    [
        ("classification", "nope", None, UnknownModel),
        ("classification", "lamp", 9, UnknownModel),
        ("detection", "lamp", None, WrongTask),
        (None, None, None, ModelRequired),
    ],
)
def test_what_is_not_there(root: Path, task: Any, name: Any, version: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        served(root).find(task, name, version)


@pytest.mark.parametrize(
    ("policy", "numbers"), [("all", [1, 2]), ("latest", [2]), ("1", [1]), ("1,2,7", [1, 2])]
)
def test_policies(root: Path, policy: str, numbers: list[int]) -> None:
    registry = served(root, versions=policy)
    assert [live.seen.number for live in registry.all if live.seen.name == "lamp"] == numbers


def test_a_new_version_is_taken_and_a_removed_one_let_go(root: Path) -> None:
    registry = served(root)
    old = registry.find(None, "lamp", None)
    folder = add(root, 3)
    registry.sync()
    assert registry.find(None, "lamp", None).card.version == 3
    assert old.predictor is not None  # who holds it can finish
    shutil.rmtree(folder)
    registry.sync()
    assert registry.find(None, "lamp", None) is old


def broken_digest(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"changed")


def broken_card(folder: Path) -> None:
    (folder / "card.json").write_text("{")


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def broken_golden(folder: Path) -> None:
    (folder / "golden.npz").write_bytes(b"PK")


BREAKS = [broken_digest, broken_card, no_card, broken_golden]


@pytest.mark.parametrize("damage", BREAKS)
def test_a_bad_version_takes_nothing_down(root: Path, damage: Any) -> None:
    registry = served(root)
    damage(add(root, 3))
    registry.sync()
    assert states(registry)["lamp/3"] == "failed"
    assert registry.find(None, "lamp", None).card.version == 2
    with pytest.raises(NotReady, match="is failed"):
        registry.find(None, "lamp", 3)
    shutil.rmtree(root / "lamp" / "3")
    add(root, 3)
    registry.sync()  # it changed, so it is tried again
    assert states(registry)["lamp/3"] == "ready"


@pytest.mark.parametrize("damage", BREAKS)
def test_a_version_replaced_by_a_bad_one_is_served_on(root: Path, damage: Any) -> None:
    registry = served(root)
    old = registry.find(None, "lamp", 2)
    damage(root / "lamp" / "2")
    registry.sync()
    assert registry.find(None, "lamp", 2) is old
    assert old.error
    assert next(m for m in registry.listing() if m["version"] == 2)["error"]
    with pytest.raises(NotLoaded, match="version 2"):
        registry.load("lamp")
    assert registry.find(None, "lamp", 2) is old


@pytest.mark.parametrize("versions", ["all", "latest"])
def test_a_model_answers_while_its_next_version_takes_the_last_ones_place(
    root: Path, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look sees the new one come and the old one go: a soak found requests answered 503 in between."""
    shutil.rmtree(root / "lamp" / "1")
    registry = served(root, versions=versions)
    seen = []
    open_ = Registry._open

    def watched(self: Registry, live: Live) -> None:
        seen.append(registry.find(None, "lamp", None).card.version)
        open_(self, live)

    monkeypatch.setattr(Registry, "_open", watched)
    add(root, 3)
    shutil.rmtree(root / "lamp" / "2")
    registry.sync()
    assert seen == [2]
    assert [live.key for live in registry.all if live.seen.name == "lamp"] == [("lamp", 3)]


@pytest.mark.parametrize("damage", BREAKS)
def test_the_latest_that_is_bad_leaves_the_one_before(root: Path, damage: Any) -> None:
    registry = served(root, versions="latest")
    damage(add(root, 3))
    for _ in range(2):
        registry.sync()
        assert registry.find(None, "lamp", None).card.version == 2
    shutil.rmtree(root / "lamp" / "3")
    add(root, 4)
    registry.sync()
    assert [live.key for live in registry.all if live.seen.name == "lamp"] == [("lamp", 4)]


def test_a_version_replaced_by_a_good_one_is_switched(root: Path) -> None:
    registry = served(root)
    old = registry.find(None, "lamp", 2)
    add(root, 2)
    registry.sync()
    new = registry.find(None, "lamp", 2)
    assert new is not old
    assert new.error is None


def test_unload_and_load(root: Path) -> None:
    registry = served(root)
    registry.unload("lamp")
    registry.sync()
    with pytest.raises(UnknownModel):
        registry.find(None, "lamp", None)
    with pytest.raises(UnknownModel):
        registry.unload("lamp")
    registry.load("lamp", "latest")
    assert [live.seen.number for live in registry.all if live.seen.name == "lamp"] == [2]
    with pytest.raises(UnknownModel):
        registry.load("nope")


def test_a_folder_that_is_away_for_a_moment_stops_nothing(root: Path) -> None:
    registry = served(root)
    root.rename(root.with_name("away"))
    registry.sync()
    assert "must be a folder" in (registry.error or "")
    assert registry.find(None, "lamp", None).card.version == 2
    root.with_name("away").rename(root)
    registry.sync()
    assert registry.error is None


def test_a_broken_version_at_the_start(root: Path) -> None:
    broken_digest(root / "lamp" / "2")
    registry = served(root)
    assert registry.ready
    assert registry.find("classification", None, None).card.version == 1  # the newest that works
    with pytest.raises(NotReady, match="sha256"):
        registry.find("classification", "lamp", 2)
    assert list(states(registry).values()) == ["ready", "ready", "failed", "ready"]

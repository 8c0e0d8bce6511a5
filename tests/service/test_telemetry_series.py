"""Which series there are: at 0 before anything is counted, and of versions that are not taken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.publish import npz
from models.repository import Version, digest, read_version
from service.errors import ServiceError
from service.exposition import _forget_the_dead, exposition
from service.registry import Registry
from service.settings import ServiceSettings
from service.telemetry import PREDICTING, ROUTES, begin


def series(name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The value of each series of a metric that has these labels, by its others."""
    families = text_string_to_metric_families(exposition().decode())
    samples = [s for family in families for s in family.samples if s.name == name]
    return {
        tuple(value for key, value in sorted(s.labels.items()) if key not in labels): s.value
        for s in samples
        if labels.items() <= s.labels.items()
    }


def below(kind: type[ServiceError]) -> set[type[ServiceError]]:
    return {kind}.union(*map(below, kind.__subclasses__()))


def test_counts_begin_at_nothing() -> None:
    begin()
    statuses = {"200", "429", "500", "503", "504"}
    assert {(route, status) for route in PREDICTING for status in statuses} <= set(
        series("assay_requests_total")
    )
    assert {(error.code,) for error in below(ServiceError)} == set(series("assay_rejections_total"))
    assert {(route,) for route in PREDICTING} <= set(series("assay_request_seconds_count"))
    assert set(PREDICTING) < set(ROUTES)


@pytest.fixture
def root(repository: Path, tmp_path: Path) -> Path:
    """One model with one version, by a name of its own: metrics are one process's, not one test's."""
    folder = tmp_path / "models" / f"lamp-{tmp_path.name}"[:60].lower() / "1"
    shutil.copytree(repository / "lamp" / "1", folder)
    card = read_version(repository / "lamp" / "1").card
    card.model_copy(update={"name": folder.parent.name}).write(folder / "card.json")
    return tmp_path / "models"


def only(root: Path) -> Version:
    (folder,) = root.glob("*/1")
    return read_version(folder)


def test_a_version_s_series_are_there_once_it_is_live(root: Path) -> None:
    Registry(ServiceSettings(model_repository=root, poll_s=0)).sync()
    name = only(root).card.name
    assert series("assay_predicted_total", model=name, version="1") == {
        ("dim",): 0,
        ("light",): 0,
        ("other",): 0,
    }
    assert series("assay_images_total", model=name) == {("1",): 0}
    assert set(series("assay_stage_seconds_count", model=name)) == {
        (stage, "1") for stage in ("queue", "decode", "prepare", "infer", "interpret")
    }
    assert series("assay_model_refused", model=name) == {}


def card_gone(version: Version) -> None:
    (version.folder / "card.json").unlink()


def graph_changed(version: Version) -> None:
    (version.folder / "model.onnx").write_bytes(b"changed")


def graph_gone(version: Version) -> None:
    version.model_path.unlink()


def no_graph(version: Version) -> None:
    version.model_path.write_bytes(b"no graph")
    version.card.model_copy(update={"sha256": digest(version.model_path)}).write(version.folder / "card.json")


def golden_changed(version: Version) -> None:
    (version.folder / "golden.npz").write_bytes(b"PK")


def golden_otherwise(version: Version) -> None:
    """The file is as the card says; the graph's answer is not."""
    golden = version.card.golden
    assert golden is not None
    path = version.folder / golden.file
    with np.load(path) as pair:
        path.write_bytes(npz(image=pair["image"], output_0=pair["output_0"] + 1))
    golden = golden.model_copy(update={"sha256": digest(path)})
    version.card.model_copy(update={"golden": golden}).write(version.folder / "card.json")


DAMAGES = [
    (card_gone, "card"),
    (graph_changed, "files"),
    (graph_gone, "files"),
    (golden_changed, "files"),
    (no_graph, "graph"),
    (golden_otherwise, "golden"),
]


@pytest.mark.parametrize("before", [False, True], ids=["new", "served before"])
@pytest.mark.parametrize(("damage", "reason"), DAMAGES, ids=[f.__name__ for f, _ in DAMAGES])
def test_a_version_that_is_not_taken_is_told(
    root: Path, damage: Callable[[Version], None], reason: str, before: bool
) -> None:
    """From the first look on, or while the state before it is served on; and until it is mended or gone."""
    version = only(root)
    name = version.card.name
    registry = Registry(ServiceSettings(model_repository=root, poll_s=0))
    shutil.copytree(version.folder, root.parent / "whole")
    if before:
        registry.sync()
    damage(version)
    registry.sync()
    assert series("assay_model_refused", model=name) == {(reason, "1"): 1}
    assert series("assay_model_ready", model=name).get(("1",), 0) == before
    shutil.rmtree(version.folder)
    shutil.copytree(root.parent / "whole", version.folder)
    registry.sync()
    assert series("assay_model_refused", model=name) == {(reason, "1"): 0}
    assert series("assay_model_ready", model=name) == {("1",): 1}
    damage(version)
    registry.sync()
    assert series("assay_model_refused", model=name) == {(reason, "1"): 1}
    shutil.rmtree(version.folder)
    registry.sync()
    assert series("assay_model_refused", model=name) == {(reason, "1"): 0}


def test_a_reason_takes_the_place_of_another(root: Path) -> None:
    version = only(root)
    registry = Registry(ServiceSettings(model_repository=root, poll_s=0))
    graph_changed(version)
    registry.sync()
    card_gone(version)
    registry.sync()
    told = series("assay_model_refused", model=version.card.name)
    assert told == {("files", "1"): 0, ("card", "1"): 1}


def test_a_folder_s_name_is_no_label(root: Path) -> None:
    """It may hold anything, bytes that are no text among it, and no scrape may break over it."""
    (root / "No Model \udcff" / "7").mkdir(parents=True)
    registry = Registry(ServiceSettings(model_repository=root, poll_s=0))
    registry.sync()
    assert series("assay_model_refused", model="other") == {("card", "7"): 1}
    shutil.rmtree(root / "No Model \udcff")
    registry.sync()
    assert series("assay_model_refused", model="other") == {("card", "7"): 0}


def test_a_repository_that_is_away_is_told(root: Path) -> None:
    registry = Registry(ServiceSettings(model_repository=root, poll_s=0))
    registry.sync()
    assert series("assay_repository_unreadable") == {(): 0}
    root.rename(root.with_name("away"))
    registry.sync()
    assert series("assay_repository_unreadable") == {(): 1}
    assert [live.state for live in registry.all] == ["ready"]  # what is served stays
    root.with_name("away").rename(root)
    registry.sync()
    assert series("assay_repository_unreadable") == {(): 0}


def test_who_has_ended_is_forgotten(tmp_path: Path) -> None:
    """Also before its parent has looked after it; its counts stay, and who runs is not touched."""
    ended = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert ended.stdout is not None
    ended.stdout.read()  # until it closes it at its end
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table of processes
    for pid in (ended.pid, os.getpid()):
        for kind in ("gauge_livesum", "gauge_livemax", "counter"):
            (tmp_path / f"{kind}_{pid}.db").touch()
    _forget_the_dead(tmp_path)
    left = {f"{kind}_{os.getpid()}.db" for kind in ("gauge_livesum", "gauge_livemax", "counter")}
    assert {path.name for path in tmp_path.iterdir()} == left | {f"counter_{ended.pid}.db"}
    ended.communicate()

"""The catalogue is whole, and what it makes is what was published."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from eval.data.tables import open_data
from eval.metrics.tables import metric_for
from models.decoding import decode
from models.families.tables import FAMILIES
from models.recipes import names
from models.recipes.carriers import Carried
from models.recipes.recipe import Recipe, build
from models.recipes.remote import Remote, difference
from models.recipes.tables import RECIPES
from models.recipes.transport import allowed
from models.repository import RepositoryError, Version, digest, open_version

DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
FILES = {  # what the data folder calls the published files
    "cifar10-resnet20": "resnet20-12fca82f.th",
    "yolox-nano": "yolox_nano_coco80_416.onnx",
    "fastestdet": "fastestdet_coco80_352.onnx",
}
EACH = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
FETCHED = [recipe for recipe in RECIPES.values() if isinstance(recipe.source, Remote)]
PUBLISHED = pytest.mark.parametrize("name", FILES)


def given(name: str) -> Path:
    path = DATA / "models" / FILES[name]
    if not path.is_file():
        pytest.skip(f"ASSAY_DATA_DIR has no models/{path.name}")
    return path


def made(name: str, root: Path) -> Version:
    return build(RECIPES[name], root, given(name))


@EACH
def test_every_recipe_says_all_there_is_to_say(recipe: Recipe) -> None:
    assert RECIPES[recipe.name] is recipe
    assert recipe.family in FAMILIES[recipe.task]
    assert re.fullmatch(r"[A-Za-z0-9.-]+", recipe.licence.name)
    assert recipe.licence.stated
    if isinstance(recipe.source, Carried):
        return
    assert recipe.licence.notes  # every one of them was trained on somebody's pictures
    assert allowed(recipe.source.url)
    assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", recipe.source.sha256)
    assert 0 < recipe.source.size < 200e6
    pinned = r"/[0-9a-f]{40}/" if recipe.source.exact else rf"-{recipe.source.sha256}\.pth$"
    assert re.search(pinned, recipe.source.url)


def test_files_do_not_meet_in_the_cache() -> None:
    files = [recipe.source.name for recipe in FETCHED if isinstance(recipe.source, Remote)]
    assert len(set(files)) == len(files)


def test_names() -> None:
    assert len(set(names.COCO)) == 80
    assert (names.COCO[0], names.COCO[9], names.COCO[56], names.COCO[79]) == (
        "person",
        "traffic light",
        "chair",
        "toothbrush",
    )
    assert len(names.CIFAR10) == 10


@pytest.mark.data
@PUBLISHED
def test_checksums_are_those_of_the_published_files(name: str) -> None:
    source = RECIPES[name].source
    assert isinstance(source, Remote)
    assert difference(given(name), source) == ""


@pytest.mark.data
@PUBLISHED
def test_the_card_tells_where_it_comes_from(name: str, tmp_path: Path) -> None:
    version, recipe = made(name, tmp_path), RECIPES[name]
    assert isinstance(recipe.source, Remote)
    assert version.card.source == f"{recipe.source.url}, sha256 {recipe.source.sha256}"
    for told in (recipe.licence.name, recipe.licence.stated, recipe.licence.notes, "accepted"):
        assert told in version.card.licence
    if recipe.task == "detection":
        assert version.card.sha256 == recipe.source.sha256  # the graph is the published file


@pytest.mark.data
def test_a_model_of_somebody_else_is_kept(tmp_path: Path) -> None:
    version = made("fastestdet", tmp_path)
    made("fastestdet", tmp_path)  # its own is made again
    card = version.folder / "card.json"
    card.write_text(card.read_text().replace(version.card.source, "my own training"))
    before = digest(card)
    with pytest.raises(RepositoryError, match="must be free, got a model from my own training"):
        made("fastestdet", tmp_path)
    assert digest(card) == before


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "ap50"), [("yolox-nano", 0.506), ("fastestdet", 0.308)])
def test_detectors_find_what_others_found_with_them(name: str, ap50: float, tmp_path: Path) -> None:
    """100 images, measured once by other code on the same files: right scaling, order and decoding."""
    coco = DATA / "coco100_train2017"
    if not coco.is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has no {coco.name}")
    version = made(name, tmp_path)
    folders = f"{coco}/images/train2017,{coco}/object_detection/labels/train2017"
    data = open_data(f"yolo:{folders},{coco}/object_detection/config.yaml", "detection")
    predictor, metrics = open_version(version), metric_for("detection", version.card.labels)
    for sample in data.in_classes_of(version.card.labels):
        for metric in metrics:
            metric.update(predictor.predict([decode(sample.file)]), [sample.expected])
    scores = {score.name: score.value for metric in metrics for score in metric.compute()}
    assert scores["ap50"] == pytest.approx(ap50, abs=0.01)


@pytest.mark.data
def test_resnet20_sees_what_is_there(tmp_path: Path) -> None:
    """The first 200 of the JPEG copy, 20 of each class."""
    archive = DATA / "cifar10_jpeg" / "test_a.tar.gz"
    if not archive.is_file():
        pytest.skip(f"ASSAY_DATA_DIR has no cifar10_jpeg/{archive.name}")
    version = made("cifar10-resnet20", tmp_path)
    data = list(open_data(f"tar:{archive}", "classification").in_classes_of(version.card.labels))[::25]
    answers = open_version(version).predict([decode(sample.file) for sample in data])
    right = [a.label == s.expected for a, s in zip(answers, data, strict=True)]  # type: ignore[union-attr]
    assert np.mean(right) >= 0.75

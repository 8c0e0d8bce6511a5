"""Claims are measured on the data the card names, and are kept where it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.claims import claims_of, held_out, main
from eval.data.tables import located
from models.card import Claim
from models.decoding import decode
from models.repository import Version, open_version, versions
from models.results import Classification
from tests.graphs import repository

OLD = Claim(metric="accuracy", value=0.123, support=4, data="folder:$ASSAY_DATA_DIR/photos")


def pictures(root: Path, version: Version) -> None:
    """Three pictures in each of the version's classes."""
    draws = np.random.default_rng(0)
    for label in version.card.labels:
        (root / "photos" / label).mkdir(parents=True)
        for number in range(3):
            levels = draws.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(levels).save(root / "photos" / label / f"{number}.png")


def classifier(root: Path, training: dict[str, str | int | float], *claims: Claim) -> Version:
    """The classifier of the tiny repository, with a card that says this."""
    found = next(v for v in versions(root) if v.card.task == "classification")
    card = found.card.model_copy(update={"training": training, "claims": claims})
    card.write(found.folder / "card.json")
    return Version(found.folder, card)


def test_the_card_says_what_a_version_is_measured_on(tmp_path: Path) -> None:
    root = repository(tmp_path)
    told = classifier(root, {"held_out": "folder:x"}, OLD)
    assert held_out(told.card) == "folder:x"
    assert held_out(classifier(root, {}, OLD).card) == OLD.data
    assert held_out(classifier(root, {}).card) is None


def test_the_data_folder_is_put_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "masks:$ASSAY_DATA_DIR/a,$ASSAY_DATA_DIR/b,names.txt"
    monkeypatch.setenv("ASSAY_DATA_DIR", "/data")
    assert located(name) == "masks:/data/a,/data/b,names.txt"
    monkeypatch.delenv("ASSAY_DATA_DIR")
    assert located("digits:test") == "digits:test"
    assert located(name).startswith("masks:../shared/data/a,")


def test_claims_are_the_scores_and_name_the_data_as_the_card_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Independent of the metrics: right answers counted by hand."""
    root = repository(tmp_path / "models")
    version = classifier(root, {"held_out": OLD.data})
    pictures(tmp_path, version)
    monkeypatch.setenv("ASSAY_DATA_DIR", str(tmp_path))
    accuracy, f1 = claims_of(version, OLD.data)
    predictor, right = open_version(version), []
    for path in (tmp_path / "photos").glob("*/*.png"):
        (answer,) = predictor.predict([decode(path.read_bytes())])
        assert isinstance(answer, Classification)
        right.append(version.card.labels[answer.label] == path.parent.name)
    assert (accuracy.metric, f1.metric) == ("accuracy", "f1.macro")
    assert accuracy.value == pytest.approx(np.mean(right))
    assert accuracy.support == len(right) == 3 * len(version.card.labels)
    assert accuracy.data == OLD.data


def test_main_writes_claims_and_keeps_them_where_the_data_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "models")
    version = classifier(root, {"held_out": OLD.data}, OLD)
    card = version.folder / "card.json"
    before = card.read_bytes()
    monkeypatch.setenv("ASSAY_DATA_DIR", str(tmp_path))
    main([str(root), version.card.name])
    assert card.read_bytes() == before
    assert (
        f"{version.card.name}/{version.card.version}: not measured, its 1 claims are kept"
        in capsys.readouterr().out
    )
    pictures(tmp_path, version)
    main([str(root), "another"])
    assert card.read_bytes() == before
    main([str(root), version.card.name])
    claims = json.loads(card.read_text())["claims"]
    assert [claim["metric"] for claim in claims] == ["accuracy", "f1.macro"]
    assert claims[0]["value"] != OLD.value
    assert "accuracy" in capsys.readouterr().out

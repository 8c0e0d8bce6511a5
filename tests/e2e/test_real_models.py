"""Other people's graphs: imported by the command line, served, asked both ways, measured against what is
said of them."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from eval.data.tables import open_data
from models.decoding import decode
from models.repository import newest, versions
from models.results import Classification, Detections, Segmentation
from models.wire import results_of
from tests.bench.models.real import REAL, Real, bring, scores
from tests.e2e.processes import running_service

DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")).resolve()
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "models").is_dir(), reason=f"ASSAY_DATA_DIR has no models: {DATA}"),
]
EACH = pytest.mark.parametrize("real", REAL, ids=lambda real: real.name)
ROUTES = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
# COCO averages over few objects of many classes; the source's own resizing and suppression are not told.
IN_INTERVAL = {("fastestdet", "ap")}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def told(work: Path) -> dict[str, str]:
    """What the command line says of each graph when it is imported."""
    return {real.name: bring(real, DATA, work / "repository") for real in REAL}


@pytest.fixture(scope="module")
def url(work: Path, told: dict[str, str]) -> Iterator[str]:
    with running_service(work / "home", model_repository=work / "repository") as url:
        yield url


@EACH
def test_it_says_what_it_guessed(told: dict[str, str], real: Real) -> None:
    lines = told[real.name].splitlines()
    assert lines[0].startswith(real.file)
    assert any(line.startswith("  family ") for line in lines)
    assert any(
        line.startswith("? resize ") and "nothing in the graph tells" in line for line in lines
    ) or any(line.startswith("? channels ") for line in lines)
    assert lines[-2].startswith(f"{real.name}/1 is proven and lies in ")


@EACH
def test_both_ways_of_asking_give_one_answer(url: str, work: Path, real: Real) -> None:
    card = newest(versions(work / "repository"), real.name).card
    (work / "voc.txt").write_text("*: background\n")
    file = open_data(real.data.format(data=DATA, work=work), real.task)[1].file
    with httpx2.Client(base_url=url, timeout=60) as client:
        asked = (
            {"model": real.name, "scores": "true"} if real.task == "classification" else {"model": real.name}
        )
        asked |= {"score_threshold": "0"} if real.task == "detection" else {}
        typed = client.post(f"/{ROUTES[real.task]}", params=asked, files={"image": ("i", file)})
        tensor = {
            "name": card.input.name,
            "datatype": "BYTES",
            "shape": [1],
            "parameters": {"content_type": "base64"},
            "data": [base64.b64encode(file).decode()],
        }
        open_protocol = client.post(f"/v2/models/{real.name}/infer", json={"inputs": [tensor]})
    assert typed.status_code == 200, typed.text
    assert open_protocol.status_code == 200, open_protocol.text
    height, width, _ = decode(file).shape
    (answer,) = results_of(typed.json(), real.task, [height * width])
    outputs = {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in open_protocol.json()["outputs"]}
    match answer:
        case Classification():
            np.testing.assert_allclose(outputs["answer.scores"][0], answer.scores, atol=1e-6)
        case Detections():
            np.testing.assert_allclose(outputs["answer.boxes"], answer.boxes, atol=1e-3)
            np.testing.assert_array_equal(outputs["answer.labels"], answer.labels)
            assert len(answer)
        case Segmentation():
            np.testing.assert_array_equal(outputs["answer.labels"][0], answer.labels)


@EACH
def test_it_scores_what_is_said_of_it(url: str, work: Path, real: Real) -> None:
    for row in scores(url, real, DATA, work):
        close = row.within if (row.name, row.metric) in IN_INTERVAL else row.near
        assert close, f"{row.metric} must be {row.claimed:.3f}, got {row.measured:.4f}"

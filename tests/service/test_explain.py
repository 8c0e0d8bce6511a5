"""`explain=occlusion` on the typed routes: right, bounded, drawn, and never in the way of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from models.decoding import decode, encode_png
from models.drawing import heated
from models.results import Classification
from models.saliency import Occlusion, advance
from models.saliency.targets import ClassTarget
from models.wire import ClassifyAnswer, DetectAnswer, SegmentAnswer
from service.explain import METHOD, MOST_PIXELS
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error, sent

SHAPES = {"/classify": ClassifyAnswer, "/detect": DetectAnswer, "/segment": SegmentAnswer}
LIGHT = np.full((32, 48, 3), 20, np.uint8)
LIGHT[8:16, 24:36] = 255  # two cells of 4 x 6 pixels each way


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[TestClient]:
    with started(repository, max_images=64) as client, documented(client):
        yield client


def explained(client: TestClient, route: str, picture: np.ndarray, **form: str) -> Any:
    response = sent(client, route, encode_png(picture), explain="occlusion", **form)
    assert response.status_code == 200, response.text
    body = response.json()
    SHAPES[route].model_validate(body)
    return body["explanation"]


def grid_of(told: Any) -> np.ndarray:
    return np.array(told["values"]).reshape(told["rows"], told["cols"])


@pytest.mark.parametrize("route", ["/classify", "/detect"])
def test_the_cells_that_count_are_named(client: TestClient, route: str) -> None:
    """Both models rest on the mean level, so the light patch is what speaks for them."""
    form = {"score_threshold": "0.01"} if route == "/detect" else {}
    picture = LIGHT if route == "/detect" else 255 - LIGHT  # light but for a dark patch
    told = explained(client, route, picture, **form)
    grid = grid_of(told)
    assert grid.shape == (8, 8)
    patch = np.zeros((8, 8), bool)
    patch[2:4, 4:6] = True
    if route == "/classify":
        assert told["name"] == "light"
        grid = -grid  # the dark patch speaks against it
    assert patch[np.unravel_index(grid.argmax(), grid.shape)]
    assert grid[patch].min() > grid[~patch].mean()


def test_a_region_is_explained(client: TestClient) -> None:
    told = explained(client, "/segment", LIGHT)
    assert (told["name"], told["score"]) == ("light", 1.0)
    assert patch_share(grid_of(told)) > 0.9


def patch_share(grid: np.ndarray) -> float:
    """Of all that is lost, what is lost at the patch and a window's reach around it."""
    positive = grid.clip(0)
    return float(positive[1:5, 3:7].sum() / positive.sum())


def test_it_is_the_library_s_own_map(client: TestClient) -> None:
    """The numbers of the answer are `Occlusion` asked through the same route by hand."""
    told = explained(client, "/classify", LIGHT)

    def score(picture: np.ndarray) -> float:
        body = sent(client, "/classify", encode_png(picture), scores="true").json()
        return float(body["predictions"][0]["scores"][told["label"]])

    target = ClassTarget(told["label"], score(LIGHT))
    dialogue = Occlusion().grid(LIGHT, target)
    pictures, _ = advance(dialogue)
    assert len(pictures) == METHOD.queries
    scores = [np.float32(score(picture)) for picture in pictures]
    answers = [Classification(np.full(told["label"] + 1, value)) for value in scores]
    _, grid = advance(dialogue, answers)
    assert grid is not None
    np.testing.assert_allclose(grid_of(told), grid, atol=1e-6)
    assert told["score"] == pytest.approx(target.clean)


@pytest.mark.parametrize("route", SHAPES)
def test_the_map_is_drawn(client: TestClient, route: str) -> None:
    files = [("image", ("i.png", encode_png(LIGHT)))]
    form = {"explain": "occlusion"} | ({"score_threshold": "0.01"} if route == "/detect" else {})
    response = client.post(route, files=files, data=form, headers={"accept": "image/png"})
    assert response.headers["content-type"] == "image/png", response.text
    shown = decode(response.content)
    assert shown.shape == LIGHT.shape
    plain = client.post(route, files=files, headers={"accept": "image/png"})
    assert (decode(plain.content) != shown).any()
    if route == "/segment":  # nothing is drawn over the heat
        told = explained(client, route, LIGHT)
        heat = np.repeat(np.repeat(grid_of(told), 4, 0), 6, 1)
        np.testing.assert_array_equal(shown, heated(LIGHT, heat.astype(np.float32)))


def test_nothing_found_is_nothing_to_explain(client: TestClient) -> None:
    picture = encode_png(LIGHT)
    form = {"explain": "occlusion", "score_threshold": "0.99"}
    assert "explanation" not in sent(client, "/detect", picture, **form).json()
    files = [("image", ("i.png", picture))]
    drawn = client.post("/detect", files=files, data=form, headers={"accept": "image/png"})
    np.testing.assert_array_equal(decode(drawn.content), LIGHT)


def test_without_it_nothing_is_added(client: TestClient) -> None:
    assert "explanation" not in sent(client, "/classify", encode_png(LIGHT)).json()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3), (700, 900)])
def test_pictures_of_any_size(client: TestClient, shape: tuple[int, int]) -> None:
    """Tiny ones have fewer cells, large ones are reduced first."""
    picture = np.full((*shape, 3), 30, np.uint8)
    picture[: shape[0] // 2 + 1] = 220
    told = explained(client, "/classify", picture)
    assert (told["rows"], told["cols"]) == (min(8, shape[0]), min(8, shape[1]))
    assert np.isfinite(told["values"]).all()
    assert (shape[0] * shape[1] > MOST_PIXELS) == (shape == (700, 900))


def test_a_raw_body_and_a_query_do(client: TestClient) -> None:
    raw = client.post(
        "/classify?explain=occlusion", content=encode_png(LIGHT), headers={"content-type": "image/png"}
    )
    assert raw.json()["explanation"] == explained(client, "/classify", LIGHT)


@pytest.mark.parametrize("value", ["rise", "", "grad-cam", "Occlusion"])
def test_other_methods_are_refused(client: TestClient, value: str) -> None:
    assert_error(sent(client, "/classify", encode_png(LIGHT), explain=value), 422, "bad_parameter")


def test_one_picture_at_a_time(client: TestClient) -> None:
    two = [encode_png(LIGHT)] * 2
    assert_error(sent(client, "/classify", *two, explain="occlusion"), 422, "unusable")


def test_a_broken_picture_is_refused_as_ever(client: TestClient) -> None:
    assert_error(sent(client, "/classify", b"no picture", explain="occlusion"), 422, "undecodable_image")


def test_it_counts_as_so_many_images(client: TestClient) -> None:
    def images() -> float:
        wanted = 'assay_images_total{model="lamp",version="2"}'
        told = client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in told if line.startswith(wanted)), 0.0)

    before = images()
    explained(client, "/classify", LIGHT)
    assert images() - before == 1 + METHOD.queries


def test_it_is_documented(client: TestClient) -> None:
    document = client.get("/docs.json").json()
    schemas = document["components"]["schemas"]
    for route, shape in SHAPES.items():
        told = {p["name"]: p for p in document["paths"][route]["post"]["parameters"]}
        assert "occlusion" in json.dumps(told["explain"]["schema"])
        assert "explanation" in schemas[f"{shape.__name__}IODescriptor"]["properties"]
    assert schemas["Explanation"]["properties"].keys() >= {"rows", "cols", "values"}

"""Graphs that pick their objects, one picture at a time: masks and numbers of objects find their way out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from models.columns import from_columns
from models.decoding import encode_png
from models.publish import publish
from models.repository import open_version, read_version
from models.results import Array, Detections
from models.wire import results_of
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error
from tests.contract.v2 import infer, send
from tests.models.families.graphs import picks

LEVELS = (3, 0, 5, 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`picks` with masks; `short` is the same without them, its card names a class too few."""
    root = tmp_path_factory.mktemp("repository")
    facts = {
        "version": 1, "task": "detection", "licence": "Apache-2.0", "max_batch": 1,
        "input": {"height": 8, "width": 8, "mean": (0, 0, 0), "std": (1, 1, 1)},
        "postprocess": {"first_label": 1},
    }  # fmt: skip
    outputs = ("boxes", "labels", "scores", "masks")
    own = {"name": "picks", "family": "maskrcnn", "labels": ("one", "two"), "outputs": outputs}
    publish(root, picks([3, "H", "W"], masks=True), {**facts, **own}, golden_image=grey(4))
    own = {"name": "short", "family": "torchvision", "labels": ("one",), "outputs": outputs[:3]}
    publish(root, picks([3, "H", "W"]), {**facts, **own}, golden_image=grey(1))
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    with started(root, poll_s=0) as client, documented(client):
        yield client


def grey(level: int) -> Array:
    return np.full((12, 16, 3), level, np.uint8)


def test_masks_come_out_of_every_door(client: TestClient, root: Path) -> None:
    images = [grey(level) for level in LEVELS]
    wanted = open_version(read_version(root / "picks" / "1")).predict(images)
    columns = infer(client, "picks", np.stack(images)).outputs
    got = from_columns("detection", columns, len(images), pixels=[12 * 16] * len(images))
    for level, own, told in zip(LEVELS, wanted, got, strict=True):
        assert isinstance(own, Detections)
        assert isinstance(told, Detections)
        assert len(told) == level
        assert own.masks is not None
        assert told.masks is not None
        assert np.array_equal(told.boxes, own.boxes)
        assert np.array_equal(told.masks, own.masks)
        assert own.masks.any() == bool(level)


def test_masks_come_out_of_the_typed_door(client: TestClient, root: Path) -> None:
    (own,) = open_version(read_version(root / "picks" / "1")).predict([grey(3)])
    body = client.post("/detect", files={"image": encode_png(grey(3))}, data={"model": "picks"}).json()
    (told,) = results_of(body, "detection", [12 * 16])
    assert isinstance(own, Detections)
    assert isinstance(told, Detections)
    assert own.masks is not None
    assert told.masks is not None
    assert np.array_equal(told.masks, own.masks)


def test_raw_outputs_of_several_numbers_of_objects_make_no_tensor(client: TestClient) -> None:
    images, outputs = np.stack([grey(3), grey(2)]), [{"name": "boxes"}]
    assert_error(send(client, "picks", images, outputs=outputs), 422, "unusable")
    assert infer(client, "picks", images[:1], outputs=outputs).outputs["boxes"].shape == (1, 3, 4)


def test_a_tensor_whose_outputs_cannot_be_read_is_the_clients(client: TestClient) -> None:
    outputs = [{"name": "answer.boxes"}]
    fine, broken = (np.full((1, 3, 8, 8), level, np.float32) for level in (1, 2))
    assert infer(client, "short", fine, outputs=outputs).outputs["answer.boxes"].shape == (1, 4)
    refused = send(client, "short", broken, outputs=outputs)
    assert_error(refused, 400, "bad_tensor")
    assert "must be below 1, got 1" in refused.json()["error"]

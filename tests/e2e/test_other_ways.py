"""Our own service, asked through every client: the answers are the same to the bit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.remote.access import endpoint_of, target_of
from eval.remote.probe import probe
from eval.target import Access
from models.card import ModelCard
from models.decoding import encode_png
from models.results import Array, Classification, Detections, Result, Segmentation
from tests.e2e.processes import running_service
from tests.graphs import repository

READING: dict[str, dict[str, Any]] = {
    "classification": {"each": "$.predictions", "scores": "$.scores"},
    "detection": {
        "each": "$.predictions", "boxes": "$.boxes", "scores": "$.scores", "labels": "$.labels",
    },
    "segmentation": {"each": "$.predictions", "map": "$", "encoding": "runs"},
}  # fmt: skip
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "classification": ("classify", {"scores": "true"}),
    "detection": ("detect", {"score_threshold": 0}),
    "segmentation": ("segment", {}),
}
SIZES = [(8, 8), (20, 30), (8, 8), (31, 17), (20, 30)]
IMAGES = [
    np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8) for i, size in enumerate(SIZES)
]
FILES = [encode_png(image) for image in IMAGES]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("ways"))


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    with running_service(root.parent / "home", model_repository=root) as url:
        yield url


def arrays(results: Sequence[Result]) -> list[Array]:
    told: list[Array] = []
    for result in results:
        if isinstance(result, Classification):
            told.append(result.scores)
        elif isinstance(result, Detections):
            told += [result.boxes, result.scores, result.labels]
        elif isinstance(result, Segmentation):
            told.append(result.labels)
    return told


def ways(url: str, card: ModelCard, path: Path, folder: Path) -> dict[str, Access]:
    route, query = ROUTES[card.task]
    template = {
        "task": card.task,
        "name": card.name,
        "labels": card.labels,
        "request": {
            "path": f"/{route}", "query": {"model": card.name, "version": card.version, **query},
            "body": "multipart", "images": 5,
        },
        "answer": READING[card.task],
    }  # fmt: skip
    (folder / "api.yaml").write_text(json.dumps(template))  # JSON is YAML
    return {
        "oip": Access(url, "oip", card=path),
        "template": Access(url, "template", template=folder / "api.yaml"),
    }


def asked(access: Access, card: ModelCard) -> tuple[list[Array], list[Array]]:
    async def main() -> tuple[list[Array], list[Array]]:
        target = await target_of(access, card.name, card.version)
        async with endpoint_of(target) as endpoint:
            return arrays(await endpoint.predict_files(FILES)), arrays(await endpoint.predict(IMAGES))

    return asyncio.run(main())


def test_the_answers_are_the_same(url: str, root: Path, tmp_path: Path) -> None:
    seen = set()
    for path in sorted(root.glob("*/*/card.json")):
        card = ModelCard.read(path)
        own = asked(Access(url), card)
        for name, access in ways(url, card, path, tmp_path).items():
            for expected, found in zip(own, asked(access, card), strict=True):
                assert len(expected) == len(found) > 0, (card.name, name)
                for one, other in zip(expected, found, strict=True):
                    np.testing.assert_array_equal(one, other, err_msg=f"{card.name} {name}")
        seen.add(card.task)
    assert seen == set(READING)


def test_it_is_probed_either_way(url: str, root: Path) -> None:
    told = asyncio.run(probe(Access(url)))
    assert (told.protocol, told.auth) == ("assay", False)
    assert len(told.models) == len(list(root.glob("*/*/card.json")))
    assert told.answers is not None
    assert told.answers.batches == {1: True, 2: True, 8: True}
    assert told.answers.deterministic
    assert told.answers.refusal.startswith("422 ")
    other = asyncio.run(probe(Access(url, "oip")))
    assert (other.server, other.models[0].takes) == ("assay", "pictures")
    assert other.answers is not None
    assert (other.answers.binary, other.answers.batches[8]) == (True, True)

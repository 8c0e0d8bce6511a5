"""Pixels sent to a service of ours as they are: the very answers of PNG, and PNG wherever that is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.errors import EndpointError, Refused
from eval.remote import assay as module
from eval.remote.access import endpoint_of, target_of
from eval.remote.assay import AssayEndpoint
from eval.remote.endpoint import LiveEndpoint
from eval.served import served
from models.results import Array, Classification, Detections, Result, Segmentation
from tests.eval.remote.services import Reply, Request, Service, error, said
from tests.eval.remote.speakers import OURS, assay, assay_raw, scores
from tests.graphs import repository, typed_repository

Speak = Callable[[Request], Reply]
SIZES = [(5, 7), (6, 6), (5, 7), (9, 4), (6, 6), (5, 7)]
IMAGES = [np.random.default_rng(i).integers(0, 40 * i + 50, (*s, 3), np.uint8) for i, s in enumerate(SIZES)]


def ask(service: Service, *batches: Sequence[Array], at_once: bool = False, **more: Any) -> Any:
    """The answers to each batch, one after the other or all at once."""

    async def main() -> Any:
        endpoint = AssayEndpoint[Classification]
        async with (
            service.served() as url,
            endpoint(url, task="classification", **{"model": "m", "version": 3, **more}) as entered,
        ):
            if at_once:
                return await asyncio.gather(*map(entered.predict, batches))
            return [await entered.predict(batch) for batch in batches]

    return asyncio.run(main())


def paths(service: Service) -> list[str]:
    return [request.path.partition("?")[0] for request in service.asked]


def check(answers: Sequence[Classification], images: Sequence[Array]) -> None:
    told = np.array([answer.scores for answer in answers])
    np.testing.assert_allclose(told, [scores(image) for image in images], atol=1e-6)


RAW, PNG = "/v2/models/m/versions/3/infer", "/classify"


def test_one_request_for_each_size_and_answers_in_order() -> None:
    service = Service(assay_raw)
    (answers,) = ask(service, IMAGES)
    check(answers, IMAGES)
    assert paths(service) == [RAW] * len(set(SIZES))
    sent = sorted(len(request.body) for request in service.asked)
    pixels = [np.prod(size) * 3 * SIZES.count(size) for size in set(SIZES)]
    for size, bytes_ in zip(sent, sorted(pixels), strict=True):
        assert bytes_ < size < bytes_ + 300  # the pixels and a few words


def test_the_way_is_looked_for_once() -> None:
    service = Service(assay_raw)
    for answers, image in zip(ask(service, *([i] for i in IMAGES), at_once=True), IMAGES, strict=True):
        check(answers, [image])
    assert sorted(request.path for request in service.looked) == ["/v2", "/v2", "/v2/models/m/versions/3"]
    assert paths(service) == [RAW] * len(IMAGES)


def test_no_request_is_larger_than_a_service_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RAW_BYTES", 3 * IMAGES[0].nbytes)
    many = [IMAGES[0], IMAGES[2], IMAGES[5]] * 3 + [np.full((50, 50, 3), 9, np.uint8)]
    service = Service(assay_raw)
    (answers,) = ask(service, many)
    check(answers, many)
    assert paths(service) == [RAW] * 4  # three, three, three, and what is too large alone


def without_inputs(request: Request) -> Reply:
    told = json.loads(OURS(request).body)
    return said({**told, "inputs": []})


NOT_RAW: dict[str, Speak] = {
    "no such protocol": assay,
    "another server": lambda r: replace(OURS, binary=False)(r) if r.path.startswith("/v2") else assay(r),
    "tensors only": lambda r: replace(OURS, answers=False)(r) if r.path.startswith("/v2") else assay(r),
    "a graph of bytes": lambda r: (
        replace(OURS, datatype="UINT8", shape=(-1, 5, 7, 3))(r) if r.path.startswith("/v2") else assay(r)
    ),
    "no input at all": lambda r: without_inputs(r) if r.path.startswith("/v2/models") else assay_raw(r),
    "kept from us": lambda r: error(403) if r.path.startswith("/v2") else assay(r),
    "broken": lambda r: error(500) if r.path.startswith("/v2") else assay(r),
}


@pytest.mark.parametrize("name", NOT_RAW)
def test_where_the_way_is_not_there_pixels_go_as_png(name: str) -> None:
    service = Service(NOT_RAW[name])
    first, second = ask(service, IMAGES, IMAGES[:2])
    check(first, IMAGES)
    check(second, IMAGES[:2])
    assert paths(service) == [PNG, PNG]
    looked = [request.path for request in service.looked]
    assert len(looked) == len(set(looked)) + looked.count("/v2") - 1 <= 3  # never again


def test_the_only_model_of_a_service_is_sent_png() -> None:
    service = Service(assay_raw)
    check(ask(service, IMAGES, model=None, version=None)[0], IMAGES)
    assert paths(service) == [PNG]
    assert service.looked == []


def test_a_way_that_is_refused_is_given_up() -> None:
    def limited(request: Request) -> Reply:
        return error(413) if request.path.endswith("/infer") else assay_raw(request)

    service = Service(limited)
    first, second = ask(service, IMAGES[:1], IMAGES)
    check(first, IMAGES[:1])
    check(second, IMAGES)
    assert paths(service) == [RAW, PNG, PNG]


def test_pictures_that_are_refused_either_way_do_not_end_it() -> None:
    """The picture is at fault, not the way."""

    async def main(service: Service) -> None:
        async with (
            service.served() as url,
            AssayEndpoint[Classification](url, task="classification", model="m", version=3) as endpoint,
        ):
            with pytest.raises(Refused, match="422"):
                await endpoint.predict(IMAGES[:1])
            check(await endpoint.predict(IMAGES), IMAGES)

    service = Service(assay_raw, error(422), error(422))
    asyncio.run(main(service))
    assert paths(service) == [RAW, PNG, RAW, RAW, RAW]


def test_a_service_that_fails_is_not_asked_another_way() -> None:
    service = Service(assay_raw, error(500))
    with pytest.raises(EndpointError, match="500"):
        ask(service, IMAGES[:1])
    assert paths(service) == [RAW]


def test_answers_of_another_number_of_classes_are_not_believed() -> None:
    with pytest.raises(EndpointError, match="3 scores"):
        ask(Service(assay_raw), IMAGES[:1], classes=3)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root: Path = typed_repository(repository(tmp_path_factory.mktemp("raw")))
    with served(model_repository=root, runs=1) as url:
        yield url


def same(one: Result, other: Result) -> bool:
    """To the last bit."""
    match one, other:
        case Classification(), Classification():
            pairs = [(one.scores, other.scores)]
        case Detections(), Detections():
            pairs = [(one.boxes, other.boxes), (one.scores, other.scores), (one.labels, other.labels)]
        case Segmentation(), Segmentation():
            pairs = [(one.labels, other.labels)]
        case _:
            return False
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


async def _both(url: str, name: str, images: Sequence[Array]) -> tuple[Any, Any, bool]:
    """Answers to pixels as they are, the same as PNG, and whether the first were as they are."""
    target = await target_of(url, name, None)
    async with endpoint_of(target) as endpoint:
        assert isinstance(endpoint, AssayEndpoint)
        raw = await endpoint.predict(images)
        return raw, await LiveEndpoint.predict(endpoint, images), endpoint.raw


def _names(url: str) -> list[str]:
    return sorted({str(told["name"]) for told in asyncio.run(module.describe(url))})


def test_a_live_service_gives_the_very_same_answers_either_way(live: str) -> None:
    rng = np.random.default_rng(5)
    sizes = [(28, 28), (31, 40), (28, 28), (64, 48)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    tasks, ways = set(), {}
    for name in _names(live):
        raw, png, was_raw = asyncio.run(_both(live, name, images))
        assert len(raw) == len(images)
        assert all(map(same, raw, png)), name
        tasks.add(type(raw[0]))
        ways[name] = was_raw
    assert tasks == {Classification, Detections, Segmentation}
    assert set(ways.values()) == {True, False}, ways  # a graph that takes bytes itself is sent PNG

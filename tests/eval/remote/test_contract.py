"""What every live endpoint promises, whatever is spoken."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.errors import EndpointError, Gone, Refused
from eval.remote import http
from eval.remote.access import endpoint_of, target_of
from models.decoding import encode_png
from models.results import Array
from tests.eval.remote.services import Reply, Service, error, said
from tests.eval.remote.speakers import SPEAK, access, scores

IMAGES = [np.random.default_rng(i).integers(0, 30 * i + 40, (5, 7, 3), dtype=np.uint8) for i in range(7)]
FILES = [encode_png(image) for image in IMAGES]
KINDS = list(SPEAK)
Do = Callable[[Any], Any]


def predict_files(files: Sequence[bytes]) -> Do:
    return lambda endpoint: endpoint.predict_files(files)


def run(kind: str, folder: Path, service: Service, do: Do, **more: Any) -> Any:
    async def main() -> Any:
        async with service.served() as url:
            told = await target_of(access(kind, url, folder, **more), None, None)
            target = pickle.loads(pickle.dumps(told))  # noqa: S301  # a worker elsewhere does the same
            for file in folder.iterdir():  # which has neither template nor card
                file.unlink()
            async with endpoint_of(target, "run-1") as endpoint:
                return await do(endpoint), endpoint

    return asyncio.run(main())


def same(answers: Sequence[Any], images: Sequence[Array]) -> None:
    told = np.array([answer.scores for answer in answers])
    np.testing.assert_allclose(told, [scores(image) for image in images], atol=1e-6)
    assert told.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 7])
def test_one_answer_each_in_order(kind: str, count: int, tmp_path: Path) -> None:
    service = Service(SPEAK[kind])
    answers, endpoint = run(kind, tmp_path, service, predict_files(FILES[:count]))
    same(answers, IMAGES[:count])
    assert {request.headers["x-assay-run"] for request in service.asked} == {"run-1"}
    assert 0 < len(endpoint.seconds) <= len(service.asked)


# Requests about seven pictures at once; what takes one at a time and does not say so is asked once in vain.
REQUESTS = {
    "oip one at a time": 7, "oip one at a time, unsaid": 8, "oip four at a time": 2, "template raw": 7,
    "template form": 2, "template instances": 3, "template pixels": 7,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_in_a_request_as_it_takes(kind: str, tmp_path: Path) -> None:
    service = Service(SPEAK[kind])
    run(kind, tmp_path, service, predict_files(FILES))
    assert len(service.asked) == REQUESTS.get(kind, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_arrive_unchanged(kind: str, tmp_path: Path) -> None:
    answers, _ = run(kind, tmp_path, Service(SPEAK[kind]), lambda endpoint: endpoint.predict(IMAGES))
    same(answers, IMAGES)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "template pixels"])
def test_pictures_of_any_size(kind: str, tmp_path: Path) -> None:
    """Grey ones: what the card makes of another size is still grey."""
    images = [np.full((4 + i % 3, 6, 3), 40 * i, np.uint8) for i in range(6)]
    same(run(kind, tmp_path, Service(SPEAK[kind]), lambda endpoint: endpoint.predict(images))[0], images)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_asked_nothing_sent(kind: str, tmp_path: Path) -> None:
    service = Service(SPEAK[kind])
    assert list(run(kind, tmp_path, service, predict_files([]))[0]) == []
    assert list(run(kind, tmp_path, service, lambda endpoint: endpoint.predict([]))[0]) == []
    assert service.asked == []


@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once_do_not_mix(kind: str, tmp_path: Path) -> None:
    async def many(endpoint: Any) -> Any:
        return await asyncio.gather(*(endpoint.predict_files([FILES[i % 7]]) for i in range(40)))

    answers, _ = run(kind, tmp_path, Service(SPEAK[kind]), many)
    same([one for (one,) in answers], [IMAGES[i % 7] for i in range(40)])


PASSING = {
    "429": error(429),
    "502": error(502),
    "503": error(503, retry_after="2"),
    "504": error(504),
    "cut in the middle": Reply(body=b"x" * 1000, cut=True),
    "silence": Reply(silent=True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", PASSING)
def test_what_passes_is_asked_again(kind: str, trouble: str, tmp_path: Path, no_waiting: list[float]) -> None:
    service = Service(SPEAK[kind], PASSING[trouble])
    answers, endpoint = run(kind, tmp_path, service, predict_files(FILES[:1]), timeout_s=0.15)
    same(answers, IMAGES[:1])
    assert len(service.asked) == 2
    assert no_waiting == [2.0 if trouble == "503" else 0.1]
    assert len(endpoint.seconds) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
def test_a_refused_picture(kind: str, status: int, tmp_path: Path) -> None:
    service = Service(SPEAK[kind], error(status))
    with pytest.raises(Refused, match=f"{status} words"):
        run(kind, tmp_path, service, predict_files(FILES[:1]))
    assert len(service.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_picture_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        run(kind, tmp_path, Service(SPEAK[kind]), predict_files([b"no picture"]))


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_that_is_gone_is_no_refusal(kind: str, tmp_path: Path, no_waiting: list[float]) -> None:
    async def main() -> None:
        async with Service(SPEAK[kind]).served() as url:
            target = await target_of(access(kind, url, tmp_path), None, None)
            endpoint = endpoint_of(target)
            await endpoint.__aenter__()
        try:
            await endpoint.predict_files(FILES[:3])
        finally:
            await endpoint.__aexit__(None, None, None)

    with pytest.raises(Gone, match="is the service running"):
        asyncio.run(main())
    assert no_waiting == [0.1, 0.2, 0.4, 0.8]


HOSTILE = {
    "no JSON": Reply(body=b"<html>"),
    "nothing": Reply(),
    "a list": said([]),
    "a number": said(42),
    "null": Reply(body=b"null"),
    "another answer": said({"answer": 42}),
    "too few": said({"task": "classification", "predictions": [], "outputs": [], "result": []}),
    "NaN": Reply(body=b'{"task": "classification", "predictions": [{"scores": [NaN, NaN]}]}'),
    "nulls": said(
        {
            "task": "classification",
            "predictions": [{"scores": [None, None], "dark": None, "light": None}],
            "result": [{"tag": "dark", "confidence": None}, {"tag": "light", "confidence": None}],
            "outputs": [{"name": "probs", "datatype": "FP32", "shape": [1, 2], "data": [None, None]}],
        }
    ),
    "words": said(
        {
            "task": "classification",
            "predictions": [{"scores": ["a", "b"], "dark": "a", "light": "b"}],
            "result": [{"tag": "dark", "confidence": "a"}, {"tag": "light", "confidence": "b"}],
            "outputs": [{"name": "probs", "datatype": "FP32", "shape": [1, 2], "data": ["a", "b"]}],
        }
    ),
    "another number of classes": said(
        {
            "task": "classification",
            "predictions": [{"scores": [0.2, 0.3, 0.5], "dark": 1, "light": 0, "grey": 0}],
            "result": [{"tag": "grey", "confidence": 3}],
            "outputs": [{"name": "probs", "datatype": "FP32", "shape": [1, 3], "data": [0.2, 0.3, 0.5]}],
        }
    ),
    "more answers than pictures": said(
        {
            "task": "classification",
            "predictions": [{"scores": [0.5, 0.5], "dark": 0.5, "light": 0.5}] * 2,
            "result": [{"tag": "dark", "confidence": 3}] * 2,
            "outputs": [{"name": "probs", "datatype": "FP32", "shape": [2, 2], "data": [0.5] * 4}],
        }
    ),
    "a shape that is none": said(
        {"outputs": [{"name": "probs", "datatype": "FP32", "shape": [-1, 1 << 60], "data": [1]}]}
    ),
    "bytes that are not there": Reply(body=b"{}", headers={"inference-header-content-length": "-7"}),
    "deep": Reply(body=b"[" * 100_000),
    "an error of its own": error(500),
    "a redirect": Reply(302, headers={"location": "http://127.0.0.1:9/"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_nonsense_is_an_error_that_can_be_read(kind: str, name: str, tmp_path: Path) -> None:
    service = Service(SPEAK[kind], HOSTILE[name])
    with pytest.raises(EndpointError) as caught:
        run(kind, tmp_path, service, predict_files(FILES[:1]))
    assert 10 < len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
    assert len(service.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_endless_answer_is_cut(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_ANSWER_BYTES", 10_000)
    with pytest.raises(EndpointError, match="at most 10000 bytes"):
        run(kind, tmp_path, Service(SPEAK[kind], Reply(body=bytes(50_000))), predict_files(FILES[:1]))


@pytest.mark.parametrize("kind", KINDS)
def test_patience_ends(kind: str, tmp_path: Path, no_waiting: list[float]) -> None:
    service = Service(SPEAK[kind], error(503), always=True)
    with pytest.raises(EndpointError, match="503 words") as caught:
        run(kind, tmp_path, service, predict_files(FILES[:1]))
    assert not isinstance(caught.value, Refused | Gone)
    assert len(service.asked) == http.ATTEMPTS


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_go_to_the_service_and_nowhere_else(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "s3cr3t-value")
    service = Service(SPEAK[kind], error(500, "Bearer s3cr3t-value is wrong"))
    with pytest.raises(EndpointError) as caught:
        run(kind, tmp_path, service, predict_files(FILES[:1]), headers={"authorization": "Bearer $A_KEY"})
    assert [request.headers["authorization"] for request in service.asked] == ["Bearer s3cr3t-value"]
    assert {r.headers["authorization"] for r in service.looked} <= {"Bearer s3cr3t-value"}
    assert "s3cr3t" not in str(caught.value)
    assert "Bearer $A_KEY is wrong" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_images_a_second_are_bounded(kind: str, tmp_path: Path, no_waiting: list[float]) -> None:
    async def asked(endpoint: Any) -> Any:
        return [await endpoint.predict_files([file]) for file in FILES]

    run(kind, tmp_path, Service(SPEAK[kind]), asked, max_qps=0.5)
    assert len(no_waiting) == len(FILES) - 1
    for number, wait in enumerate(no_waiting, 1):  # noted, not slept: they add up
        assert 2 * number - 1.5 < wait <= 2 * number


@pytest.mark.parametrize("kind", KINDS)
def test_entering_comes_first(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Service(SPEAK[kind]).served() as url:
            target = await target_of(access(kind, url, tmp_path), None, None)
            await endpoint_of(target).predict_files(FILES[:1])

    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(main())

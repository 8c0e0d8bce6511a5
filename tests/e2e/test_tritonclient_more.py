"""NVIDIA's client once more: compression, ids, many at once, the asynchronous one."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.http.aio import InferenceServerClient as AsyncClient
from tritonclient.utils import InferenceServerException

from models.results import Array
from tests.e2e.triton import KEY, files, given, jpeg, tensor


@pytest.fixture
def client(triton_host: str) -> Iterator[Any]:
    with InferenceServerClient(triton_host, concurrency=8) as client:
        yield client


@pytest.mark.parametrize("there", [None, "gzip", "deflate"])
@pytest.mark.parametrize("back", [None, "gzip", "deflate"])
def test_both_ways_may_be_compressed(client: Any, there: str | None, back: str | None) -> None:
    sent = tensor(count=4)
    told = client.infer(
        "echo-float32",
        [given(sent)],
        request_compression_algorithm=there,
        response_compression_algorithm=back,
    )
    assert np.array_equal(told.as_numpy("echo"), sent)


def test_ids_come_back_and_other_settings_do_no_harm(client: Any) -> None:
    told = client.infer(
        "lamp", [given(tensor())], request_id="one", priority=2, timeout=10_000_000, sequence_id=5
    )
    assert told.get_response()["id"] == "one"
    assert told.get_response()["model_version"] == "2"
    assert client.infer("lamp", [given(tensor())], model_version="1").get_response()["model_version"] == "1"


def test_a_timeout_that_is_over_is_an_exception(client: Any) -> None:
    with pytest.raises(InferenceServerException) as late:
        client.infer("lamp", [given(files(jpeg()))], timeout=1)
    assert late.value.status() in ("503", "504")


def test_what_is_asked_at_once_is_answered_apart(client: Any, triton_host: str) -> None:
    def row(i: int) -> Array:
        return np.full((1, 3, 8, 8), i + 1, np.float32)

    asked = [client.async_infer("echo-float32", [given(row(i))]) for i in range(40)]
    for i, handle in enumerate(asked):
        assert np.array_equal(handle.get_result().as_numpy("echo"), row(i))

    def own(i: int) -> bool:
        with InferenceServerClient(triton_host) as mine:
            told = [mine.infer("echo-float32", [given(row(i + k))]).as_numpy("echo") for k in range(5)]
        return all(np.array_equal(got, row(i + k)) for k, got in enumerate(told))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(own, range(24)))


def test_the_asynchronous_client_does_the_same(triton_host: str) -> None:
    async def whole() -> None:
        async with AsyncClient(triton_host) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("shade")
            assert (await client.get_model_metadata("shade"))["name"] == "shade"
            assert (await client.get_model_config("shade"))["max_batch_size"] == 4
            assert (await client.get_inference_statistics("shade"))["model_stats"]
            assert await client.get_model_repository_index()
            await client.unload_model("echo-uint8", headers=KEY)
            await client.load_model("echo-uint8", headers=KEY)
            sent = [np.full((1, 3, 8, 8), i + 1, np.float32) for i in range(16)]
            told = await asyncio.gather(
                *[
                    client.infer(
                        "echo-float32",
                        [given(row, binary=i % 2 == 0)],
                        request_id=str(i),
                        request_compression_algorithm=[None, "gzip", "deflate"][i % 3],
                        response_compression_algorithm=[None, "deflate", "gzip"][i % 3],
                    )
                    for i, row in enumerate(sent)
                ]
            )
            assert [t.get_response()["id"] for t in told] == [str(i) for i in range(16)]
            for got, row in zip(told, sent, strict=True):
                assert np.array_equal(got.as_numpy("echo"), row)
            maps = (await client.infer("shade", [given(files(jpeg(), jpeg(1)))])).as_numpy("answer.labels")
            assert (maps.shape, maps.dtype) == ((2, 40, 30), np.uint8)
            with pytest.raises(InferenceServerException, match="model must be one of") as refused:
                await client.infer("nothing", [given(sent[0])])
            assert refused.value.status() == "404"

    asyncio.run(whole())


def test_bodies_it_makes_for_other_clients_are_read(triton_host: str) -> None:
    body, length = InferenceServerClient.generate_request_body([given(tensor())])
    connection = http.client.HTTPConnection(triton_host, timeout=30)
    try:
        headers = {"Inference-Header-Content-Length": str(length)}
        connection.request("POST", "/v2/models/frame/infer", body, headers)
        answer = connection.getresponse()
        size = answer.headers["Inference-Header-Content-Length"]
        told = InferenceServerClient.parse_response_body(answer.read(), header_length=int(size))
        assert told.as_numpy("boxes").shape == (2, 1, 4)
        # A path that is encoded twice must not be read once more than the keys were asked for.
        for path in ("/v2/%2572epository/models/lamp/unload", "/v2x/repository/models/lamp/unload"):
            connection.request("POST", path)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (404, "unknown_route")
    finally:
        connection.close()

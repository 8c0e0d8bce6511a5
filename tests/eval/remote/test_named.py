"""An answer of another model or version is not believed, whichever way it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from yarl import URL

from eval.errors import EndpointError
from eval.remote.assay import AssayEndpoint
from eval.remote.reply import Reply as Heard
from eval.remote.tensors import read_outputs
from models.decoding import encode_png
from models.results import Classification
from tests.eval.remote.services import Reply, Request, Service
from tests.eval.remote.speakers import LENGTH, assay_raw

IMAGE = np.full((5, 7, 3), 51, np.uint8)


def ask(more: Mapping[str, Any], *, pixels: bool, version: int | None = 3) -> Any:
    """What a service is understood to say that puts this in its answers."""

    def speak(request: Request) -> Reply:
        reply = assay_raw(request)
        if request.method == "GET":
            return reply
        size = int(reply.headers.get(LENGTH, len(reply.body)))
        told = {**orjson.loads(reply.body[:size]), **more}
        head = orjson.dumps({key: value for key, value in told.items() if value is not None})
        headers = {LENGTH: str(len(head))} if LENGTH in reply.headers else {}
        return Reply(200, head + reply.body[size:], headers)

    async def main() -> Any:
        async with Service(speak).served() as url:
            endpoint = AssayEndpoint[Classification](url, task="classification", model="m", version=version)
            async with endpoint:
                return await (
                    endpoint.predict([IMAGE]) if pixels else endpoint.predict_files([encode_png(IMAGE)])
                )

    return asyncio.run(main())


RAW: list[dict[str, Any]] = [{"model_name": "m"}, {"model_version": "3"}, {"model_version": None}]
TYPED: list[dict[str, Any]] = [{"model": "m"}, {"version": 3}, {"version": None}, {"model": None}]


@pytest.mark.parametrize(
    ("pixels", "more"), [*((True, more) for more in RAW), *((False, more) for more in TYPED)]
)
def test_the_one_that_was_asked_may_say_so(pixels: bool, more: dict[str, Any]) -> None:
    (answer,) = ask(more, pixels=pixels)
    assert answer.scores[1] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("pixels", "more", "words"),
    [
        (True, {"model_name": "n"}, "model_name must be m, got 'n'"),
        (True, {"model_version": "4"}, "model_version must be 3, got '4'"),
        (False, {"model": "n"}, "must answer as model m, got 'n'"),
        (False, {"version": 4}, "must answer as version 3, got '4'"),
    ],
)
def test_another_one_is_not_believed(pixels: bool, more: dict[str, Any], words: str) -> None:
    with pytest.raises(EndpointError, match=words):
        ask(more, pixels=pixels)


def test_any_version_will_do_where_none_is_named() -> None:
    assert len(ask({"version": 4}, pixels=False, version=None)) == 1


def test_other_servers_call_it_what_they_like() -> None:
    """Their outputs are raw; only ours answers in columns of its own."""
    told = Heard(URL("http://h"), 200, {}, b'{"model_name": "a pipeline", "outputs": []}')
    assert read_outputs(told) == {}
    with pytest.raises(EndpointError, match="model_name must be m, got 'a pipeline'"):
        read_outputs(told, ("m", None))

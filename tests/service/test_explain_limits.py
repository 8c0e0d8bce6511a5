"""An explanation is fifty images: a service that may not take so many, or so much, says so at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from models.decoding import encode_png
from service.engine import Engine
from service.errors import Overloaded, TooLate
from service.explain import METHOD
from service.intake import array_piece
from service.settings import ServiceSettings
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error, sent
from tests.service.fakes import held

PICTURE = np.full((60, 80, 3), 200, np.uint8)  # 49 copies take 705,600 bytes


def test_a_service_of_fewer_images_refuses_it(repository: Path) -> None:
    with started(repository, max_images=50) as client, documented(client):
        refused = sent(client, "/classify", encode_png(PICTURE), explain="occlusion")
        assert_error(refused, 413, "too_many_images")
        assert sent(client, "/classify", encode_png(PICTURE)).status_code == 200


def test_memory_of_the_copies_is_counted(repository: Path) -> None:
    with started(repository, max_buffered_bytes=100_000) as client, documented(client):
        for _ in range(3):  # what was counted is given back
            refused = sent(client, "/classify", encode_png(PICTURE), explain="occlusion")
            assert_error(refused, 503, "out_of_memory")
        assert sent(client, "/classify", encode_png(PICTURE)).status_code == 200


def test_a_full_queue_refuses_the_covered_pictures_whole(repository: Path) -> None:
    """Of forty-nine, none is run when there is no room for all."""

    async def run() -> None:
        live, runner = held(repository, max_waiting=12)
        engine = Engine(ServiceSettings(runs=1))
        pieces = [array_piece(live, PICTURE) for _ in range(METHOD.queries)]
        soon = time.monotonic() + 30
        first = [asyncio.create_task(engine.run(live, pieces[:4], deadline=soon)) for _ in range(3)]
        while not runner.began.is_set():
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await engine.run(live, pieces, deadline=soon)
        with pytest.raises(TooLate):
            await engine.run(live, pieces[:1], deadline=time.monotonic() + 0.01)
        runner.go.set()
        await asyncio.gather(*first)
        engine.close()
        assert sum(map(len, runner.batches)) == 12

    asyncio.run(run())

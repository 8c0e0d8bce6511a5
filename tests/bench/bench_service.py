"""What HTTP costs: the same digits asked in this process and through a real service.

Prints images a second and their ratio for several requests shapes; medians of 5 rounds, in turn.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from eval.collect import ask_all
from eval.data.tables import open_data
from eval.remote.assay import AssayEndpoint
from models.cli import ZOO
from models.decoding import decode
from models.repository import newest, open_version, versions
from models.results import Classification
from tests.e2e.processes import running_service

ROUNDS, IMAGES = 5, 500
SHAPES = ((1, 1), (1, 8), (16, 4), (64, 4))  # images a request, requests at once


def main() -> None:
    data = open_data("digits:test", "classification").first(IMAGES)
    files = [sample.file for sample in data]
    predictor = open_version(newest(versions(ZOO), "digits"))

    def inside() -> float:
        began = time.perf_counter()
        for file in files:
            predictor.predict([decode(file)])
        return IMAGES / (time.perf_counter() - began)

    async def through(url: str, batch: int, concurrency: int) -> float:
        async with AssayEndpoint[Classification](url, task="classification", model="digits") as endpoint:
            began = time.perf_counter()
            async for asked in ask_all(endpoint, data, batch=batch, concurrency=concurrency):
                if asked.answer is None:
                    raise RuntimeError(asked.error)
            return IMAGES / (time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as home, running_service(Path(home)) as url:
        for batch, concurrency in SHAPES:
            pairs = [(inside(), asyncio.run(through(url, batch, concurrency))) for _ in range(ROUNDS)]
            local, live = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(
                f"{batch:3} images a request, {concurrency} at once: {live:6.0f} images/s live, "
                f"{local:6.0f} in process one by one, ratio {ratio:.2f}"
            )


if __name__ == "__main__":
    main()

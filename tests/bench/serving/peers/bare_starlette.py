"""The least a Python server can do: one Starlette route on uvicorn, the raw body in, JSON out.

A small net runs in the handler itself; with `BENCH_POOL` the work goes to that many threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.bench.serving.peers.work import Net, number

net = Net()
pool = ThreadPoolExecutor(number("BENCH_POOL")) if number("BENCH_POOL") else None


def _raw(body: bytes) -> dict[str, Any]:
    width, height = net.size
    return net.pixels(np.frombuffer(body, np.uint8).reshape(height, width, 3))


async def _answer(work: Callable[[bytes], dict[str, Any]], request: Request) -> Response:
    body = await request.body()
    if pool is None:
        return JSONResponse(work(body))
    return JSONResponse(await asyncio.get_running_loop().run_in_executor(pool, work, body))


async def predict(request: Request) -> Response:
    return await _answer(net.file, request)


async def tensor(request: Request) -> Response:
    return await _answer(_raw, request)


async def health(_: Request) -> Response:
    return Response()


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/predict", predict, methods=["POST"]),
        Route("/tensor", tensor, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=number("BENCH_PORT"),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )

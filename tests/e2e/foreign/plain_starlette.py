"""A plain JSON server, as people write one."""

from __future__ import annotations

from digits import Digits  # type: ignore[import-not-found]  # beside it: the server runs in this folder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

model = Digits()


async def predict(request: Request) -> JSONResponse:
    return JSONResponse(model.answer(await request.json()))


async def health(_: Request) -> JSONResponse:
    return JSONResponse({"fine": True})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/health", health)])

"""VisionService: the BentoML service. Wiring only."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Any, cast

import bentoml
from _bentoml_sdk.io_models import IODescriptor
from _bentoml_sdk.service import get_current_service
from pydantic import BaseModel, Field, create_model
from starlette.requests import Request
from starlette.responses import Response

from models.card import TaskName
from models.wire import ClassifyAnswer, DetectAnswer, SegmentAnswer
from service import openapi, protocol, typed
from service.calls import Call, Reply, error_reply
from service.errors import ServiceError
from service.logs import start_logging
from service.middleware import Edge, request_id_of
from service.running import Running, start
from service.settings import ServiceSettings
from service.typed import PARAMETERS

__all__ = ["VisionService"]


class _Upload(IODescriptor):
    """An input whose request is handed over unread, so that only our intake ever parses it."""

    @classmethod
    async def from_http_request(cls, request: Request, _: object) -> _Upload:
        values = dict.fromkeys(cls.model_fields)
        return cast("_Upload", cls.model_construct(**{**values, "image": request}))


def _upload(task: TaskName) -> type[IODescriptor]:
    """The documented input of a route: the task's parameters and its images."""
    kind: type[BaseModel] = PARAMETERS[task]
    fields: dict[str, Any] = {name: (info.annotation, info) for name, info in kind.model_fields.items()}
    image = (
        list[Path],
        Field(min_length=1, description="One image file or several; JPEG, PNG, WebP, BMP, GIF or TIFF."),
    )
    made: type[IODescriptor] = create_model(kind.__name__, __base__=_Upload, image=image, **fields)
    return made


def _current() -> Running | None:
    """What runs in this process; None until BentoML has made its service."""
    try:
        return cast("Running", get_current_service().running)
    except (AttributeError, RuntimeError, ValueError):
        return None


# What each setting is for is told in the README ("Operations"). The timeout is a net under ours.
@bentoml.service(
    name="assay",
    workers=ServiceSettings().workers,
    traffic={"timeout": 120},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class VisionService:
    """Classification, detection and segmentation over a repository of ONNX models."""

    def __init__(self) -> None:
        start_logging()
        self.running = start(functools.cache(lambda: openapi.document(_described())))

    @bentoml.on_deployment
    def replace_dead_workers() -> None:  # BentoML calls it on the class, in the parent
        """In a container too, where BentoML would go on without them until the last one is dead."""
        os.environ.pop("BENTOML_CONTAINERIZED", None)

    @bentoml.on_startup
    async def take_signals(self) -> None:
        self.running.drain.install()

    async def __is_ready__(self) -> bool:
        return self.running.ready

    @bentoml.on_shutdown
    def close(self) -> None:
        self.running.close()

    @bentoml.api(input_spec=_upload("classification"))
    async def classify(self, image: Request, **_: object) -> ClassifyAnswer:
        """The best classes of each image."""
        return cast("ClassifyAnswer", await self._answer("classification", image))

    @bentoml.api(input_spec=_upload("detection"))
    async def detect(self, image: Request, **_: object) -> DetectAnswer:
        """Objects in each image: boxes in pixels of the image as sent, best first."""
        return cast("DetectAnswer", await self._answer("detection", image))

    @bentoml.api(input_spec=_upload("segmentation"))
    async def segment(self, image: Request, **_: object) -> SegmentAnswer:
        """The class of every pixel of each image as sent, run-length encoded."""
        return cast("SegmentAnswer", await self._answer("segmentation", image))

    async def _answer(self, task: TaskName, request: Request) -> Response:
        """As at the edge, where BentoML's own dispatch has the call."""
        deadline = time.monotonic() + self.running.settings.timeout_s
        headers = dict(request.scope["headers"])
        call = Call(request.scope, request.receive, request_id_of(request.scope), deadline, headers)
        try:
            reply = await typed.answer(self.running, call, task)
        except ServiceError as error:
            reply = error_reply(error, call.request_id)
        finally:
            self.running.memory.release(call)
        return _response(reply)


def _response(reply: Reply) -> Response:
    return Response(
        reply.body, reply.status, {name.decode(): value.decode() for name, value in reply.headers}
    )


def _described() -> dict[str, Any]:
    told: dict[str, Any] = VisionService.openapi_spec.asdict()  # type: ignore[attr-defined]  # see below
    return told


VisionService.add_asgi_middleware(Edge, current=_current)  # type: ignore[attr-defined]  # it is a Service now
protocol.install(_current)

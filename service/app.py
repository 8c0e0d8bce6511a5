"""VisionService: the BentoML service. Wiring only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import bentoml
import orjson
from _bentoml_sdk.io_models import IODescriptor
from pydantic import BaseModel, Field, create_model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.card import TaskName
from models.wire import ClassifyAnswer, DetectAnswer, SegmentAnswer, answer_of
from service.engine import Engine
from service.errors import ServiceError, error_response
from service.intake import ClassifyParameters, DetectParameters, Parameters, read_call
from service.logs import start_logging
from service.middleware import Edge, request_id_of
from service.registry import Registry
from service.settings import ServiceSettings
from service.telemetry import CONTENT_TYPE_LATEST, exposition

__all__ = ["VisionService"]

PARAMETERS: dict[TaskName, type[Parameters]] = {
    "classification": ClassifyParameters,
    "detection": DetectParameters,
    "segmentation": Parameters,
}


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
    image = (list[Path], Field(description="One image file or several; JPEG, PNG, WebP, BMP, GIF or TIFF."))
    made: type[IODescriptor] = create_model(kind.__name__, __base__=_Upload, image=image, **fields)
    return made


async def _metrics(_: Request) -> Response:
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)


async def _models(_: Request) -> Response:
    service = bentoml.get_current_service()
    body = {"models": service.registry.listing(), "error": service.registry.error}
    return Response(orjson.dumps(body), media_type="application/json")


# BentoML puts its own layers around these routes too. Its raw-path metrics and its log lines of
# free text are replaced by ours (telemetry, middleware); its timeout is a net under ours.
@bentoml.asgi_app(Starlette(routes=[Route("/metrics", _metrics), Route("/models", _models)]), path="/")
@bentoml.service(
    name="assay",
    workers=1,
    traffic={"timeout": 120},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class VisionService:
    """Classification, detection and segmentation over a repository of ONNX models."""

    def __init__(self) -> None:
        start_logging()
        self.settings = ServiceSettings()
        self.registry = Registry(self.settings.model_repository, threads=self.settings.threads)
        self.engine = Engine(self.settings)
        self.registry.start()

    def __is_ready__(self) -> bool:
        return self.registry.ready

    @bentoml.on_shutdown
    def close(self) -> None:
        self.engine.close()

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
        """bytes -> intake -> prepare -> infer -> interpret -> wire, or the one error body."""
        try:
            call = await read_call(request, PARAMETERS[task], self.settings)
            asked = call.parameters
            live = self.registry.find(task, asked.model, asked.version)
            results = await self.engine.predict(live, call.files)
        except ServiceError as error:
            return error_response(error, request_id_of(request.scope))
        options = asked.model_dump(exclude={"model", "version"})
        body = orjson.dumps(answer_of(live.card, results, **options), option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")


VisionService.add_asgi_middleware(Edge)  # type: ignore[attr-defined]  # the decorator made it a Service

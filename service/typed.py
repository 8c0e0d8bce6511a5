"""`POST /classify`, `/detect`, `/segment`: pictures in a form or as the body, answers as JSON.

BentoML's own file parameters fetch URLs that are given as text and answer a broken image with
500. So no upload passes through them: the body is read, limited and split here, and text where
a file belongs is refused, never followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from python_multipart.multipart import parse_options_header

from models.card import TaskName
from models.decoding import decode, encode_png
from models.drawing import drawn
from models.results import Detections, Result, Segmentation
from models.wire import answer_of
from service.body import read_body
from service.calls import Call, Reply, json_reply
from service.errors import BadParameter, NoImage, UnsupportedBody, Unusable
from service.explain import Explained, check_explainable, explained
from service.intake import Pixels, check_count, picture_piece
from service.multipart import FIELD, Parts
from service.running import Running

__all__ = ["PARAMETERS", "ClassifyParameters", "DetectParameters", "Parameters", "answer"]

MAX_FIELDS = 64  # of a query


class Parameters(BaseModel):
    """What any request may say besides its images, in the query or as form fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str | None = Field(None, max_length=64, description="Needed when several models do the task.")
    version: PositiveInt | None = Field(None, description="The latest when not given.")
    explain: Literal["occlusion"] | None = Field(
        None, description="Also say which parts of the one picture the answer rests on; asks 50 times more."
    )


class ClassifyParameters(Parameters):
    """`POST /classify`."""

    top_k: PositiveInt = Field(5, le=1000, description="Classes named for each image.")
    scores: bool = Field(False, description="Also give the score of every class.")


class DetectParameters(Parameters):
    """`POST /detect`."""

    score_threshold: float = Field(0.3, ge=0, le=1, description="Weaker objects are left out.")


PARAMETERS: Mapping[TaskName, type[Parameters]] = {
    "classification": ClassifyParameters,
    "detection": DetectParameters,
    "segmentation": Parameters,
}
Asked = TypeVar("Asked", bound=Parameters)


async def answer(running: Running, call: Call, task: TaskName) -> Reply:
    """bytes -> intake -> prepare -> infer -> interpret -> wire.

    Raises:
        ServiceError: whatever is wrong with the request or the moment.
    """
    told = _query(call)
    media, options = parse_options_header(call.text(b"content-type"))
    form = media == b"multipart/form-data"
    if not (form or media.startswith(b"image/") or media == b"application/octet-stream"):
        kind = media.decode("latin-1")[:80]
        raise UnsupportedBody(f"content type must be multipart/form-data or image/*, got {kind!r}")
    if not form:  # all is known but the picture: a full queue refuses it unread
        asked = _parameters(told, PARAMETERS[task])
        running.engine.admit(running.registry.find(task, asked.model, asked.version), 1, call.deadline)
    body = await read_body(call, running.settings, running.memory)
    files = [body]
    if form:
        parts = Parts(running.settings.max_images)
        parts.read(body, options.get(b"boundary", b""))
        files, told = parts.files, told + parts.texts
    if not files:
        raise NoImage(f"the request must hold an image file in the field {FIELD!r}, got none")
    asked = _parameters(told, PARAMETERS[task])
    live = running.registry.find(task, asked.model, asked.version)
    count = check_explainable(len(files)) if asked.explain else len(files)
    check_count(count, running.settings.max_images)
    if asked.explain:
        running.engine.admit(live, count, call.deadline)
    call.model, call.images = f"{live.card.name}/{live.card.version}", count
    pixels = Pixels(running.settings.max_pixels)
    outcomes = await running.engine.run(
        live, [picture_piece(live, file, pixels) for file in files], deadline=call.deadline, gone=call.gone
    )
    results = [result for outcome in outcomes for result in outcome.answers]
    wanted = asked.model_dump(exclude={"model", "version", "explain"})
    why = None
    if asked.explain:
        why = await explained(running, call, live, files[0], _shown(results[0], wanted))
    if call.text(b"accept").strip().lower() == "image/png":
        return await asyncio.to_thread(_drawn, files, results, live.card.labels, wanted, why)

    def written() -> Reply:
        body = answer_of(live.card, results, **wanted)
        if why is not None:
            body["explanation"] = why.told(live.card.labels)
        return json_reply(body)

    # A label map has hundreds of thousands of pixels; the loop must not wait for their runs.
    return await asyncio.to_thread(written) if task == "segmentation" else written()


def _shown(result: Result, wanted: dict[str, Any]) -> Result:
    """Without the objects that were not asked for."""
    if isinstance(result, Detections):
        return result[result.scores >= wanted["score_threshold"]]
    return result


def _drawn(
    files: Sequence[bytes],
    results: Sequence[Result],
    labels: Sequence[str],
    wanted: dict[str, Any],
    why: Explained | None,
) -> Reply:
    """The answer on its picture, or what it rests on, for `Accept: image/png`."""
    if len(files) != 1:
        raise Unusable(f"Accept: image/png draws one picture, got {len(files)}; ask for JSON")
    image, result = decode(files[0]), _shown(results[0], wanted)
    if why is not None:
        image = why.drawn(image)
        # The colours of a label map would hide the heat; of objects, the explained one is the surest.
        result = result[result.scores.argsort()[-1:]] if isinstance(result, Detections) else result
    covered = why is not None and isinstance(result, Segmentation)
    picture = image if covered else drawn(image, result, labels, top=wanted.get("top_k", 5))
    return Reply(encode_png(picture), headers=[(b"content-type", b"image/png")])


def _query(call: Call) -> list[tuple[str, str]]:
    query = call.scope.get("query_string", b"").decode("latin-1")
    if not query:
        return []
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadParameter(f"a query must have at most {MAX_FIELDS} parameters, got more") from error


def _parameters(told: Iterable[tuple[str, str]], kind: type[Asked]) -> Asked:
    values: dict[str, str] = {}
    for name, value in told:
        if name in values:
            raise BadParameter(f"{name[:40]!r} must be given once, got it twice")
        values[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise BadParameter(f"parameters are {', '.join(kind.model_fields)}, got {name[:40]!r}") from error
        raise BadParameter(f"{name}: {first['msg']}, got {values.get(name, '')[:40]!r}") from error

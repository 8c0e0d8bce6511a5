"""`POST /v2/models/{model}/infer`: from the protocol's bytes to pieces, and from outcomes to its bytes.

The one input has the graph's own name. What may be sent for it:

* the graph's own tensor, prepared by the client: its datatype, its shape;
* BYTES `[N]`: JPEG, PNG ... files, decoded and prepared here;
* UINT8 `[N, H, W, 3]`: pictures, decoded already, prepared here;
* with `Inference-Header-Content-Length: 0` or an `image/*` content type, one file as the whole body.

Outputs are the graph's own and the answers as columns (`models.columns`). A request that names none
gets the graph's outputs for a tensor and the answers for pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from models.columns import ports_of
from models.ports import Port
from models.results import Array
from models.tensors import BadTensor as Unreadable
from models.tensors import Tensor, brief, datatype_of, read_json, read_raw
from service.batcher import Rows
from service.engine import Piece
from service.errors import BadRequest, BadTensor, ImageTooLarge, NotFinite
from service.intake import SMALL_VALUES, Pixels, array_piece, check_count, picture_piece
from service.registry import Live
from service.settings import ServiceSettings

__all__ = ["Wanted", "Work", "read_request"]

MAX_JSON_BYTES = 4_000_000  # parsing holds the interpreter; larger tensors belong into the binary part
MAX_NAME = 256
# Where a tensor begins decides how onnxruntime's sums are rounded; the length of the JSON in front of it
# must not, or one tensor has several answers.
ALIGNED_BYTES = 16


class _Told(BaseModel):
    """Parts of a request; unknown keys are let pass, as the protocol asks."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Input(_Told):
    name: StrictStr = Field(max_length=MAX_NAME)
    datatype: StrictStr = Field(max_length=16)
    shape: list[StrictInt] = Field(max_length=16)
    parameters: dict[str, Any] = {}
    data: Any = None


class _Output(_Told):
    name: StrictStr = Field(max_length=MAX_NAME)
    parameters: dict[str, Any] = {}


class _Request(_Told):
    id: StrictStr | None = Field(None, max_length=1024)
    parameters: dict[str, Any] = {}
    inputs: list[_Input] = Field(min_length=1, max_length=64)
    outputs: list[_Output] = Field([], max_length=64)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output that was asked for.

    Attributes:
        binary: as raw bytes behind the JSON.
        best: the `classification` extension's number of classes, or 0.
    """

    name: str
    binary: bool
    best: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """A request, read.

    Attributes:
        timeout_s: what the request allows itself, or None.
    """

    pieces: Sequence[Piece]
    images: int
    wanted: Sequence[Wanted]
    id: str | None = None
    timeout_s: float | None = None


def read_request(live: Live, body: bytes, header: str, kind: str, settings: ServiceSettings) -> Work:
    """A body as work.

    Args:
        header: the value of `Inference-Header-Content-Length`, empty where there is none.
        kind: the content type.

    Raises:
        ServiceError: 400, 413 or 422.
    """
    try:
        picture = not header and kind.startswith("image/")
        if picture or header == "0":
            return _raw(live, body, settings, picture=picture)
        request, buffer = _parsed(body, header)
        tensor = _tensor(live, request, buffer, settings.max_images)
    except Unreadable as error:
        raise BadTensor(str(error)) from error
    pictures, pieces = _pieces(live, tensor, settings)
    wanted = _wanted(live, request, pictures)
    timeout = request.parameters.get("timeout")
    if timeout is not None and (type(timeout) is not int or timeout < 0):
        raise BadRequest(f"the parameter 'timeout' must be whole microseconds, got {brief(timeout)}")
    seconds = timeout / 1e6 if timeout else None  # 0 is the protocol's "no limit"
    return Work(pieces, sum(piece.count for piece in pieces), wanted, request.id, seconds)


def _raw(live: Live, body: bytes, settings: ServiceSettings, *, picture: bool) -> Work:
    """The whole body is the one element of the one input.

    Args:
        picture: the content type says that it is one, and the answer is JSON. Else, as the protocol has
            it, a body of just the right size is a tensor, and all outputs are binary.
    """
    (port,) = live.inputs[:1]
    if not picture and len(body) == port.row_bytes and not _magic(body):
        tensor = read_raw(
            port.name, datatype_of(np.empty(0, port.dtype)), (1, *port.shape[1:]), memoryview(body)
        )
        _, pieces = _pieces(live, tensor, settings)
        return Work(pieces, 1, [Wanted(p.name, binary=True) for p in live.outputs])
    wanted = [Wanted(p.name, binary=not picture) for p in ports_of(live.card)]
    return Work([picture_piece(live, body, Pixels(settings.max_pixels))], 1, wanted)


def _magic(body: bytes) -> bool:
    """Whether the body begins like a picture file."""
    return body[:3] == b"\xff\xd8\xff" or body[:4] in (b"\x89PNG", b"RIFF", b"GIF8", b"II*\0", b"MM\0*")


def _parsed(body: bytes, header: str) -> tuple[_Request, memoryview]:
    """The JSON part, checked, and the bytes behind it."""
    length = len(body)
    if header:
        if not (header.isascii() and header.isdecimal()) or len(header) > 18 or int(header) > len(body):
            raise BadRequest(f"Inference-Header-Content-Length must be 0 to {len(body)}, got {header[:40]!r}")
        length = int(header)
    if length > MAX_JSON_BYTES:
        raise BadRequest(
            f"the JSON part must have at most {MAX_JSON_BYTES} bytes, got {length}; send binary data"
        )
    whole = memoryview(body)
    try:
        told = orjson.loads(whole[:length])
        return _Request.model_validate(told), whole[length:]
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body must be JSON: {error}") from error
    except RecursionError as error:
        raise BadRequest("the JSON is nested too deep") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise BadRequest(f"{where}: {first['msg']}") from error


def _tensor(live: Live, request: _Request, buffer: memoryview, most: int) -> Tensor:
    """The one input, from JSON or from the bytes behind it."""
    names = [port.name for port in live.inputs]
    if [told.name for told in request.inputs] != names:
        got = ", ".join(told.name for told in request.inputs)[:200]
        raise BadTensor(f"the inputs must be {', '.join(names)}, got {got}")
    told = request.inputs[0]
    size = told.parameters.get("binary_data_size")
    shape = tuple(told.shape)
    if told.datatype == "BYTES":  # fifty times as large as objects: counted before they are made
        check_count(math.prod(shape), most)
    if size is None:
        if len(buffer):
            raise BadRequest(f"{len(buffer)} bytes behind the JSON belong to no input")
        return read_json(
            told.name, told.datatype, shape, told.data, content_type=told.parameters.get("content_type")
        )
    if type(size) is not int or size != len(buffer):
        raise BadRequest(
            f"binary_data_size must be the {len(buffer)} bytes behind the JSON, got {brief(size)}"
        )
    if told.data is not None:
        raise BadRequest(f"{told.name!r} must have data or binary_data_size, not both")
    return read_raw(told.name, told.datatype, shape, buffer)


def _pieces(live: Live, tensor: Tensor, settings: ServiceSettings) -> tuple[bool, list[Piece]]:
    """What is to be run, and whether it is pictures.

    Raises:
        ServiceError: a tensor the model does not take.
    """
    port, values = live.inputs[0], tensor.values
    if not isinstance(values, np.ndarray):
        check_count(len(values), settings.max_images)
        pixels = Pixels(settings.max_pixels)
        return True, [picture_piece(live, data, pixels) for data in values]
    check_count(tensor.shape[0], settings.max_images)
    if values.dtype == port.dtype and _fits(tensor.shape, port):
        return False, _tensor_pieces(live, values)
    if tensor.datatype == "UINT8" and len(tensor.shape) == 4 and tensor.shape[3] == 3:
        height, width = tensor.shape[1:3]
        if height * width == 0:
            raise BadTensor(f"pictures must have pixels, got {list(tensor.shape)}")
        if values.size // 3 > settings.max_pixels:
            raise ImageTooLarge(
                f"a request must have at most {settings.max_pixels} pixels, got {values.size // 3}"
            )
        return True, [array_piece(live, image) for image in values]
    own = datatype_of(np.empty(0, port.dtype))
    raise BadTensor(
        f"{tensor.name!r} must be {own} {list(port.shape)}, UINT8 [-1, -1, -1, 3] or BYTES [-1], "
        f"got {tensor.datatype} {list(tensor.shape)}"
    )


def _fits(shape: tuple[int, ...], port: Port) -> bool:
    return len(shape) == len(port.shape) and all(
        own in (-1, size) and size > 0 for own, size in zip(port.shape[1:], shape[1:], strict=True)
    )


def _tensor_pieces(live: Live, values: Array) -> list[Piece]:
    """The graph's own input, in parts no larger than a batch. Raises NotFinite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise NotFinite("the tensor must be finite, got NaN or infinity")
    if values.__array_interface__["data"][0] % ALIGNED_BYTES:
        values = values.copy()
    card = live.card
    shape = (card.input.height, card.input.width)

    def piece(part: Array) -> Piece:
        rows = Rows(part, [shape] * len(part), foreign=True)
        return Piece(lambda: rows, len(part), light=part.size <= SMALL_VALUES)

    return [piece(values[i : i + card.max_batch]) for i in range(0, len(values), card.max_batch)]


def _wanted(live: Live, request: _Request, pictures: bool) -> list[Wanted]:
    """The outputs to give, in order."""
    every = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        ports = ports_of(live.card) if pictures else live.outputs
        return [Wanted(port.name, every) for port in ports]
    known = {port.name: port for port in (*live.outputs, *ports_of(live.card))}
    wanted: list[Wanted] = []
    for told in request.outputs:
        if told.name not in known or any(w.name == told.name for w in wanted):
            raise BadRequest(f"outputs must be some of {', '.join(known)}, each once, got {told.name[:80]!r}")
        best = told.parameters.get("classification", 0)
        if type(best) is not int or not 0 <= best <= 1000:
            raise BadRequest(f"classification must be 0 to 1000, got {brief(best)}")
        port = known[told.name]
        if best and (len(port.shape) != 2 or port.dtype.kind == "O"):
            raise BadRequest(f"classification needs an output of scores, got {told.name!r}")
        wanted.append(Wanted(told.name, told.parameters.get("binary_data", every) is True, best))
    return wanted

"""Tensors of the Open Inference Protocol v2: datatypes, JSON data, raw bytes; both ways.

Source: Open Inference Protocol, `specification/protocol/inference_rest.md`, and its binary tensor
data extension: little-endian, row-major; BOOL is one byte; a BYTES element is its length as uint32
and then its bytes. JSON `data` may be nested or flat.

Differences: a JSON BYTES tensor may say `"parameters": {"content_type": "base64"}`, because bytes of
a picture are no text; BF16 is not read.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from models.results import Array

__all__ = [
    "DATATYPES",
    "BadTensor",
    "Blob",
    "Tensor",
    "brief",
    "datatype_of",
    "read_json",
    "read_raw",
    "write_raw",
]

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
MAX_RANK = 8
MAX_VALUES = 1 << 48  # more than fits anywhere, and little enough to be counted in bytes
Blob: TypeAlias = bytes | memoryview


class BadTensor(ValueError):
    """A tensor that is not what it says it is; the message names what must be."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named tensor.

    Attributes:
        datatype: one of `DATATYPES`, or `BYTES`.
        shape: sizes, outermost first.
        values: the array in that shape; for BYTES the elements in row-major order.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Array | Sequence[Blob]


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type; text and objects are BYTES."""
    return _NAMES.get(array.dtype.newbyteorder("<"), "BYTES")


def _size(name: str, datatype: str, shape: Sequence[int]) -> int:
    """How many elements there must be.

    Raises:
        BadTensor: unknown datatype, or a shape that is none.
    """
    if datatype not in DATATYPES and datatype != "BYTES":
        raise BadTensor(
            f"the datatype of {name!r} must be one of {', '.join(DATATYPES)}, BYTES, got {datatype!r}"
        )
    if not 0 < len(shape) <= MAX_RANK:
        raise BadTensor(f"{name!r} must have 1 to {MAX_RANK} dimensions, got {len(shape)}")
    if min(shape) < 0:
        raise BadTensor(f"the shape of {name!r} must not be negative, got {list(shape)}")
    # Of a shape with a 0 in it too: an array counts its strides without.
    if math.prod(side or 1 for side in shape) > MAX_VALUES:
        raise BadTensor(f"the shape of {name!r} must have at most {MAX_VALUES} values, got {list(shape)}")
    return math.prod(shape)


def read_raw(name: str, datatype: str, shape: tuple[int, ...], data: memoryview) -> Tensor:
    """A tensor from its bytes, without a copy.

    Raises:
        BadTensor: the bytes are not exactly the shape's.
    """
    size = _size(name, datatype, shape)
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, _split(name, data, size))
    dtype = DATATYPES[datatype]
    if len(data) != size * dtype.itemsize:
        raise BadTensor(
            f"{name!r} of shape {list(shape)} must have {size * dtype.itemsize} bytes, got {len(data)}"
        )
    if datatype == "BOOL":
        return Tensor(name, datatype, shape, np.frombuffer(data, np.uint8).reshape(shape) != 0)
    return Tensor(name, datatype, shape, np.frombuffer(data, dtype).reshape(shape))


def _split(name: str, data: memoryview, size: int) -> list[Blob]:
    elements: list[Blob] = []
    start = 0
    while start < len(data):
        if start + 4 > len(data) or len(elements) == size:
            break
        stop = start + 4 + int.from_bytes(data[start : start + 4], "little")
        if stop > len(data):
            break
        elements.append(data[start + 4 : stop])
        start = stop
    if start != len(data) or len(elements) != size:
        raise BadTensor(f"{name!r} must hold {size} BYTES elements, each after its length, got other bytes")
    return elements


def read_json(
    name: str, datatype: str, shape: tuple[int, ...], data: Any, *, content_type: str | None = None
) -> Tensor:
    """A tensor from parsed JSON, nested or flat.

    Raises:
        BadTensor: too few or too many values, values of another type or out of its range.
    """
    size = _size(name, datatype, shape)
    if not isinstance(data, list):
        raise BadTensor(f"the data of {name!r} must be a list, got {type(data).__name__}")
    flat = _flat(name, data, size)
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, [_element(name, text, content_type) for text in flat])
    return Tensor(name, datatype, shape, _numbers(name, datatype, flat).reshape(shape))


def brief(value: Any) -> str:
    """A JSON value for a message; a list or an object only by its kind, for it may be long or deep."""
    return type(value).__name__ if isinstance(value, list | dict) else repr(str(value)[:40])


def _flat(name: str, data: list[Any], size: int) -> list[Any]:
    """The values in row-major order; nesting deeper than `MAX_RANK` is refused."""
    flat: list[Any] = data
    for _ in range(MAX_RANK - 1):  # `data` itself is one
        if not any(isinstance(value, list) for value in flat):
            break
        if len({len(value) if isinstance(value, list) else -1 for value in flat}) > 1:
            raise BadTensor(f"the data of {name!r} must be nested evenly")
        flat = [value for inner in flat for value in inner]
    if len(flat) != size:
        raise BadTensor(f"{name!r} must have {size} values, got {len(flat)}")
    return flat


def _element(name: str, text: Any, content_type: str | None) -> bytes:
    if not isinstance(text, str):
        raise BadTensor(f"the data of {name!r} must be strings, got {type(text).__name__}")
    if content_type != "base64":
        try:
            return text.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise BadTensor(f"the data of {name!r} must be text: {error.reason}") from error
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTensor(f"the data of {name!r} must be base64: {error}") from error


def _numbers(name: str, datatype: str, flat: list[Any]) -> Array:
    """Numbers of one datatype, none rounded to an integer, wrapped around or made infinite."""
    dtype = DATATYPES[datatype]
    allowed = {"b": (bool,), "u": (int,), "i": (int,), "f": (int, float)}[dtype.kind]
    strange = next((v for v in flat if type(v) not in allowed), None)
    if strange is not None or (None in flat):
        raise BadTensor(f"the data of {name!r} must be {datatype}, got {brief(strange)}")
    try:
        with np.errstate(over="ignore"):
            values = np.array(flat, dtype=dtype)
    except OverflowError as error:
        raise BadTensor(f"the data of {name!r} must fit {datatype}: {error}") from error
    if dtype.kind == "f" and not np.isfinite(values).all():
        raise BadTensor(f"the data of {name!r} must fit {datatype} and be finite")
    return values


def write_raw(values: Array | Sequence[Blob]) -> bytes:
    """A tensor's bytes; bytes elements each after their length."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return b"".join(part for value in values for part in (len(value).to_bytes(4, "little"), bytes(value)))

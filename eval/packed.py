"""An answer as bytes and back, bit for bit: what the journal keeps.

A JSON line says the kind and, of every column, its name, type, shape and number of bytes; the columns
follow. Label maps and masks are kept as runs, so a map of half a megabyte takes a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import orjson

from models.results import Array, Classification, Detections, Result, Segmentation
from models.wire import to_runs

__all__ = ["pack", "unpack"]

KINDS: Mapping[str, Callable[..., Result]] = {
    "classification": Classification,
    "detections": Detections,
    "segmentation": Segmentation,
}
SMALL = {Classification: "classification", Detections: "detections", Segmentation: "segmentation"}


def pack(answer: Result) -> bytes:
    """The answer as bytes; `unpack` gives the same arrays, of the same types."""
    columns = {name: getattr(answer, name) for name in answer.__dataclass_fields__}
    told, parts = [], []
    for name, column in columns.items():
        if column is None:
            continue
        runs = name == "masks" or isinstance(answer, Segmentation)
        values, lengths = to_runs(column.ravel()) if runs else (column, None)
        body = np.ascontiguousarray(values).tobytes()
        told.append([name, column.dtype.str, column.shape, len(body), runs])
        parts.append(body)
        if lengths is not None:
            parts.append(lengths.astype("<u4").tobytes())
    return b"".join([orjson.dumps([SMALL[type(answer)], told]), b"\n", *parts])


def unpack(packed: bytes) -> Result:
    """What was packed.

    Raises:
        ValueError: these bytes are no packed answer.
    """
    try:
        end = packed.index(b"\n")
        kind, told = orjson.loads(packed[:end])
        at, columns = end + 1, {}
        for name, dtype, shape, size, runs in told:
            values = np.frombuffer(packed[at : at + size], dtype)
            at += size
            if runs:
                lengths = np.frombuffer(packed[at : at + 4 * len(values)], "<u4")
                at += 4 * len(values)
                values = np.repeat(values, lengths)
            columns[name] = _writable(values, shape)
        return KINDS[kind](**columns)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a packed answer: {type(error).__name__} {error}") from error


def _writable(values: Array, shape: list[int]) -> Array:
    return values.reshape(shape) if values.flags.writeable else values.reshape(shape).copy()

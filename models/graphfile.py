"""What an ONNX file says before anything loads it: does it point at other files?

A graph may keep its weights outside (`external_data`), at a path the file itself names; following
such a path has been a hole again and again (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, links in
CVE-2026-34446 and CVE-2026-34447), and a digest of the file says nothing about them. So a file that
is served must be whole. The protobuf is walked here, field by field, without a library: serving has
none that knows ONNX.

Source: onnx.proto3 of ONNX 1.21 (field numbers).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["BrokenGraph", "external_tensors"]

# message -> {field: message}; only the way to tensors.
_WAYS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14  # of a tensor
_DEEPEST = 64
_MOST = (1 << 32) - 1


class BrokenGraph(ValueError):
    """The bytes are not the protobuf of an ONNX model."""


def external_tensors(data: bytes) -> list[str]:
    """Names of the tensors whose values lie in other files.

    Raises:
        BrokenGraph: truncated, or no protobuf at all.
    """
    return list(_walk(memoryview(data), "model", 0))


def _walk(data: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise BrokenGraph(f"graphs must be nested at most {_DEEPEST} deep")
    if kind == "tensor":
        fields = list(_fields(data))
        if any(f == _EXTERNAL_DATA or (f == _DATA_LOCATION and value == 1) for f, value in fields):
            names = [
                bytes(v).decode("utf-8", "replace")
                for f, v in fields
                if f == _NAME and not isinstance(v, int)
            ]
            yield names[0] if names else "(no name)"
        return
    ways = _WAYS[kind]
    for field, value in _fields(data):
        if field in ways and not isinstance(value, int):
            yield from _walk(value, ways[field], depth + 1)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one message; values longer than a number are not copied."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key > _MOST:  # onnxruntime would cut it to 32 bits and see another field than we
            raise BrokenGraph(f"a field's number must have 32 bits, got {key}")
        field, wire = key >> 3, key & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield field, number
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise BrokenGraph(f"wire type {wire} is none of protobuf's")
        if at + size > len(data):
            raise BrokenGraph("the file is cut short")
        yield field, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise BrokenGraph("the file is cut short or no protobuf")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7

"""Tensors survive the protocol both ways, and what is not what it says is refused."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from models.results import Array
from models.tensors import (
    DATATYPES,
    BadTensor,
    Tensor,
    brief,
    datatype_of,
    read_json,
    read_raw,
    write_raw,
)

SHAPES = numpy_st.array_shapes(max_dims=8, max_side=3, min_side=0)
FORMATS = {  # struct's, which knows nothing of NumPy
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


@st.composite
def arrays(draw: st.DrawFn, *, finite: bool = False) -> tuple[str, Array]:
    datatype = draw(st.sampled_from(sorted(DATATYPES)))
    dtype = DATATYPES[datatype]
    elements = numpy_st.from_dtype(dtype, allow_nan=not finite, allow_infinity=not finite)
    drawn = draw(numpy_st.arrays(dtype, SHAPES, elements=elements))
    return datatype, drawn


def values(tensor: Tensor) -> Array:
    assert isinstance(tensor.values, np.ndarray)
    return tensor.values


def elements(tensor: Tensor) -> list[bytes]:
    assert not isinstance(tensor.values, np.ndarray)
    return [bytes(value) for value in tensor.values]


def test_every_datatype_of_the_protocol_is_known() -> None:
    assert set(DATATYPES) == set(FORMATS)
    for name, dtype in DATATYPES.items():
        assert dtype.itemsize == struct.calcsize("<" + FORMATS[name])
        assert datatype_of(np.empty(0, dtype)) == name
        assert datatype_of(np.empty(0, dtype.newbyteorder(">"))) == name
    assert datatype_of(np.array(["text"], object)) == "BYTES"


@given(arrays())
def test_bytes_there_and_back_are_the_same_bits(drawn: tuple[str, Array]) -> None:
    datatype, array = drawn
    raw = write_raw(array)
    flat = array.ravel().tolist()
    assert raw == struct.pack(f"<{len(flat)}{FORMATS[datatype]}", *flat) or array.dtype.kind == "f"
    got = read_raw("x", datatype, array.shape, memoryview(raw))
    assert (got.name, got.datatype, got.shape) == ("x", datatype, array.shape)
    assert values(got).dtype == array.dtype
    assert values(got).shape == array.shape
    assert values(got).tobytes() == array.tobytes()


@given(arrays(finite=True), st.booleans())
def test_json_and_bytes_are_the_same_numbers(drawn: tuple[str, Array], nested: bool) -> None:
    datatype, array = drawn
    told = json.loads(json.dumps(array.tolist() if nested else array.ravel().tolist()))
    got = read_json("x", datatype, array.shape, told)
    assert values(got).dtype == array.dtype
    assert values(got).tobytes() == array.tobytes()
    assert write_raw(values(got)) == write_raw(array)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_elements_there_and_back(sent: list[bytes]) -> None:
    raw = write_raw(sent)
    assert raw == b"".join(struct.pack("<I", len(element)) + element for element in sent)
    assert elements(read_raw("x", "BYTES", (len(sent),), memoryview(raw))) == sent
    texts = [base64.b64encode(element).decode() for element in sent]
    assert elements(read_json("x", "BYTES", (len(sent),), texts, content_type="base64")) == sent


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=4))
def test_text_is_its_utf8(sent: list[str]) -> None:
    told = orjson.loads(orjson.dumps(sent))
    assert elements(read_json("x", "BYTES", (len(sent),), told)) == [text.encode() for text in sent]


def test_bytes_are_not_copied() -> None:
    raw = bytearray(write_raw(np.arange(6, dtype=np.float32)))
    assert np.shares_memory(values(read_raw("x", "FP32", (2, 3), memoryview(raw))), np.frombuffer(raw))
    picture = read_raw("x", "BYTES", (1,), memoryview(b"\x02\0\0\0ab"))
    assert isinstance(picture.values[0], memoryview)


def test_writing_puts_rows_first_and_little_ends_first() -> None:
    array = np.array([[1, 2, 3], [4, 5, 6]], ">i4")
    assert write_raw(array.T) == struct.pack("<6i", 1, 4, 2, 5, 3, 6)
    assert write_raw(array[:, ::-1]) == struct.pack("<6i", 3, 2, 1, 6, 5, 4)


def test_any_byte_but_none_is_true() -> None:
    got = values(read_raw("x", "BOOL", (4,), memoryview(b"\0\1\2\xff")))
    assert got.tolist() == [False, True, True, True]
    assert write_raw(got) == b"\0\1\1\1"


@given(st.sampled_from(["FP32", "INT8", "BOOL", "BYTES"]), SHAPES, st.binary(max_size=300))
def test_other_bytes_than_the_shapes_are_refused(datatype: str, shape: tuple[int, ...], data: bytes) -> None:
    try:
        got = read_raw("x", datatype, shape, memoryview(data))
    except BadTensor:
        return
    assert write_raw(got.values) == data or datatype == "BOOL"
    assert len(values(got).ravel() if datatype != "BYTES" else elements(got)) == int(np.prod(shape))


SHORT: dict[str, tuple[int, bytes]] = {
    "nothing": (1, b""),
    "half a length": (1, b"\1\0"),
    "an element cut short": (1, b"\2\0\0\0a"),
    "one more byte": (1, b"\1\0\0\0ab"),
    "one element less": (2, b"\1\0\0\0a"),
    "one element more": (1, b"\1\0\0\0a\0\0\0\0"),
    "a length of four gigabytes": (1, b"\xff\xff\xff\xff"),
    "an element of none": (0, b"\0\0\0\0"),
}


@pytest.mark.parametrize("name", SHORT)
def test_elements_that_do_not_fill_their_bytes_are_refused(name: str) -> None:
    size, data = SHORT[name]
    with pytest.raises(BadTensor, match=f"must hold {size} BYTES elements"):
        read_raw("x", "BYTES", (size,), memoryview(data))


REFUSED: dict[str, tuple[str, tuple[int, ...], Any, str]] = {
    "unknown type": ("FP8", (1,), [1], "must be one of BOOL, .*, BYTES, got 'FP8'"),
    "small letters": ("fp32", (1,), [1], "must be one of"),
    "no dimension": ("FP32", (), [1], "1 to 8 dimensions, got 0"),
    "nine dimensions": ("FP32", (1,) * 9, [1], "1 to 8 dimensions, got 9"),
    "negative": ("FP32", (2, -1), [1, 2], r"must not be negative, got \[2, -1\]"),
    "no list": ("FP32", (1,), 1, "must be a list, got int"),
    "nothing": ("FP32", (1,), None, "must be a list, got NoneType"),
    "text for a list": ("BYTES", (1,), "a", "must be a list, got str"),
    "too few": ("FP32", (2,), [1], "must have 2 values, got 1"),
    "too many": ("FP32", (2,), [1, 2, 3], "must have 2 values, got 3"),
    "too many, nested": ("FP32", (2,), [[1, 2], [3, 4]], "must have 2 values, got 4"),
    "values for none": ("FP32", (0, 4), [0], "must have 0 values, got 1"),
    "beyond memory": ("FP32", (2**40, 2**40), [1], "must have at most .* values"),
    "half nested": ("FP32", (2,), [[1], 2], "nested evenly"),
    "unevenly nested": ("FP32", (2, 2), [[1], [2, 3, 4]], "nested evenly"),
    "text": ("FP32", (1,), ["1"], "must be FP32, got '1'"),
    "truth": ("FP32", (1,), [True], "must be FP32, got 'True'"),
    "none": ("FP32", (2,), [1, None], "must be FP32, got 'None'"),
    "an object": ("FP32", (1,), [{"a": 1}], "must be FP32, got dict"),
    "a fraction": ("INT32", (1,), [1.0], "must be INT32, got '1.0'"),
    "a number for truth": ("BOOL", (1,), [1], "must be BOOL, got '1'"),
    "truth for a number": ("UINT8", (1,), [False], "must be UINT8, got 'False'"),
    "over": ("UINT8", (1,), [256], "must fit UINT8"),
    "under": ("UINT8", (1,), [-1], "must fit UINT8"),
    "over, signed": ("INT8", (1,), [128], "must fit INT8"),
    "over 64 bits": ("INT64", (1,), [2**63], "must fit INT64"),
    "under 64 bits": ("UINT64", (1,), [-1], "must fit UINT64"),
    "over FP16": ("FP16", (1,), [65520], "must fit FP16 and be finite"),
    "over FP32": ("FP32", (1,), [3.5e38], "must fit FP32 and be finite"),
    "infinite": ("FP64", (1,), [float("inf")], "must fit FP64 and be finite"),
    "no number": ("FP32", (1,), [float("nan")], "must fit FP32 and be finite"),
    "an endless number": ("FP64", (1,), [10**400], "must fit FP64"),
    "a number for text": ("BYTES", (1,), [1], "must be strings, got int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_json_that_is_not_the_tensor_it_says_is_refused(name: str) -> None:
    datatype, shape, data, message = REFUSED[name]
    with pytest.raises(BadTensor, match=message):
        read_json("x", datatype, shape, data)


@pytest.mark.parametrize("text", ["ä", "QQ", "QQ=", "Q Q=", "QQ==\n", "QQ==QQ==", "_-8="])
def test_base64_must_be_strict(text: str) -> None:
    with pytest.raises(BadTensor, match="must be base64"):
        read_json("x", "BYTES", (1,), [text], content_type="base64")


@pytest.mark.parametrize("datatype", ["FP8", "BF16", ""])
def test_bytes_of_unknown_types_are_refused(datatype: str) -> None:
    with pytest.raises(BadTensor, match="must be one of"):
        read_raw("x", datatype, (1,), memoryview(b"\0"))


def test_the_largest_numbers_of_each_type_are_taken() -> None:
    for name, dtype in DATATYPES.items():
        if dtype.kind in "iu":
            ends = [int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)]
        elif dtype.kind == "f":
            ends = [float(np.finfo(dtype).min), float(np.finfo(dtype).max)]  # type: ignore[list-item]
        else:
            continue
        assert values(read_json("x", name, (2,), ends)).tolist() == ends


@pytest.mark.parametrize("depth", [8, 9, 500, 5000])
def test_nesting_has_an_end(depth: int) -> None:
    told: Any = 1.0
    for _ in range(depth):
        told = [told]
    if depth <= 8:
        assert values(read_json("x", "FP32", (1,) * 8, told)).shape == (1,) * 8
    else:
        with pytest.raises(BadTensor, match="must be FP32, got list"):
            read_json("x", "FP32", (1,), told)


def test_messages_stay_short() -> None:
    assert brief("x" * 99) == repr("x" * 40)
    assert brief(1.5) == "'1.5'"
    assert (brief([1] * 99), brief({"a": 1})) == ("list", "dict")

"""Tensors of every type become rows, whatever type a graph takes; only what fits its port does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.ports import Port
from models.results import Array
from models.tensors import DATATYPES
from service.errors import BadTensor, ServiceError
from service.infer_request import Work, read_request
from service.registry import Live
from service.settings import ServiceSettings
from tests.contract.v2 import described, raw
from tests.service.fakes import held


def taking(repository: Path, dtype: Any, *shape: int) -> Live:
    """A version whose graph takes such a tensor."""
    live, _ = held(repository)
    live.inputs = [Port("images", np.dtype(dtype), (-1, *shape))]
    live.outputs = [Port("logits", np.dtype("<f4"), (-1, 2))]
    return live


def in_bytes(values: Array) -> tuple[bytes, str]:
    data = raw(values)
    told = {"inputs": [{**described(values), "parameters": {"binary_data_size": len(data)}}]}
    head = json.dumps(told).encode()
    return head + data, str(len(head))


def in_json(values: Array) -> tuple[bytes, str]:
    return json.dumps({"inputs": [{**described(values), "data": values.tolist()}]}).encode(), ""


WAYS: list[Callable[[Array], tuple[bytes, str]]] = [in_bytes, in_json]


def work_of(live: Live, body: bytes, header: str = "", kind: str = "", **settings: Any) -> Work:
    return read_request(live, body, header, kind, ServiceSettings(**settings))


def rows(work: Work) -> list[Array]:
    return [piece.load().tensor for piece in work.pieces]


def sample(dtype: np.dtype[Any], count: int = 3, width: int = 5) -> Array:
    numbers = np.arange(count * width).reshape(count, width)
    return (numbers % 2).astype(dtype) if dtype.kind == "b" else numbers.astype(dtype)


@pytest.mark.parametrize("way", WAYS, ids=["bytes", "json"])
@pytest.mark.parametrize("name", DATATYPES)
def test_a_graph_may_take_any_type(repository: Path, name: str, way: Any) -> None:
    dtype = DATATYPES[name]
    live, sent = taking(repository, dtype, 5), sample(dtype)
    work = work_of(live, *way(sent))
    (got,) = rows(work)
    assert (got.dtype, work.images) == (dtype, 3)
    assert np.array_equal(got, sent)
    assert [wanted.name for wanted in work.wanted] == ["logits"]  # a tensor is answered with tensors
    for other in DATATYPES.values():
        if other != dtype:
            with pytest.raises(BadTensor, match=f"must be {name}"):
                work_of(live, *way(sample(other)))


@pytest.mark.parametrize("name", DATATYPES)
def test_a_body_of_one_rows_bytes_is_that_row(repository: Path, name: str) -> None:
    dtype = DATATYPES[name]
    sent = sample(dtype, 1)
    work = work_of(taking(repository, dtype, 5), raw(sent), "0")
    assert np.array_equal(rows(work)[0], sent)
    assert all(wanted.binary for wanted in work.wanted)


def test_more_rows_than_a_batch_are_several_pieces(repository: Path) -> None:
    sent = sample(np.dtype("<f4"), 10)
    work = work_of(taking(repository, "<f4", 5), *in_bytes(sent))
    assert [len(part) for part in rows(work)] == [4, 4, 2]
    assert np.array_equal(np.concatenate(rows(work)), sent)
    assert all(piece.load().foreign for piece in work.pieces)  # what fails is the client's


def test_rows_begin_where_the_processor_likes_it(repository: Path) -> None:
    """The JSON in front may have any length, and onnxruntime rounds sums by where they begin."""
    live, sent = taking(repository, "<f8", 5), sample(np.dtype("<f8"))
    for length in range(20):
        data = raw(sent)
        told = {
            "id": "x" * length,
            "inputs": [{**described(sent), "parameters": {"binary_data_size": len(data)}}],
        }
        head = json.dumps(told).encode()
        (got,) = rows(work_of(live, head + data, str(len(head))))
        assert got.ctypes.data % 16 == 0
        assert np.array_equal(got, sent)


@pytest.mark.parametrize(
    ("port", "shape", "fits"),
    [
        ((-1, -1), (2, 9), True),
        ((4, 3), (2, 3), True),  # how many rows is the engine's matter
        ((3, 3), (2, 4), False),
        ((-1, 3), (2, 3, 1), False),
        ((-1, 3), (2,), False),
        ((-1, -1), (2, 0), False),
    ],
)
def test_sizes_that_are_not_fixed_may_be_any_but_none(
    repository: Path, port: tuple[int, ...], shape: tuple[int, ...], fits: bool
) -> None:
    live, sent = taking(repository, "<f4"), np.ones(shape, np.float32)
    live.inputs = [Port("images", np.dtype("<f4"), port)]
    if fits:
        assert np.array_equal(rows(work_of(live, *in_bytes(sent)))[0], sent)
    else:
        with pytest.raises(BadTensor, match=r"must be FP32 \["):
            work_of(live, *in_bytes(sent))


def test_an_image_type_is_always_a_picture(repository: Path) -> None:
    """Even where the body is just as long as a tensor, which then is not one."""
    live = taking(repository, "<f4", 5)
    for header, kind, tensor in (("0", "", True), ("0", "image/png", True), ("", "image/png", False)):
        work = work_of(live, bytes(20), header, kind)
        assert [wanted.name for wanted in work.wanted] == (["logits"] if tensor else ["answer.scores"])
        if not tensor:
            with pytest.raises(ServiceError, match="cannot be read"):
                work.pieces[0].load()

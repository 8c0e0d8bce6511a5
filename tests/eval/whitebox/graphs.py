"""Graphs of a few nodes for the tests of the twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.results import Array

__all__ = ["SIZE", "WEIGHTS", "graph", "small_net"]

SIZE = 6
_DRAW = np.random.default_rng(3)
WEIGHTS: Mapping[str, Array] = {
    "kernel": _DRAW.normal(size=(4, 3, 3, 3)),
    "shift": _DRAW.normal(size=4),
    "weight": _DRAW.normal(size=(5, 4)),
    "bias": _DRAW.normal(size=5),
}


def graph(
    nodes: Sequence[Any],
    constants: Mapping[str, Array],
    *,
    shape: Sequence[int | str] = ("N", 3, SIZE, SIZE),
    dtype: int = TensorProto.FLOAT,
    out: int = TensorProto.FLOAT,
    opset: int = 17,
    outputs: Sequence[str] = ("y",),
) -> bytes:
    """The bytes of a graph from `images` to `outputs`."""
    made = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info("images", dtype, list(shape))],
        [helper.make_tensor_value_info(name, out, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def small_net(dtype: str = "float32", tail: Sequence[Any] = ()) -> bytes:
    """Convolution, ReLU (`features`), mean over the plane, five logits `y`."""
    node = helper.make_node
    nodes = [
        node("Conv", ["images", "kernel", "shift"], ["convolved"], pads=[1, 1, 1, 1]),
        node("Relu", ["convolved"], ["features"]),
        node("GlobalAveragePool", ["features"], ["means"]),
        node("Flatten", ["means"], ["flat"]),
        node("Gemm", ["flat", "weight", "bias"], ["y"], transB=1),
        *tail,
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = {name: value.astype(dtype) for name, value in WEIGHTS.items()}
    return graph(nodes, weights, dtype=kind, out=kind)

"""Graphs that give what they are told to, whatever the picture: stand-ins for what people export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.results import Array

__all__ = ["saved", "saying"]

INFO = helper.make_tensor_value_info


def saying(
    outputs: Mapping[str, Array],
    *,
    shape: Sequence[int | str] = ("N", 3, 64, 64),
    dtype: str = "float32",
    batched: bool = True,
    mixing: bool = False,
    notes: Mapping[str, str] | None = None,
    inputs: Sequence[str] = ("images",),
) -> bytes:
    """A graph whose outputs are these, one for each picture.

    Args:
        outputs: what one picture gives, by name, without batch axis.
        shape: of the input.
        batched: whether the outputs have a batch axis.
        mixing: each picture's outputs hang on the others of its batch too.
        notes: metadata properties.
        inputs: names; only the first one counts.
    """
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    axes = list(range(1, len(shape))) if batched else list(range(len(shape)))
    constants: dict[str, Array] = {"zero": np.array(0, np.float32)}
    nodes = [
        helper.make_node("Cast", [inputs[0]], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels"], ["means"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["means", "zero"], ["nothing"]),
    ]
    if mixing:
        nodes += [
            helper.make_node("Shape", ["means"], ["many"]),
            helper.make_node("Cast", ["many"], ["mixed"], to=TensorProto.FLOAT),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["zero"], ["mixed"]))
    for name, values in outputs.items():
        rank = values.ndim + int(batched)
        constants[f"{name}.shape"] = np.array([-1 if batched else 1] + [1] * (rank - 1), np.int64)[:rank]
        constants[f"{name}.values"] = (values[None] if batched else values).astype(np.float32)
        nodes += [
            helper.make_node("Reshape", ["nothing", f"{name}.shape"], [f"{name}.nothing"]),
            helper.make_node("Add", [f"{name}.nothing", f"{name}.values"], [f"{name}.plain"]),
            helper.make_node("Add", [f"{name}.plain", "mixed"], [f"{name}.float"]),
            helper.make_node(
                "Cast", [f"{name}.float"], [name], to=helper.np_dtype_to_tensor_dtype(values.dtype)
            ),
        ]
    first = [shape[0] if len(shape) == 4 else 1] if batched else []
    told = [
        INFO(name, helper.np_dtype_to_tensor_dtype(v.dtype), [*first, *v.shape])
        for name, v in outputs.items()
    ]
    graph = helper.make_graph(
        nodes,
        "saying",
        [INFO(name, kind, list(shape)) for name in inputs],
        told,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (notes or {}).items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString())


def saved(folder: Path, outputs: Mapping[str, Array], name: str = "model.onnx", **how: Any) -> Path:
    """The same in a file."""
    path = folder / name
    path.write_bytes(saying(outputs, **how))
    return path

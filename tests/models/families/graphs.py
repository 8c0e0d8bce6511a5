"""Small graphs that pick objects: as many as a picture is bright, without a batch axis."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["BOXES", "SQUARES", "picks"]

BOXES = np.array([[i, 0, i + 4, 4] for i in range(5)], np.float32)
SQUARES = np.random.default_rng(0).random((5, 1, 4, 4)).astype(np.float32)


def picks(shape: list[int | str], *, masks: bool = False) -> bytes:
    """As many objects as the mean level of the picture says, up to five; labels 1 and 2 in turn.

    Args:
        shape: of the input `images`.
        masks: whether it also gives `masks`.
    """
    make, told = helper.make_node, helper.make_tensor_value_info
    outputs = [
        told("boxes", TensorProto.FLOAT, ["M", 4]),
        told("labels", TensorProto.INT64, ["M"]),
        told("scores", TensorProto.FLOAT, ["M"]),
        told("masks", TensorProto.FLOAT, ["M", 1, 4, 4]),
    ][: 4 if masks else 3]
    nodes = [
        make("ReduceMean", ["images"], ["mean"], keepdims=0),
        make("Unsqueeze", ["mean", "axis"], ["level"]),
        make("Round", ["level"], ["rounded"]),
        make("Cast", ["rounded"], ["count"], to=TensorProto.INT64),
        *(make("Slice", [f"all_{output.name}", "axis", "count"], [output.name]) for output in outputs),
    ]
    tensors = {
        "axis": np.array([0]),
        "all_boxes": BOXES,
        "all_labels": np.array([1, 2, 1, 2, 1]),
        "all_scores": np.linspace(0.9, 0.5, 5, dtype=np.float32),
        "all_masks": SQUARES,
    }
    image = told("images", TensorProto.FLOAT, shape)
    weights = [numpy_helper.from_array(values, name) for name, values in tensors.items()]
    own = helper.make_graph(nodes, "picks", [image], outputs, weights)
    data: bytes = helper.make_model(
        own, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return data

"""Models for attacks: one takes its time, one cuts the middle out of a picture, one has much to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.publish import publish
from tests.graphs import repository as plain

__all__ = ["FACTS", "GOLDEN", "classifier", "repository"]

GOLDEN = np.full((6, 9, 3), 90, np.uint8)
FACTS: dict[str, Any] = {
    "version": 1,
    "task": "classification",
    "family": "logits",
    "outputs": ("logits",),
    "labels": ("dim", "light"),
    "licence": "Apache-2.0",
}


def classifier(size: int, rounds: int = 0) -> bytes:
    """Logits (dim, light) from the mean level, after `rounds` products of two matrices of 640 x 640."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["mean"], ["load0"], keepdims=0),
        helper.make_node("Mul", ["load0", "matrix"], ["round0"]),
        *(
            helper.make_node("MatMul", [f"round{i}", "matrix"], [f"round{i + 1}"])
            for i in range(rounds)  # zeros, but nobody looks before
        ),
        helper.make_node("ReduceMean", [f"round{rounds}"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["mean", "nothing"], ["level"]),
        helper.make_node("Unsqueeze", ["level", "one"], ["column"]),
        helper.make_node("Gemm", ["column", "weight", "bias"], ["logits"], transB=1),
    ]
    constants = {
        "matrix": np.zeros((640, 640) if rounds else (1, 1), np.float32),
        "one": np.array([1]),
        "weight": np.array([[-8.0], [8.0]], np.float32),
        "bias": np.array([4.0, -4.0], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def enlarger() -> bytes:
    """Logits (dark, light) of every pixel of a picture of any size, each of them 64 times: a large answer."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["light"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["one", "light"], ["dark"]),
        helper.make_node("Concat", ["dark", "light"], ["both"], axis=1),
        helper.make_node("Tile", ["both", "times"], ["logits"]),
    ]
    constants = {"one": np.array(1, np.float32), "times": np.array([1, 1, 8, 8])}
    graph = helper.make_graph(
        nodes,
        "enlarger",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2, "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def repository(root: Path) -> Path:
    """Those of `tests.graphs`, and:

    `slow/1` takes a picture at a time, a fraction of a second each; `middle/1` cuts the middle out of a
    picture; `wide/1` answers with 64 times as many numbers as it is asked.
    """
    plain(root)
    small = {"height": 8, "width": 8}
    slow = {**FACTS, "name": "slow", "input": small, "max_batch": 1}
    publish(root, classifier(8, rounds=60), slow, golden_image=GOLDEN)
    cut = {"height": 224, "width": 224, "resize": "crop", "crop_fraction": 0.875, "interpolation": "bicubic"}
    publish(root, classifier(224), {**FACTS, "name": "middle", "input": cut}, golden_image=GOLDEN)
    wide = {**FACTS, "name": "wide", "task": "segmentation", "input": small, "max_batch": 1}
    publish(root, enlarger(), wide, golden_image=GOLDEN)
    return root

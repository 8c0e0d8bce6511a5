"""What is served while inputs are broken: one small model for every way a picture is laid into a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.publish import publish
from tests.graphs import dim_or_light, light_pixels, whole_picture

__all__ = ["graphs", "lamp", "repository"]

SIZE, LARGE = 8, 160
GOLDEN = np.full((6, 9, 3), 90, np.uint8)

SHARED: dict[str, Any] = {
    "version": 1,
    "task": "classification",
    "family": "logits",
    "input": {"height": SIZE, "width": SIZE, "scaled_decode": True},
    "outputs": ("logits",),
    "labels": ("dim", "light"),
    "licence": "Apache-2.0",
    "max_batch": 4,
}


def _levels() -> bytes:
    """Logits (dim, light) of uint8 pictures of any size, channels last: a graph whose input is not fixed."""
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Gemm", ["column", "weight", "bias"], ["logits"], transB=1),
    ]
    constants = {
        "one": np.array([1]),
        "weight": np.array([[-0.05], [0.05]], np.float32),
        "bias": np.array([6.4, -6.4], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "levels",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def _enlarged(graph: bytes) -> bytes:
    """The graph with inputs and outputs as wide and high as `LARGE`; all it does is pixel by pixel."""
    model = onnx.load_from_string(graph)
    for port in (*model.graph.input, *model.graph.output):
        for side in port.type.tensor_type.shape.dim[2:]:
            side.dim_value = LARGE
    data: bytes = model.SerializeToString()
    return data


def graphs() -> tuple[bytes, ...]:
    """ONNX files, the seeds of broken ones."""
    return dim_or_light(), whole_picture(), light_pixels(), _levels()


def lamp(root: Path, number: int) -> Path:
    """A version of the model that is squeezed into; its folder."""
    facts = {**SHARED, "name": "lamp", "version": number}
    return publish(root, dim_or_light(), facts, golden_image=GOLDEN).folder


def repository(root: Path) -> Path:
    """`lamp/1` (whole picture squeezed), `levels/1` (cropped, large, uint8), `frame/1` (letterboxed),
    `shade/1` (the same, large), `spare/1` (loaded and unloaded by whoever has the key).
    """
    boxed = {"height": SIZE, "width": SIZE, "resize": "letterbox"}
    frame = {"name": "frame", "task": "detection", "family": "dense", "outputs": ("boxes", "scores")}
    cropped = {
        "height": LARGE,
        "width": LARGE,
        "layout": "NHWC",
        "dtype": "uint8",
        "resize": "crop",
        "crop_fraction": 0.875,
    }
    lamp(root, 1)
    publish(root, dim_or_light(), {**SHARED, "name": "spare"}, golden_image=GOLDEN)
    publish(root, _levels(), {**SHARED, "name": "levels", "input": cropped}, golden_image=GOLDEN)
    publish(
        root,
        whole_picture(),
        {**SHARED, **frame, "input": boxed, "labels": ("picture",)},
        golden_image=GOLDEN,
    )
    large = {"height": LARGE, "width": LARGE, "resize": "letterbox"}
    shade = {"name": "shade", "task": "segmentation", "input": large}
    publish(root, _enlarged(light_pixels()), {**SHARED, **shade}, golden_image=GOLDEN)
    return root
